"""Comparison: rows, resuming, tables from the scores alone, and errors before any work."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import ConfigError, InputError, OutputError, WeightsError
from histoscale.experiments.compare.compare import TABLES, compare, compare_again, write_latex
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.features import FeatureChoice
from histoscale.experiments.compare.paper_tables import PRESETS, Preset, find_presets
from histoscale.experiments.images import ImageSelection
from histoscale.experiments.scoring import ScoringJob, read_scores, score_jobs
from histoscale.resources import Compute

SCORES, PARTIAL, SETTINGS = "scores.csv", "scores.partial.csv", "settings.json"
OF_IMAGES = ("sets", "split", "degradations", "limit", "crop_px")
OF_COMPUTE = ("device", "precision", "workers")
PRESET = Preset("scales", "Some", (2.0, 2.4, 3.0))


@pytest.fixture
def models(folder: Path) -> list[str]:
    edsr = [f"edsr={folder}/edsr-x{scale}.safetensors" for scale in (2, 3)]
    return [*edsr, f"net#1={folder}/a.safetensors", f"net#2={folder}/b.safetensors"]


def run(models: Sequence[str], data: Path, output: Path, **options: Any) -> Comparison:
    images = {name: options.pop(name) for name in OF_IMAGES if name in options}
    compute = {"precision": "fp32"} | {name: options.pop(name) for name in OF_COMPUTE if name in options}
    presets = options.pop("presets", [PRESET])
    return compare(
        models, ImageSelection(data, **images), output, presets, compute=Compute(**compute), **options
    )


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def test_labels_scales_and_seeds_are_rows(models: list[str], images: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    made = run(models, images, tmp_path / "out", progress=lambda share, _: seen.append(share))
    assert seen == [done / 9 for done in range(1, 10)]  # three images, three scales
    assert set(contents(tmp_path / "out")) == {SCORES, SETTINGS, TABLES}
    table = made.tables[0]
    assert list(table.rows) == ["bicubic", "edsr", "net"]
    assert [cell.is_empty for cell in table.rows["edsr"]] == [False, False, True, True, False, False]
    assert table.seeds["net"] == 2
    assert (table.reference, table.n, table.group) == ("net", 3, "tissue")
    scores = read_scores(tmp_path / "out" / SCORES)
    used = {(s.model, s.scale, s.weights) for s in scores if s.model == "edsr"}
    assert len({weights for _, _, weights in used}) == 2


def test_resized_cells_are_there_and_marked(models: list[str], images: Path, tmp_path: Path) -> None:
    made = run(models[:2], images, tmp_path / "out", allow_resize=True, presets=find_presets([], [2.4, 3]))
    assert [cell.through for cell in made.tables[0].rows["edsr"]] == [3, 3, 0, 0]
    assert "‡" in (tmp_path / "out" / "tables.md").read_text()
    strict = run(models[:2], images, tmp_path / "strict", presets=find_presets([], [2.4, 3]))
    assert [cell.is_empty for cell in strict.tables[0].rows["edsr"]] == [True, True, False, False]


class Stopped(KeyboardInterrupt):
    """Ctrl-C."""


def stopping_after(jobs_done: int) -> Callable[..., Any]:
    def score(jobs: Sequence[ScoringJob], *others: Any) -> Any:
        for done, found in enumerate(score_jobs(jobs, *others)):
            if done == jobs_done:
                raise Stopped
            yield found

    return score


def test_a_stopped_comparison_is_resumed_to_the_same_files(
    models: list[str], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(models, images, tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("histoscale.experiments.scoring.score_jobs", stopping_after(4))
        with pytest.raises(Stopped):
            run(models, images, out)
    assert set(contents(out)) == {PARTIAL, SETTINGS}
    with (out / PARTIAL).open("a") as torn:
        torn.write("tissue,,r,B,3.0,ed")
    with pytest.raises(OutputError, match=r"--overwrite .* --resume"):
        run(models, images, out)
    seen: list[float] = []
    run(models, images, out, resume=True, progress=lambda share, _: seen.append(share))
    assert seen == [done / 9 for done in range(5, 10)]
    assert contents(out) == contents(tmp_path / "whole")


def test_models_and_scales_are_added_to_a_finished_one(
    models: list[str], images: Path, tmp_path: Path
) -> None:
    run(models, images, tmp_path / "whole")
    out = tmp_path / "out"
    run(models[:2], images, out, presets=find_presets([], [2]))
    run(models, images, out, resume=True)
    assert contents(out) == contents(tmp_path / "whole")


def test_rows_of_other_weights_are_made_anew(
    models: list[str], folder: Path, images: Path, tmp_path: Path
) -> None:
    one = find_presets([], [2])
    run([f"net={folder}/a.safetensors"], images, tmp_path / "out", presets=find_presets([], [2, 3]))
    run([f"net={folder}/b.safetensors"], images, tmp_path / "out", presets=one, resume=True)
    run([f"net={folder}/b.safetensors"], images, tmp_path / "fresh", presets=one)
    of_net = [
        [s for s in read_scores(tmp_path / name / SCORES) if s.model == "net"] for name in ("out", "fresh")
    ]
    assert of_net[0] == of_net[1]  # at x3 too, where nothing replaces the rows of the other weights


def test_other_settings_are_not_resumed(models: list[str], images: Path, tmp_path: Path) -> None:
    run(models[:1], images, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(OutputError, match="crop_px None, not 40"):
        run(models[:1], images, tmp_path / "out", crop_px=40, resume=True)
    (tmp_path / "out" / SETTINGS).unlink()
    with pytest.raises(OutputError, match=r"settings\.json is missing"):
        run(models[:1], images, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == {k: v for k, v in before.items() if k != SETTINGS}
    run(models[:1], images, tmp_path / "out", crop_px=40, overwrite=True)
    assert json.loads((tmp_path / "out" / SETTINGS).read_text())["crop_px"] == 40


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"models": ["nobody"]}, WeightsError, "nobody"),
        ({"reference": "iste"}, ConfigError, "no row iste to test against: .* bicubic, edsr, net"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    wrong: dict[str, Any],
    error: type[Exception],
    words: str,
    models: list[str],
    images: Path,
    tmp_path: Path,
) -> None:
    given = {"models": models, "data": images, "output": tmp_path / "out", **wrong}
    with pytest.raises(error, match=words):
        run(**given)
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_scored_leave_earlier_results_unchanged(
    models: list[str], images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="cannot be scored at x2"):
        run(models[:1], images, out, crop_px=5)
    assert not out.exists()
    run(models[:1], images, out, presets=find_presets([], [2]))
    (out / "features").mkdir()
    before = contents(out)
    with pytest.raises(InputError, match="cannot be scored at x2"):
        run(models[:1], images, out, crop_px=5, overwrite=True)
    assert contents(out) == before
    assert (out / "features").is_dir()


def test_an_image_that_is_too_small_is_found_before_the_others_are_scored(
    models: list[str], images: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (60, 20)).save(images / "z.png")
    with pytest.raises(InputError, match=r"z\.png cannot be scored at x3: .* 18 pixels.* 20 x 60"):
        run(models[:1], images, tmp_path / "out", presets=find_presets([], [3]))
    assert not (tmp_path / "out").exists()


def test_a_mark_is_removed_with_its_weights(folder: Path, images: Path, tmp_path: Path) -> None:
    one = find_presets([], [2])
    run([f"a={folder}/a.safetensors"], images, tmp_path / "out", presets=one, undertrained=["a"])
    words = [f"a={folder}/a.safetensors", f"b={folder}/b.safetensors"]
    made = run(words, images, tmp_path / "out", presets=one, resume=True)
    assert made.tables[0].undertrained == ("a",)
    made = run([f"a={folder}/b.safetensors"], images, tmp_path / "out", presets=one, resume=True)
    assert made.tables[0].undertrained == ()


def test_tables_come_from_the_scores_alone(models: list[str], images: Path, tmp_path: Path) -> None:
    run(models, images, tmp_path / "out", reference="edsr")
    compare_again(tmp_path / "out" / SCORES, tmp_path / "again", [PRESET], reference="edsr")
    assert contents(tmp_path / "again") == {TABLES: contents(tmp_path / "out")[TABLES]}
    with pytest.raises(OutputError, match="exists already"):
        compare_again(tmp_path / "out" / SCORES, tmp_path / "again")
    made = compare_again(tmp_path / "out" / SCORES, tmp_path / "again", overwrite=True)
    assert made.presets[0].scales == PRESET.scales
    assert made.reference == "edsr"  # by the settings


def test_earlier_versions_kept_presets_and_reference_in_another_file(
    models: list[str], images: Path, tmp_path: Path
) -> None:
    run(models, images, tmp_path / "out", reference="edsr")
    before = json.loads((tmp_path / "out" / SETTINGS).read_text())
    told = {name: before.pop(name) for name in ("presets", "scales", "reference")}
    (tmp_path / "out" / SETTINGS).write_text(json.dumps(before))
    (tmp_path / "out" / "tables.json").write_text(
        json.dumps({"presets": ["scales"], "scales": [told["scales"]], "reference": told["reference"]})
    )
    made = compare_again(tmp_path / "out" / SCORES, tmp_path / "again")
    assert (made.reference, made.presets[0].scales) == ("edsr", PRESET.scales)
    run(models, images, tmp_path / "out", reference="edsr", resume=True)
    assert not (tmp_path / "out" / "tables.json").exists()


def test_latex_is_written_on_request(models: list[str], images: Path, tmp_path: Path) -> None:
    write_latex(run(models[:1], images, tmp_path / "out"), tmp_path / "out")
    text = (tmp_path / "out" / "tables.tex").read_text()
    assert text.count("\\begin{table}") == 2
    assert "\\multicolumn{2}{c}{$\\times$2.4}" in text


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """One image of 81 patches of 10 px: the features need more than 64."""
    path = tmp_path / "large"
    path.mkdir()
    rough = Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 30, 3), dtype=np.uint8))
    rough.resize((92, 92), Image.Resampling.BICUBIC).save(path / "p.png")
    return path


def run_frechet(models: Sequence[str], data: Path, output: Path, **options: Any) -> Comparison:
    return run(models, data, output, features=FeatureChoice(patch_px=10), **options)


FRECHET = Preset("table3", "At x4", (4.0,), any_scale_only=True, has_frechet=True)


def test_a_preset_may_have_frechet_distances(folder: Path, large: Path, tmp_path: Path) -> None:
    words = [f"liif={folder}/a.safetensors", f"iste={folder}/b.safetensors"]
    made = run_frechet(words, large, tmp_path / "out", presets=[FRECHET])
    assert [(one.model, one.scale, one.n) for one in made.distances] == [
        ("bicubic", 4, 81),
        ("liif", 4, 81),
        ("iste", 4, 81),
    ]
    liif, iste = (one.distance for one in made.distances[1:])
    claim = next(claim for claim in made.claims if claim.table == "Table 3")
    assert claim.verdict == ("holds" if iste < liif else "does not hold")
    assert claim.evidence == f"iste {iste:.3f}, liif {liif:.3f}"
    assert "### Table 3: Frechet distance. large" in (tmp_path / "out" / "tables.md").read_text()
    compare_again(tmp_path / "out" / SCORES, tmp_path / "again", [FRECHET])
    assert contents(tmp_path / "again") == {TABLES: contents(tmp_path / "out")[TABLES]}


def test_frechet_distances_are_resumed(
    folder: Path, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"liif={folder}/a.safetensors", f"iste={folder}/b.safetensors"]
    whole = run_frechet(words, large, tmp_path / "whole", presets=[FRECHET])
    out, alone = tmp_path / "out", find_presets([], [4])
    run_frechet(words[:1], large, out, presets=alone)
    made = run_frechet(words[:1], large, out, presets=[FRECHET], resume=True)  # scores, but no features
    assert [one.model for one in made.distances] == ["bicubic", "liif"]
    made = run_frechet(words, large, out, presets=[FRECHET], resume=True)
    assert made.distances == whole.distances
    monkeypatch.setattr("histoscale.experiments.images.upscale", lambda *_, **__: pytest.fail("made twice"))
    assert run_frechet(words, large, out, presets=[FRECHET], resume=True).distances == whole.distances
    assert run_frechet(words, large, out, presets=alone, resume=True).distances == whole.distances


def test_distances_of_other_weights_are_not_kept(folder: Path, large: Path, tmp_path: Path) -> None:
    run_frechet([f"liif={folder}/a.safetensors"], large, tmp_path / "out", presets=[FRECHET])
    retrained, alone = [f"liif={folder}/b.safetensors"], find_presets([], [4])
    made = run_frechet(retrained, large, tmp_path / "out", presets=alone, resume=True)
    assert [one.model for one in made.distances] == ["bicubic"]
    made = run_frechet(retrained, large, tmp_path / "out", presets=[FRECHET], resume=True)
    assert made.distances == run_frechet(retrained, large, tmp_path / "new", presets=[FRECHET]).distances


def test_replaced_results_take_no_features_of_earlier_ones(folder: Path, large: Path, tmp_path: Path) -> None:
    words = [f"iste={folder}/b.safetensors"]
    run_frechet(words, large, tmp_path / "out", presets=[FRECHET])
    before = Image.open(large / "p.png")
    before.transpose(Image.Transpose.ROTATE_90).save(large / "p.png")
    run_frechet(words, large, tmp_path / "out", presets=find_presets([], [4]), overwrite=True)
    made = run_frechet(words, large, tmp_path / "out", presets=[FRECHET], resume=True)
    assert made.distances == run_frechet(words, large, tmp_path / "new", presets=[FRECHET]).distances


def test_missing_features_are_found_before_the_work(models: list[str], images: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="inception need"):
        run(
            models,
            images,
            tmp_path / "out",
            presets=[PRESETS["table3"]],
            features=FeatureChoice("inception"),
        )
    assert not (tmp_path / "out").exists()


def test_missing_features_without_a_preset_for_them_are_no_error(
    models: list[str], images: Path, tmp_path: Path
) -> None:
    assert run(models, images, tmp_path / "out", features=FeatureChoice("inception")).distances == ()
