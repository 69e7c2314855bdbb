"""Frechet distances of the methods' images, column by column, and their CSV."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histoscale import weights
from histoscale.data.manifest import find_images
from histoscale.errors import DataError, OutputError
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.features import FeatureChoice, FeatureStore
from histoscale.experiments.compare.frechet import Distance, measure, merged, read_distances
from histoscale.experiments.compare.report import frechet_markdown, latex
from histoscale.experiments.frechet_distance import compare_images, load_extractor
from histoscale.experiments.images import make_pair, plan_cases, upscale_each
from histoscale.experiments.methods import read_methods
from histoscale.experiments.results import rows_as_text
from histoscale.experiments.scoring import ScoringJob, plan_jobs, score_jobs
from histoscale.io.image_reader import read_rgb
from histoscale.models.extractors.base import FeatureExtractor
from histoscale.resources import Compute

PATCH_PX = 10
FEATURES = FeatureChoice(patch_px=PATCH_PX)
ALONE = Compute("cpu", "fp32")


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return load_extractor("tissue")


def jobs_of(
    images: Path, words: list[str], scales: tuple[float, ...], allow_resize: bool = False
) -> list[ScoringJob]:
    cases = plan_cases(find_images(images), scales, ["B"])
    return plan_jobs(cases, read_methods(words), allow_resize)


def measured(jobs: list[ScoringJob], path: Path, patch_px: int = PATCH_PX) -> list[Distance]:
    store = FeatureStore(path, frozenset(job.case.scale for job in jobs), FeatureChoice(patch_px=patch_px))
    list(score_jobs(jobs, ALONE, store.watch))
    return list(measure(jobs, store))


def test_distances_are_those_of_the_images(
    images: Path, folder: Path, tmp_path: Path, extractor: FeatureExtractor
) -> None:
    source = str(folder / "a.safetensors")
    found = measured(jobs_of(images, [f"mine={source}"], (2.0, 2.5)), tmp_path / "features")
    assert [(one.scale, one.model) for one in found] == [
        (scale, model) for scale in (2.0, 2.5) for model in ("bicubic", "mine")
    ]
    pairs = [make_pair(read_rgb(record.path), 2.5, "B") for record in find_images(images)]
    models = {"mine": weights.load(source)}
    made = [list(upscale_each(lr, truth.shape[:2], models)) for lr, truth in pairs]
    for place, one in enumerate(found[2:]):
        pixels = [enlarged[place].bytes for enlarged in made]
        wanted = compare_images([truth for _, truth in pairs], pixels, extractor, PATCH_PX)
        assert one.distance == pytest.approx(wanted.distance, rel=1e-6)
        assert (one.n, one.extractor, one.patch_px) == (wanted.n, "histoscale-tissue", PATCH_PX)
    assert found[0].distance > 0


def test_only_scales_that_a_model_makes_itself_are_measured(
    images: Path, folder: Path, tmp_path: Path
) -> None:
    jobs = jobs_of(images, [f"edsr={folder / 'edsr-x2.safetensors'}"], (1.5, 2.0), allow_resize=True)
    found = [(one.scale, one.model) for one in measured(jobs, tmp_path / "features")]
    assert found == [(1.5, "bicubic"), (2.0, "bicubic"), (2.0, "edsr")]


def test_too_few_patches_have_no_distance(images: Path, tmp_path: Path) -> None:
    (found,) = measured(jobs_of(images, [], (2.0,)), tmp_path / "features", patch_px=20)
    assert (math.isnan(found.distance), found.n) == (True, 3 * 2 * 3)
    assert "| bicubic | - |" in frechet_markdown([found])


def test_features_are_missing_until_they_are_kept_and_again_of_other_weights(
    images: Path, folder: Path, tmp_path: Path
) -> None:
    store = FeatureStore(tmp_path / "features", frozenset({2.0}), FEATURES)
    (job, *_) = jobs_of(images, [f"net={folder / 'a.safetensors'}"], (2.0,))
    assert store.missing(job) == {"bicubic", "net"}
    list(score_jobs([job], ALONE, store.watch))
    assert store.missing(job) == set()
    kept = store.read(job)["net"]
    (other, *_) = jobs_of(images, [f"net={folder / 'b.safetensors'}"], (2.0,))
    assert store.missing(other) == {"net"}
    list(score_jobs([other], ALONE, store.watch))
    assert np.array_equal(store.read(job)["net"], kept)
    assert not np.array_equal(store.read(other)["net"], kept)
    assert replace(store, choice=FeatureChoice(patch_px=12)).missing(job) == {"bicubic", "net"}
    assert replace(store, scales=frozenset({3.0})).missing(job) == set()


def test_damaged_features_are_made_again(images: Path, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", frozenset({2.0}), FEATURES)
    (job, *_) = jobs_of(images, [], (2.0,))
    list(score_jobs([job], ALONE, store.watch))
    whole = store.read(job)["bicubic"]
    (file,) = (tmp_path / "features").rglob("*.npz")
    for damage in (b"", file.read_bytes()[:200], b"something else"):
        file.write_bytes(damage)
        assert store.missing(job) == {"bicubic"}
        list(score_jobs([job], ALONE, store.watch))
        assert np.array_equal(store.read(job)["bicubic"], whole)


def test_features_that_cannot_be_written_are_one_sentence(images: Path, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("mine")
    store = FeatureStore(tmp_path / "features", frozenset({2.0}), FEATURES)
    with pytest.raises(OutputError, match=r"features.* cannot be written: .*\.$"):
        list(score_jobs(jobs_of(images, [], (2.0,)), ALONE, store.watch))


def test_a_stopped_job_keeps_no_features(images: Path, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features", frozenset({2.0}), FEATURES)
    (job, *_) = jobs_of(images, [], (2.0,))
    lr, truth = make_pair(read_rgb(job.case.record.path), 2.0, "B")
    watched = store.watch(job, truth, upscale_each(lr, truth.shape[:2], {}))
    next(watched)
    watched.close()
    assert store.missing(job) == {"bicubic"}
    assert not list((tmp_path / "features").rglob("*.*"))


def distance(model: str, scale: float, figure: float, n: int = 90) -> Distance:
    return Distance("glas", "B", scale, model, figure, n, "histoscale-tissue", 96)


def test_the_table_is_made_from_the_file(tmp_path: Path) -> None:
    rows = [
        distance("bicubic", 2.0, 1 / 3),
        distance("iste#0", 2.0, 0.1),
        distance("iste#1", 2.0, 0.2),
        distance("liif*", 2.0, 0.12),
        distance("edsr", 2.0, 0.05),
        distance("bicubic", 2.4, 0.5, n=80),
        distance("iste#0", 2.4, 0.625),
        distance("iste#1", 2.4, math.nan),
        distance("liif*", 2.4, math.nan),
        replace(distance("bicubic", 2.0, 0.7), dataset="monuseg"),
    ]
    (tmp_path / "frechet.csv").write_text(rows_as_text(Distance, rows))
    read = read_distances(tmp_path / "frechet.csv")
    np.testing.assert_equal([vars(one) for one in read], [vars(one) for one in rows])
    printed = frechet_markdown(read)
    assert printed == frechet_markdown(rows)
    assert printed.count("### Table 3") == 2
    assert "n = 80 to 90 patches of 96 px" in printed
    assert "| bicubic | 0.333 | **0.500** |" in printed
    assert "| iste | 0.150 | 0.625 |" in printed
    assert "| liif\\* | **0.120** | - |" in printed
    assert "| edsr" not in printed
    assert "Left out because they do not make every scale: edsr." in printed
    assert "†" not in printed
    marked = frechet_markdown(read, ["liif*", "edsr"])
    assert "| liif\\*† | **0.120** | - |" in marked
    assert "†: undertrained" in marked
    assert "†: undertrained" not in frechet_markdown(read, ["edsr"])
    in_latex = latex(Comparison((), "iste", [], [], tuple(read)))
    assert in_latex.count("\\begin{tabular}{lcc}") == 1
    assert "method & $\\times$2 & $\\times$2.4 \\\\" in in_latex
    assert "bicubic & 0.333 & \\textbf{0.500} \\\\" in in_latex
    assert "liif$^{*}$ & \\textbf{0.120} & - \\\\" in in_latex


def test_rows_without_a_scale_in_common_all_stay() -> None:
    printed = frechet_markdown([distance("a", 2.0, 0.5), distance("b", 3.0, 0.4)])
    assert "| a | **0.500** | - |" in printed
    assert "| b | - | **0.400** |" in printed
    assert "Left out" not in printed


def test_what_is_not_measured_again_stays_unless_its_features_are_others() -> None:
    old = [distance("liif", 2.0, 0.5), distance("iste", 2.0, 0.4)]
    new = [distance("iste", 2.0, 0.3)]
    assert merged(old, new, {}) == [old[0], *new]
    assert merged(old, [], {}) == old
    assert merged([replace(old[0], patch_px=60)], new, {}) == new


def test_something_else_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("dataset,scale\nglas,2\n")
    with pytest.raises(DataError, match=r"other\.csv is not a table"):
        read_distances(tmp_path / "other.csv")
