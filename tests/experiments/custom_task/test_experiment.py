"""A custom task from start to end, resumed, and its errors."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from histoscale.errors import ConfigError, DataError, HistoscaleError, OutputError
from histoscale.experiments.custom_task.experiment import Judged, judge_again
from histoscale.experiments.custom_task.experiment import judge as judge_selection
from histoscale.experiments.custom_task.report import TaskScore, tables_of
from histoscale.experiments.images import ImageSelection
from histoscale.experiments.results import read_rows

CALLS = "import pathlib\nlog = pathlib.Path(__file__).with_name('calls.txt')\n"
SIDES = f"""{CALLS}
def predict(image, sample):
    with log.open('a') as stream:
        print(sample.id, image.shape, sample.scale, sample.size, sample.mask is not None, file=stream)
    return {{'side': image.shape[0], 'level': image.mean()}}
"""

Written = Callable[[str], str]


def judge(task: str, data: Path, output: Path, models: Sequence[str] = (), **options: Any) -> Judged:
    chosen = {name: options.pop(name) for name in ("split", "crop_px") if name in options}
    degradations = (options.pop("degradation", "none"),)
    return judge_selection(
        task, ImageSelection(data, degradations=degradations, **chosen), output, models, **options
    )


def test_every_setting_is_scored(tissue: Path, written: Written, tmp_path: Path) -> None:
    found = judge(written(SIDES), tissue, tmp_path / "out", ["fast=iste-fast"], crop_px=50, scale=3)
    calls = (tmp_path / "calls.txt").read_text().splitlines()
    assert calls[:4] == [
        "p (48, 48, 3) 1.0 (48, 48) True",
        "p (16, 16, 3) 3.0 (48, 48) True",
        "p (48, 48, 3) 1.0 (48, 48) True",
        "p (48, 48, 3) 1.0 (48, 48) True",
    ]
    assert calls[8].endswith("False")
    assert len(calls) == 12
    side = next(table for table in found.tables if table.measure == "side")
    assert [row.setting for row in side.rows] == ["original", "low resolution", "bicubic", "fast"]
    assert [row.mean for row in side.rows] == [48, 16, 48, 48]
    assert side.rows[1].of_original == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert side.rows[3].recovered == (1, 1, 1)
    assert "| fast | 48.000 ± 0.000 | 100% [100%, 100%] | 100% [100%, 100%] |" in found.text
    assert "- fast: glas train (95 images), monuseg train (21 images)" in found.text


def test_the_tables_come_from_the_scores_alone(tissue: Path, written: Written, tmp_path: Path) -> None:
    found = judge(written(SIDES), tissue, tmp_path / "out", scale=2, crop_px=32)
    assert repr(tables_of(read_rows(tmp_path / "out" / "scores.csv", TaskScore))) == repr(found.tables)
    assert (tmp_path / "out" / "tables.md").read_text() == found.text
    assert judge_again(tmp_path / "out" / "scores.csv", tmp_path / "again").text == found.text
    assert (tmp_path / "again" / "tables.md").read_text() == found.text


def test_it_resumes_where_it_was_stopped(tissue: Path, written: Written, tmp_path: Path) -> None:
    task = f"{SIDES}    \n" + "real = predict\ndef predict(image, sample):\n    if sample.id == 'q' and not "
    task += "log.with_name('go').exists():\n        raise KeyboardInterrupt\n    return real(image, sample)\n"
    with pytest.raises(KeyboardInterrupt):
        judge(written(task), tissue, tmp_path / "out", scale=2, crop_px=32)
    assert not (tmp_path / "out" / "scores.csv").exists()
    (tmp_path / "go").touch()
    judge(written(task), tissue, tmp_path / "out", scale=2, crop_px=32)
    calls = [line.split()[0] for line in (tmp_path / "calls.txt").read_text().splitlines()]
    assert calls == [*"pppqqqrrr"]
    with (tmp_path / "out" / "scores.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 3 * 3 * 2
    assert not (tmp_path / "out" / "scores.partial.csv").exists()


def test_an_incomplete_line_is_scored_again(tissue: Path, written: Written, tmp_path: Path) -> None:
    whole = judge(written(SIDES), tissue, tmp_path / "out", scale=2, crop_px=32)
    scores = tmp_path / "out" / "scores.csv"
    (tmp_path / "out" / "scores.partial.csv").write_text(scores.read_text()[:-60])
    assert judge(written(SIDES), tissue, tmp_path / "out", scale=2, crop_px=32).text == whole.text


def test_another_task_needs_another_folder(tissue: Path, written: Written, tmp_path: Path) -> None:
    judge(written(SIDES), tissue, tmp_path / "out", scale=2, crop_px=32)
    with pytest.raises(OutputError, match=r"scale 2, not 4.*--overwrite"):
        judge(written(SIDES), tissue, tmp_path / "out", scale=4, crop_px=32)
    other = SIDES.replace("'side'", "'height'")
    with pytest.raises(OutputError, match="task predict of"):
        judge(written(other), tissue, tmp_path / "out", scale=2, crop_px=32)
    found = judge(written(other), tissue, tmp_path / "out", scale=2, crop_px=32, overwrite=True)
    assert [table.measure for table in found.tables] == ["height", "level"]


def test_an_error_keeps_the_other_images(tissue: Path, written: Written, tmp_path: Path) -> None:
    task = "def predict(image, sample):\n    return sample.mask.mean()\n"
    with pytest.raises(HistoscaleError, match=r"line 2, on image r \(original\): AttributeError: 'NoneType'"):
        judge(written(task), tissue, tmp_path / "out", scale=2)
    kept = read_rows(tmp_path / "out" / "scores.partial.csv", TaskScore)
    assert {row.image for row in kept} == {"drawn/p", "drawn/q"}


def test_images_that_lack_a_measure_are_left_out(tissue: Path, written: Written, tmp_path: Path) -> None:
    more = "({'b': 2.0} if sample.mask is not None else {})"
    task = f"def predict(image, sample):\n    return {{'a': 1.0}} | {more}\n"
    first, second = judge(written(task), tissue, tmp_path / "out", scale=2).tables
    assert (first.measure, first.n, second.measure, second.n) == ("a", 3, "b", 2)


def test_the_shipped_task_runs(tissue: Path, tmp_path: Path) -> None:
    (tissue / "manifest.csv").write_text(
        (tissue / "manifest.csv").read_text().replace("drawn,test,r,", "drawn,val,r,")
    )
    found = judge("nuclei", tissue, tmp_path / "out", ["iste-fast"], scale=4)
    dice = next(table for table in found.tables if table.measure == "dice")
    original, _, bicubic, fast = (row.mean for row in dice.rows)
    assert original > 0.9
    assert min(bicubic, fast) > 0.5
    assert found.text.startswith("# nuclei at x4\n")


@pytest.mark.parametrize(
    ("models", "options", "error", "sentence"),
    [
        (["bicubic=iste-fast"], {}, ConfigError, "called bicubic"),
        (["iste-fast", "iste-fast"], {}, ConfigError, "called iste-fast"),
        ([], {"scale": 0.5}, HistoscaleError, "at least 1.*0.5"),
        ([], {"degradation": "E"}, ConfigError, "degradation E"),
        ([], {"split": "nowhere"}, DataError, "has no split nowhere"),
        ([], {"scale": 200}, HistoscaleError, r"p\.png .* x200: .* 96 x 96 pixels .* 200 pixels"),
    ],
)
def test_mistakes(
    models: list[str],
    options: dict[str, object],
    error: type[Exception],
    sentence: str,
    tissue: Path,
    written: Written,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=sentence):
        judge(written(SIDES), tissue, tmp_path / "out", models, **options)


def test_a_mask_of_another_size(tissue: Path, written: Written, tmp_path: Path) -> None:
    manifest = tissue / "manifest.csv"
    from PIL import Image

    Image.new("L", (5, 5)).save(tissue / "small.png")
    manifest.write_text(manifest.read_text().replace("q-mask.png", "small.png"))
    with pytest.raises(DataError, match=r"small\.png has 5 x 5 pixels.*q\.png has 96 x 96"):
        judge(written(SIDES), tissue, tmp_path / "out", scale=2)
