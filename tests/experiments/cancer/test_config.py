"""The run file: defaults, the one that ships, and mistakes in a sentence."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError
from histoscale.experiments.cancer.config import CancerRun
from histoscale.run_file import read_tables

ROOT = Path(__file__).resolve().parents[3]


def test_settings_in_order(run: CancerRun) -> None:
    assert run.kinds == ("original", "low resolution", "bicubic", "fast")
    assert run.tested_against == "fast"
    assert run.model_copy(update={"reference": ""}).tested_against == "fast"


def test_the_run_file_that_ships(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", str(tmp_path))
    run = read_tables(ROOT / "runs" / "cancer.toml", CancerRun)
    assert len(run.seeds) >= 3
    assert run.scale == 2
    assert {"liif", "iste"} <= set(run.sources)
    assert [task.name for task in run.data.tasks] == ["malignant", "gland"]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("depth = 10", "depth = 11", r"classifier\.depth: input should be 10, 18, 34, 50, 101 or 152"),
        ("steps = 3", "epochs = 3", r"unknown key classifier\.epochs; known here are depth, steps"),
        ('reference = "fast"', 'reference = "liif"', "reference liif is not one of original"),
        ('patches = "patches.csv"', 'pcam = "x"', "tasks .* pcam"),
        ('name = "light"', 'name = "striped"', "tasks has a name twice"),
        ('patches = "patches.csv"', 'patches = "p.csv"\npcam = "x"', "either patches or pcam"),
    ],
)
def test_mistakes(before: str, after: str, sentence: str, listed: Path) -> None:
    text = listed.read_text()
    assert before in text
    listed.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError, match=sentence):
        read_tables(listed, CancerRun)


def test_a_variable_that_is_not_set(listed: Path) -> None:
    listed.write_text(listed.read_text().replace('root = "', 'root = "$NOT_SET_ANYWHERE'))
    run = read_tables(listed, CancerRun)
    with pytest.raises(
        ConfigError, match=r"data\.root: \$NOT_SET_ANYWHERE.* names a variable that is not set"
    ):
        run.data.expanded()
