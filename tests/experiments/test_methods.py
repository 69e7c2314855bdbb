"""Words of the command line to rows: labels, seeds, scales, and what cannot be one row."""

from pathlib import Path

import pytest
import torch

from histoscale import weights
from histoscale.errors import ConfigError, DataError, WeightsError
from histoscale.experiments.methods import (
    Setting,
    check_seeds,
    describe,
    label_of,
    line_up,
    load_models,
    parse,
    read_settings,
)
from histoscale.experiments.results import write_rows
from histoscale.models.catalog import build


@pytest.mark.parametrize(
    ("word", "name", "source"),
    [
        ("iste-fast", "iste-fast", "iste-fast"),
        ("out/net.safetensors", "net", "out/net.safetensors"),
        ("liif*=out/net.safetensors", "liif*", "out/net.safetensors"),
        ("liif#2=out/a=b.safetensors", "liif#2", "out/a=b.safetensors"),
        ("out/a=b.safetensors", "a=b", "out/a=b.safetensors"),
    ],
)
def test_words(word: str, name: str, source: str) -> None:
    assert parse(word) == (name, source)
    assert label_of(name) == name.split("#", maxsplit=1)[0]


def test_one_label_is_one_member_a_seed_and_one_file_a_scale(folder: Path) -> None:
    words = [f"edsr={folder}/edsr-x{scale}.safetensors" for scale in (3, 2)]
    members = line_up([*words, f"net#1={folder}/a.safetensors", f"net#2={folder}/b.safetensors", "bicubic"])
    assert [member.name for member in members] == ["edsr", "net#1", "net#2"]
    assert [file.scale for file in members[0].files] == [3, 2]
    assert [member.files[0].scale for member in members[1:]] == [None, None]
    digest = weights.card(folder / "a.safetensors").sha256
    assert digest.startswith(members[1].files[0].digest)
    assert len(members[1].files[0].digest) == 12


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["e={}/edsr-x2.safetensors", "e={}/edsr-x2.safetensors"],
            r"both make x2: wanted a label or seed of its own, such as e#2=",
        ),
        (["e={}/a.safetensors", "e={}/b.safetensors"], "of row e both make every scale"),
        (["e={}/a.safetensors", "e={}/edsr-x3.safetensors"], "of row e both make x3"),
        (["e#1={}/a.safetensors", "e={}/b.safetensors"], "for every model of row e or for none"),
        (["e#1={}/a.safetensors", "e#2={}/a.safetensors"], "Row e has the same weights twice"),
        (["bicubic={}/a.safetensors"], "Bicubic is in every comparison"),
    ],
)
def test_what_cannot_be_one_row(folder: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        line_up([word.format(folder) for word in words])
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named() -> None:
    with pytest.raises(WeightsError, match="There are no weights named nobody"):
        line_up(["iste=nobody"])


def test_seeds_of_other_rows_do_not_matter() -> None:
    check_seeds(["a#1", "a#2", "b"])


# The settings of a downstream task: what they are called, what they learnt from, and that they fit.


def test_what_models_learnt_from() -> None:
    settings = describe({"fast": "iste-fast"})
    assert [one.name for one in settings] == ["original", "low resolution", "bicubic", "fast"]
    assert settings[3].learnt_from == "glas train (95 images), monuseg train (21 images)"
    assert settings[3].digest == weights.card("iste-fast").sha256[:12]
    assert settings[2] == Setting("bicubic", "", "")


def test_they_read_back(tmp_path: Path) -> None:
    settings = describe({"fast": "iste-fast"})
    write_rows(tmp_path / "settings.csv", Setting, settings)
    assert read_settings(tmp_path / "settings.csv") == settings
    with pytest.raises(DataError, match=r"but .*none\.csv cannot be read \(No such file"):
        read_settings(tmp_path / "none.csv")


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x3.safetensors"
    card = {"architecture": {"name": "edsr", "arguments": {"scale": 3, "blocks": 1, "channels": 4}}}
    weights.save(path, build("edsr", scale=3, blocks=1, channels=4), {**card, "data": [], "scales": (3, 3)})
    assert describe({"x3": str(path)})[3].learnt_from == "not stated"
    assert list(load_models({"x3": str(path)}, (8, 8), (24, 24), torch.device("cpu"))) == ["x3"]
    with pytest.raises(ConfigError, match="Model x3 cannot take part: "):
        load_models({"x3": str(path)}, (8, 8), (16, 16), torch.device("cpu"))
    with pytest.raises(WeightsError, match="no weights named liif"):
        describe({"liif": "liif"})
