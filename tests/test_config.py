"""Run files: what is accepted, and the sentence for what is not."""

import json
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch

from histoscale.config import Run, read_run
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
        (('root = "/somewhere"', 'root = "$EMPTY/x"'), "EMPTY/x names a variable that is not set"),
        (('root = "/somewhere"', 'root = "/x"\nscale_per = "sample"'), "needs queries"),
        (('root = "/somewhere"', 'root = "/x"\nscales = [0.5]'), "scales start at 1"),
        (('root = "/somewhere"', 'root = "/x"\ndegradations = {E = 1}'), "'B', 'C', 'D' or 'none'"),
        (('root = "/somewhere"', 'root = "/x"\nscale_range = [4, 1]'), "from the smaller to the larger"),
        (('root = "/somewhere"', 'root = "/x"\njpeg_quality = [95, 30]'), "from the smaller to the larger"),
        (('root = "/somewhere"', 'root = "/x"\non_device = true\nnoise_sigma = 2'), "made on_device have no"),
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
def test_one_sentence_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], message: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(ConfigError, match=message) as caught:
        read_run(write(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_run(tmp_path / "none.toml")


RUNS = sorted(
    path
    for path in Path("runs").glob("*.toml")
    if not path.stem.startswith(("study", "recipe", "glands", "cancer"))
)
PAPER = sorted(path for path in Path("runs", "paper").glob("*.toml") if not path.stem.startswith("recipe"))
DATA_SETS = ("tma", "histosr", "tcga")
ANY_SCALE = ("liif", "lte", "lmi", "itsrn", "lit", "iste")
ONE_SCALE = ("edsr", "edsr-full", "rdn", "swinir", "srmfenet", "li2021", "swdnet")
STARS = ("liif-star", "lte-star")
ROWS = [  # method, data set, scale, encoder: every row of the paper's tables that is trained
    *product(ANY_SCALE, DATA_SETS, [None], [None]),
    *product(ONE_SCALE, DATA_SETS, [2, 3, 4], [None]),
    *product(REMOVALS, ["tcga"], [None], [None]),
    *product(["iste"], ["tma", "tcga"], [None], ["edsr", "rdn"]),
    *product(STARS, ["tcga"], [None], [None, "edsr"]),
]
STEPS = {  # thousands, on tma, histosr and tcga
    "liif": (575, 1875, 400), "lte": (287.5, 937.5, 200), "lmi": (172.5, 562.5, 120),
    "itsrn": (575, 1875, 400), "lit": (575, 1875, 400), "iste": (2300, 7500, 1600),
    "edsr": (300, 300, 300), "edsr-full": (300, 300, 300), "rdn": (1000, 1000, 1000),
    "swinir": (500, 500, 500), "srmfenet": (230, 750, 160), "li2021": (12.938, 843.75, 9),
    "swdnet": (460, 1500, 320), "liif-star": (575, 1875, 400), "lte-star": (287.5, 937.5, 200),
}  # fmt: skip


def paper_run(method: str, data: str, scale: int | None = None, encoder: str | None = None) -> Run:
    """A row of the paper, chosen as its reader would."""
    overrides = [f"data.sets={data}"]
    overrides += [f"model.scale={scale}"] if scale else []
    overrides += [f"model.encoder={encoder}"] if encoder else []
    return read_run(Path("runs", "paper", f"{method}.toml"), overrides)


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


@pytest.mark.parametrize(("method", "data", "scale", "encoder"), ROWS)
def test_every_row_of_the_paper_is_reached(
    method: str, data: str, scale: int | None, encoder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    run = paper_run(method, data, scale, encoder)
    parts = [method, encoder, data, scale and f"x{scale}"]
    assert run.name == "-".join(part for part in parts if part)
    assert run.model.arguments.get("scale") == scale
    assert run.data.scales == ((float(scale),) if scale else ())
    assert run.data.sets == (data,)
    assert run.validation.split == ("test" if data == "histosr" else "val")
    steps = STEPS["iste" if method.startswith("iste") else method][DATA_SETS.index(data)]
    assert run.training.steps == 1000 * steps
    assert run.training.precision == "auto"
    begins = method in ("edsr", "edsr-full", "swinir") and scale in (3, 4)
    x2 = f"{method}-{data}-x2"
    assert run.model.start_from == (Path("out", x2, f"{x2}.safetensors") if begins else None)
    objective_for(run, built(run.model.name, json.dumps(run.model.arguments)))


def test_every_file_of_the_paper_is_a_row() -> None:
    assert {path.stem for path in PAPER} == {method for method, *_ in ROWS}
    assert all(path.read_text(encoding="utf-8").startswith("# ") for path in PAPER)


@pytest.mark.parametrize(("data", "scale"), [*product(DATA_SETS, (2, 3, 4))])
def test_patches_of_a_scale(data: str, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    li2021, swdnet = (paper_run(method, data, scale).data for method in ("li2021", "swdnet"))
    side = 192 if data == "histosr" else 224
    assert (li2021.patch_px, li2021.largest_hr_px) == (side // scale, side)
    assert swdnet.patch_px * scale == 192


@pytest.mark.parametrize("removal", REMOVALS)
def test_a_removal_of_table_4_is_trained_as_the_whole(removal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    published, whole = paper_run(removal, "tcga"), paper_run("iste", "tcga")
    light = next(m for m in read_study(Path("runs", "study-ablation.toml")).methods if m.label == removal)
    off = {name: value for name, value in light.model.arguments.items() if value is False}
    shared = dict(whole.model.arguments)
    if "self_texture" in off:
        del shared["keys"]  # nothing is retrieved
    assert published.model.arguments == shared | off
    assert published.model_copy(update={"name": whole.name, "model": whole.model}) == whole


@pytest.mark.parametrize(("data", "scale"), [*product(DATA_SETS, (2, 3, 4))])
def test_the_full_edsr_is_trained_as_its_baseline(
    data: str, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    full, small = (paper_run(name, data, scale) for name in ("edsr-full", "edsr"))
    assert full.model_copy(update={"name": small.name, "model": small.model}) == small
    counts = {2: 40_729_603, 3: 43_680_003, 4: 43_089_923}  # of the authors' code
    assert count_parameters(built("edsr", json.dumps(full.model.arguments))) == counts[scale]
