"""The shared keys of a run file: kinds, weights by label, device and precision."""

import pytest
from pydantic import ValidationError

from histoscale.experiments.downstream.config import DownstreamRun, with_compute
from histoscale.resources import Compute

MODELS = [{"label": "liif*", "weights": "liif.safetensors"}, {"label": "b", "weights": "iste"}]


def test_kinds_and_sources_are_in_the_order_of_the_file() -> None:
    run = DownstreamRun(name="a", models=MODELS)
    assert run.kinds == ("original", "low resolution", "bicubic", "liif*", "b")
    assert run.sources == {"liif*": "liif.safetensors", "b": "iste"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"seeds": (1, 1)}, "seeds has a seed twice"),
        ({"models": [*MODELS, MODELS[0]]}, r"called liif\*"),
        ({"models": [{"label": "bicubic", "weights": "iste"}]}, "called bicubic"),
        ({"models": [{"label": "a b", "weights": "iste"}]}, "label"),
    ],
)
def test_mistakes(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DownstreamRun.model_validate({"name": "a", **keys})


def test_the_command_line_replaces_device_and_precision_only_if_it_names_them() -> None:
    run = DownstreamRun(name="a", device="cuda", precision="fp32")
    assert with_compute(run, Compute("cpu", "bf16")) == run.model_copy(
        update={"device": "cpu", "precision": "bf16"}
    )
    assert with_compute(run, Compute()) == run
