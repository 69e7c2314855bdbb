"""Run files: what is accepted, and the sentence for what is not."""

import json
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch

from histoscale.config import read_run
from histoscale.errors import ConfigError
from histoscale.experiments.compare.claims import REMOVALS
from histoscale.experiments.study.study_file import read_study
from histoscale.models.base import SuperResolver, count_parameters
from histoscale.models.catalog import build
from histoscale.training.losses import objective_for

GOOD = """
name = "small"
[model]
name = "iste-fast"
[data]
root = "/somewhere"
[training]
steps = 3
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    run = read_run(write(tmp_path, GOOD))
    assert run.training.rate == 1e-4
    assert run.data.scale_range == (1.0, 4.0)
    assert run.data.patch_px == 48
    assert run.data.degradations == {"B": 1.0}
    assert run.data.recipe().patch_px == 48


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("steps = 3", "steps = 3\nrte = 1"),
            r"unknown key training\.rte; known here are steps, minutes, clock, batch",
        ),
        (("steps = 3", "steps = 3\nminutes = 2"), "exactly one of steps and minutes"),
        (("steps = 3", ""), "exactly one of steps and minutes"),
        (("steps = 3", 'steps = "many"'), r"training\.steps: input should be a valid integer"),
        (
            ('root = "/somewhere"', 'root = "$NO_SUCH_VARIABLE"'),
            "NO_SUCH_VARIABLE names a variable that is not set",
        ),
        (('root = "/somewhere"', 'root = "/x"\nscale_per = "sample"'), "needs queries"),
        (('root = "/somewhere"', 'root = "/x"\nscales = [0.5]'), "scales start at 1"),
        (('root = "/somewhere"', 'root = "/x"\ndegradations = {E = 1}'), "'B', 'C', 'D' or 'none'"),
        (('root = "/somewhere"', 'root = "/x"\nscale_range = [4, 1]'), "from the smaller to the larger"),
        (('root = "/somewhere"', 'root = "/x"\njpeg_quality = [95, 30]'), "from the smaller to the larger"),
        (('root = "/somewhere"', 'root = "/x"\non_device = true\nnoise_sigma = 2'), "made on_device know no"),
        (("steps = 3", 'steps = 3\nschedule = "milestones"'), "milestones go together"),
        (("steps = 3", 'steps = 3\nschedule = "staircase"'), "stairs go together"),
        (
            ("steps = 3", 'steps = 3\n[loss]\nkind = "l2"'),
            r"loss\.kind: input should be 'l1', 'wavelets', 'adversarial' or 'residual'",
        ),
        (("steps = 3", "steps = 3\n[loss]\nkid = 1"), r"unknown key loss\.kid; known here are kind, spatial"),
        (('name = "small"', "name = "), "not valid TOML"),
        (("[training]", "[trianing]"), "training: field required"),
    ],
)
def test_one_sentence_says_what_is_wrong(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_run(write(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_run(tmp_path / "none.toml")


RUNS = sorted(
    path
    for path in Path("runs").rglob("*.toml")
    if not path.stem.startswith(("study", "recipe", "glands", "cancer"))
)
DATA_SETS = ("tma", "histosr", "tcga")
ARBITRARY_SCALE = ("liif", "lte", "lmi", "itsrn", "lit", "iste")
FIXED_SCALE = ("edsr", "rdn", "swinir", "srmfenet", "li2021", "swdnet")
LEARNED_ROWS = [
    *product(ARBITRARY_SCALE, DATA_SETS, [None]),
    *product(FIXED_SCALE, DATA_SETS, [2, 3, 4]),
]


@cache
def built(name: str, arguments: str) -> SuperResolver:
    """A model without numbers; many run files train the same one."""
    with torch.device("meta"):
        return build(name, **json.loads(arguments))


@pytest.mark.parametrize("path", RUNS, ids=lambda p: p.stem)
def test_every_run_file_is_valid_and_names_a_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    run = read_run(path)
    assert run.name == path.stem
    objective_for(run, built(run.model.name, json.dumps(run.model.arguments)))


@pytest.mark.parametrize(("name", "data", "scale"), LEARNED_ROWS)
def test_every_learned_row_of_table_1_has_a_run_file(
    name: str, data: str, scale: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    path = Path("runs", "paper", f"{name}-{data}" + (f"-x{scale}" if scale else "") + ".toml")
    run = read_run(path)
    assert run.model.name == name
    assert run.model.arguments.get("scale") == scale
    assert run.validation.split == ("test" if data == "histosr" else "val")
    assert path.read_text(encoding="utf-8").startswith("# ")
    begun_from = run.model.start_from
    assert begun_from is None or Path("runs", "paper", f"{begun_from.stem}.toml").is_file()


@pytest.mark.parametrize("removal", REMOVALS)
def test_every_removal_of_table_4_has_a_run_file(removal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    published = read_run(Path("runs", "paper", f"{removal}-tcga.toml"))
    light = next(m for m in read_study(Path("runs", "study-ablation.toml")).methods if m.label == removal)
    whole = read_run(Path("runs", "paper", "iste-tcga.toml"))
    off = {name: value for name, value in light.model.arguments.items() if value is False}
    shared = dict(whole.model.arguments)
    if "self_texture" in off:
        del shared["keys"]  # nothing is retrieved
    assert published.model.arguments == shared | off
    assert published.model_copy(update={"name": whole.name, "model": whole.model}) == whole


@pytest.mark.parametrize(("encoder", "data"), [*product(("edsr", "rdn"), ("tma", "tcga"))])
def test_every_encoder_of_table_7_has_a_run_file(
    encoder: str, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    found = read_run(Path("runs", "paper", f"iste-{encoder}-{data}.toml"))
    whole = read_run(Path("runs", "paper", f"iste-{data}.toml"))
    assert found.model.arguments == whole.model.arguments | {"encoder": encoder}
    assert found.model_copy(update={"name": whole.name, "model": whole.model}) == whole


@pytest.mark.parametrize(("data", "scale"), [*product(DATA_SETS, (2, 3, 4))])
def test_the_full_edsr_is_trained_as_its_baseline(
    data: str, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    full, small = (
        read_run(Path("runs", "paper", f"{name}-{data}-x{scale}.toml")) for name in ("edsr-full", "edsr")
    )
    assert full.model_copy(update={"name": small.name, "model": small.model}) == small
    counts = {2: 40_729_603, 3: 43_680_003, 4: 43_089_923}  # of the authors' code
    assert count_parameters(built("edsr", json.dumps(full.model.arguments))) == counts[scale]
    begun_from = full.model.start_from
    assert (begun_from.stem if begun_from else None) == (f"edsr-full-{data}-x2" if scale > 2 else None)
