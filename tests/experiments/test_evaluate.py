"""Evaluation: three files that agree with each other, resuming, and errors before any work."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscale import weights
from histoscale.errors import ConfigError, DataError, InputError, OutputError, ScaleError, WeightsError
from histoscale.experiments.evaluate import evaluate, markdown, summarise
from histoscale.experiments.images import ImageSelection
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.scoring import Score, read_scores
from histoscale.resources import Compute, find_device, find_precision
from tests.small import write_images

OF_IMAGES = ("sets", "split", "degradations", "limit", "crop_px")
OF_COMPUTE = ("device", "precision", "workers")


def run(models: list[Any], data: Path, output: Path, **options: Any) -> list[Score]:
    """`evaluate` by the names of options."""
    images = {name: options.pop(name) for name in OF_IMAGES if name in options}
    compute = {"precision": "fp32"} | {name: options.pop(name) for name in OF_COMPUTE if name in options}
    images.setdefault("degradations", ("B", "none"))
    return evaluate(models, ImageSelection(data, **images), output, compute=Compute(**compute), **options)


@pytest.fixture
def net(folder: Path, tmp_path: Path) -> Path:
    """Weights called net."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(folder / f"a{suffix}", tmp_path / f"net{suffix}")
    return tmp_path / "net.safetensors"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two images, large enough for x3.3."""
    return write_images(tmp_path / "tissue", "ab", (90, 80))


def test_files_agree_with_the_scores_and_the_tables_are_made_from_them(
    net: Path, images: Path, tmp_path: Path
) -> None:
    seen: list[float] = []
    out = tmp_path / "out"
    scores = run([net], images, out, scales=(2, 3.3), progress=lambda share, _: seen.append(share))
    assert len(scores) == 2 * 2 * 2 * 2  # images, degradations, scales, models
    assert {s.model for s in scores} == {BICUBIC, "net"}
    assert seen == [done / 8 for done in range(1, 9)]
    assert sorted(path.name for path in out.iterdir()) == ["scores.csv", "settings.json", "tables.md"]
    assert read_scores(out / "scores.csv") == scores
    assert (out / "tables.md").read_text() == markdown(read_scores(out / "scores.csv"))
    settings = json.loads((out / "settings.json").read_text())
    assert settings["models"]["net"] == {str(net): weights.card(net).sha256[:12]}


@pytest.mark.slow
def test_worker_processes_find_the_same(net: Path, images: Path, tmp_path: Path) -> None:
    wanted = {"scales": (2,), "degradations": ("B",)}
    alone = run([net], images, tmp_path / "alone", **wanted)
    shared = run([net], images, tmp_path / "shared", workers=2, **wanted)
    assert [(s.image, s.model) for s in alone] == [(s.image, s.model) for s in shared]
    assert [s.psnr_whole for s in alone] == pytest.approx([s.psnr_whole for s in shared], abs=1e-3)


@pytest.mark.slow
def test_a_failure_in_a_worker_is_the_same_sentence(net: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png cannot be scored at x40: "):
        run([net], images, tmp_path / "out", scales=(40,), workers=2)


def test_bicubic_alone_needs_no_weights_and_a_single_image_will_do(images: Path, tmp_path: Path) -> None:
    scores = run([], images / "a.png", tmp_path / "out", scales=(2,), degradations=("none",))
    assert [(s.dataset, s.image, s.model) for s in scores] == [("tissue", "a", BICUBIC)]


def test_a_fixed_scale_model_at_another_scale(folder: Path, images: Path, tmp_path: Path) -> None:
    path = folder / "edsr-x2.safetensors"
    wanted = {"scales": (2, 3.3), "degradations": ("B",)}
    strict = [s for s in run([path], images, tmp_path / "a", **wanted) if s.model == "edsr-x2"]
    resized = [
        s for s in run([path], images, tmp_path / "b", allow_resize=True, **wanted) if s.model == "edsr-x2"
    ]
    assert [np.isnan(s.psnr_whole) for s in strict] == [False, True] * 2
    assert [s.through for s in resized] == [0, 2] * 2
    assert [s.psnr_whole for s in resized][::2] == [s.psnr_whole for s in strict][::2]
    assert not any(np.isnan(s.psnr_whole) for s in resized)
    assert {s.weights for s in resized} == {weights.card(path).sha256[:12]}


def test_results_are_replaced_only_when_asked(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run([], images, out, scales=(2,))
    before = (out / "scores.csv").read_bytes()
    with pytest.raises(OutputError, match=r"scores\.csv exists already"):
        run([], images, out, scales=(3,))
    assert (out / "scores.csv").read_bytes() == before
    run([], images, out, scales=(3,), overwrite=True)
    assert {s.scale for s in read_scores(out / "scores.csv")} == {3.0}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"models": ["no-such-net"]}, WeightsError, "no-such-net"),
        ({"data": Path("nowhere")}, DataError, "nowhere"),
        ({"scales": (2, 0.5)}, ScaleError, r"at least 1.*0\.5"),
        ({"degradations": ("F",)}, ConfigError, "degradation F"),
        ({"device": "abacus"}, ConfigError, "abacus"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    wrong: dict[str, object], error: type[Exception], words: str, images: Path, tmp_path: Path
) -> None:
    arguments = {"models": [], "data": images, "output": tmp_path / "out", **wrong}
    with pytest.raises(error, match=words) as caught:
        run(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_while_the_tables_are_made_leaves_the_earlier_results(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run([], images, out, scales=(2,), precision="auto")
    settings = json.loads((out / "settings.json").read_text())
    device = find_device("auto")
    assert settings["device"] == str(device)
    assert settings["precision"] == find_precision("auto", device)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def stop(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.evaluate.markdown", stop)
    with pytest.raises(KeyboardInterrupt):
        run([], images, out, scales=(3,), overwrite=True)
    assert (out / "scores.csv").read_bytes() == before["scores.csv"]
    assert (out / "tables.md").read_bytes() == before["tables.md"]


def test_an_output_that_is_a_file_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"out.* cannot be written: .+\.$"):
        run([], images, tmp_path / "out")


def test_a_stopped_evaluation_is_resumed(
    net: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run([net], images, whole, scales=(2,))

    def stop(share: float, stage: str) -> None:
        if (share, stage) == (0.5, "scoring"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([net], images, out, scales=(2,), progress=stop)
    with pytest.raises(OutputError, match="--resume"):
        run([net], images, out, scales=(2,))
    with pytest.raises(OutputError, match="limit"):
        run([net], images, out, scales=(2,), limit=1, resume=True)
    seen: list[float] = []
    run([net], images, out, scales=(2,), resume=True, progress=lambda share, _: seen.append(share))
    assert seen == [3 / 4, 1]
    for name in ("scores.csv", "settings.json", "tables.md"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_on_real_tissue(data_root: Path, net: Path, tmp_path: Path) -> None:
    scores = run(
        [net], data_root, tmp_path / "out", scales=(4,), degradations=("B",), limit=1, precision="bf16"
    )
    assert [(s.dataset, s.model) for s in scores] == [
        (name, model) for name in ("glas", "monuseg") for model in (BICUBIC, "net")
    ]
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "### glas (1 image), degradation B" in text
    assert "| x4 | net |" in text


def test_an_unknown_set_is_refused(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no set tcga"):
        run([], data_root, tmp_path / "out", sets=("tcga",))
    with pytest.raises(DataError, match="has no split exam"):
        run([], data_root, tmp_path / "out", split="exam")


# The scores as tables.


def score(image: str, model: str, psnr: float, prep: str = "FFPE", scale: float = 2.0) -> Score:
    return Score("monuseg", prep, image, "B", scale, model, psnr + 1, psnr, psnr / 100, psnr / 110)


@pytest.fixture
def scores() -> list[Score]:
    return [
        score("a", BICUBIC, 30.0),
        score("a", "net", 33.0),
        score("b", BICUBIC, 32.0),
        score("b", "net", 34.0),
        score("c", BICUBIC, 40.0, prep="frozen"),
        score("c", "net", 39.5, prep="frozen"),
    ]


def test_groups_are_the_whole_set_and_each_preparation(scores: list[Score]) -> None:
    by_group = {(s.group, s.model): s for s in summarise(scores)}
    assert {group for group, _ in by_group} == {"monuseg", "monuseg, FFPE", "monuseg, frozen"}
    assert [by_group[group, "net"].n for group in ("monuseg", "monuseg, FFPE", "monuseg, frozen")] == [
        3,
        2,
        1,
    ]


def test_a_summary_by_hand(scores: list[Score]) -> None:
    net = next(s for s in summarise(scores) if (s.group, s.model) == ("monuseg", "net"))
    mean = (33 + 34 + 39.5) / 3
    assert net.mean[1] == pytest.approx(mean)
    assert net.mean[0] == pytest.approx(mean + 1)
    assert net.sd[1] == pytest.approx(
        math.sqrt(((33 - mean) ** 2 + (34 - mean) ** 2 + (39.5 - mean) ** 2) / 2)
    )
    assert net.gain_whole == pytest.approx((3 + 2 - 0.5) / 3)
    assert net.below == 1


def test_below_counts_an_image_below_in_the_shaved_protocol_alone(scores: list[Score]) -> None:
    scores[1] = replace(scores[1], psnr_shaved=30.5)
    net = next(s for s in summarise(scores) if (s.group, s.model) == ("monuseg, FFPE", "net"))
    assert net.below == 1


def test_two_infinities_are_no_gain() -> None:
    scores = [score("a", BICUBIC, math.inf), score("a", "net", math.inf)]
    net = summarise(scores)[1]
    assert (net.gain_whole, net.below) == (0.0, 0)


def test_markdown_shows_gains_flags_and_what_a_model_cannot_do(scores: list[Score]) -> None:
    scores += [score(i, "fixed", math.nan) for i in "abc"]
    lines = markdown(scores).splitlines()
    assert "| monuseg | 3 | B | net | 35.50 (+1.50)† |" in lines
    assert "| monuseg, FFPE | 2 | B | net | 33.50 (+2.50) |" in lines
    assert "| monuseg, frozen | 1 | B | net | 39.50 (-0.50)† |" in lines
    assert "| monuseg | 3 | B | fixed | - |" in lines
    ffpe = (
        "| x2 | net | 34.50 ± 0.71 | 33.50 ± 0.71 | 0.3350 ± 0.0071 | 0.3045 ± 0.0064 | +2.50 | +2.50 | 0 |"
    )
    assert ffpe in lines
    assert any(line.endswith("| **1 of 3** |") for line in lines)
    assert "| x2 | fixed | - | - | - | - | - | - | 0 |" in lines


def test_columns_are_in_order_of_scale(scores: list[Score]) -> None:
    scores += [replace(s, scale=1.5) for s in scores]
    header = next(line for line in markdown(scores).splitlines() if line.startswith("| images"))
    assert header == "| images | n | degradation | model | x1.5 | x2 |"


def test_resized_images_are_marked(scores: list[Score]) -> None:
    scores += [replace(score(i, "edsr", 31.0, prep), through=4) for i, prep in (("a", "FFPE"), ("b", "FFPE"))]
    lines = markdown(scores).splitlines()
    assert "| monuseg, FFPE | 2 | B | edsr | 31.00 (+0.00)†‡ |" in lines
    assert any(line.startswith("| x2 | edsr (x4, bicubic) | 32.00 ± 0.00 |") for line in lines)
    assert "‡ a fixed-scale model's image, resized by bicubic." in lines
