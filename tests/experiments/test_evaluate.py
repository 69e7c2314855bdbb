"""The verb: weights and a folder in, three files out that agree with each other; refusals before any work."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale import weights
from histoscale.errors import ConfigError, DataError, InputError, OutputError, ScaleError, WeightsError
from histoscale.experiments.evaluate import FILES, evaluate, name_models
from histoscale.experiments.scores import BICUBIC, read_scores, summarise
from histoscale.experiments.tables import markdown
from histoscale.models.catalog import build
from histoscale.resources import find_device, find_precision

TINY = {"blocks": 1, "channels": 8, "hidden": 8, "waves": 3}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny untrained weights, away enough from bicubic to be told from it."""
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    torch.manual_seed(0)
    model = build("iste-fast", **TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    nothing = {"data": [], "licence": "none", "recipe": {}, "metrics": {}, "limits": [], "scales": (1, 4)}
    weights.save(path, model, {"architecture": {"name": "iste-fast", "arguments": TINY}, **nothing})
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "tissue"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        rough = Image.fromarray(rng.integers(0, 256, (12, 14, 3), dtype=np.uint8))
        rough.resize((90, 80), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


def test_files_agree_with_the_scores_and_the_tables_are_made_from_them(
    net: Path, pictures: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    scores = evaluate([net], pictures, out, scales=(2, 3.3), progress=lambda *done: seen.append(done))
    assert len(scores) == 2 * 2 * 2 * 2  # images, degradations, scales, models
    assert {s.model for s in scores} == {BICUBIC, "net"}
    assert seen == [(done, 8) for done in range(1, 9)]
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert read_scores(out / "scores.csv") == scores
    assert (out / "tables.md").read_text() == markdown(read_scores(out / "scores.csv"))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"]["models"]["net"]["sha256"] == weights.card(net).sha256
    means = [s["mean"]["psnr_whole"] for s in summary["summaries"]]
    assert means == [s.mean[1] for s in summarise(scores)]


@pytest.mark.slow
def test_worker_processes_find_the_same(net: Path, pictures: Path, tmp_path: Path) -> None:
    wanted = {"scales": (2,), "degradations": ("B",)}
    alone = evaluate([net], pictures, tmp_path / "alone", **wanted)
    shared = evaluate([net], pictures, tmp_path / "shared", workers=2, **wanted)
    assert [(s.image, s.model) for s in alone] == [(s.image, s.model) for s in shared]
    assert [s.psnr_whole for s in alone] == pytest.approx([s.psnr_whole for s in shared], abs=1e-3)


@pytest.mark.slow
def test_a_failure_in_a_worker_is_the_same_sentence(net: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png cannot be scored at x40: "):
        evaluate([net], pictures, tmp_path / "out", scales=(40,), workers=2)


def test_bicubic_alone_needs_no_weights_and_a_single_picture_will_do(pictures: Path, tmp_path: Path) -> None:
    scores = evaluate([], pictures / "a.png", tmp_path / "out", scales=(2,), degradations=("none",))
    assert [(s.dataset, s.image, s.model) for s in scores] == [("tissue", "a", BICUBIC)]


def test_a_fixed_scale_model_at_another_scale(pictures: Path, tmp_path: Path) -> None:
    arguments = {"scale": 2, "blocks": 1, "channels": 8}
    card = {"architecture": {"name": "edsr", "arguments": arguments}, "data": [], "scales": (2, 2)}
    path = tmp_path / "edsr.safetensors"
    weights.save(path, build("edsr", **arguments), card)
    wanted = {"scales": (2, 3.3), "degradations": ("B",)}
    strict = [s for s in evaluate([path], pictures, tmp_path / "a", **wanted) if s.model == "edsr"]
    resized = [
        s
        for s in evaluate([path], pictures, tmp_path / "b", allow_resize=True, **wanted)
        if s.model == "edsr"
    ]
    assert [np.isnan(s.psnr_whole) for s in strict] == [False, True] * 2
    assert [s.through for s in resized] == [0, 2] * 2
    assert [s.psnr_whole for s in resized][::2] == [s.psnr_whole for s in strict][::2]
    assert not any(np.isnan(s.psnr_whole) for s in resized)
    assert {s.weights for s in resized} == {weights.card(path).sha256[:12]}


def test_results_are_replaced_only_when_asked(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate([], pictures, out, scales=(2,))
    before = (out / "scores.csv").read_bytes()
    with pytest.raises(OutputError, match=r"scores\.csv exists already"):
        evaluate([], pictures, out, scales=(3,))
    assert (out / "scores.csv").read_bytes() == before
    evaluate([], pictures, out, scales=(3,), overwrite=True)
    assert {s.scale for s in read_scores(out / "scores.csv")} == {3.0}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"models": ["no-such-net"]}, WeightsError, "no-such-net"),
        ({"data": Path("nowhere")}, DataError, "nowhere"),
        ({"scales": (2, 0.5)}, ScaleError, r"at least 1, got 0\.5"),
        ({"degradations": ("F",)}, ConfigError, "got F"),
        ({"device": "abacus"}, ConfigError, "There is no device abacus here: try auto or cpu"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    wrong: dict[str, object], error: type[Exception], words: str, pictures: Path, tmp_path: Path
) -> None:
    arguments = {"models": [], "data": pictures, "output": tmp_path / "out", **wrong}
    with pytest.raises(error, match=words) as caught:
        evaluate(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_while_writing_leaves_the_earlier_results(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    evaluate([], pictures, out, scales=(2,), precision="auto")
    settings = json.loads((out / "summary.json").read_text())["settings"]
    device = find_device("auto")
    assert settings["device"] == str(device)
    assert settings["precision"] == find_precision("auto", device)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def stop(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("histoscale.experiments.evaluate.markdown", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate([], pictures, out, scales=(3,), overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_output_that_is_a_file_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"out.* cannot be written: .+\.$"):
        evaluate([], pictures, tmp_path / "out")


def test_models_are_named_by_their_file_and_two_of_one_name_are_refused() -> None:
    assert name_models(["iste-fast", Path("run/net.safetensors"), "bicubic"]) == (
        ("iste-fast", "iste-fast"),
        ("net", "run/net.safetensors"),
    )
    for twice in (["a/net.safetensors", "b/net.safetensors"], ["x/bicubic.safetensors"]):
        with pytest.raises(ConfigError, match="a name of its own"):
            name_models(twice)


def test_on_real_tissue(data_root: Path, net: Path, tmp_path: Path) -> None:
    scores = evaluate(
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
        evaluate([], data_root, tmp_path / "out", sets=["tcga"])
    with pytest.raises(DataError, match="has no split exam"):
        evaluate([], data_root, tmp_path / "out", split="exam")
