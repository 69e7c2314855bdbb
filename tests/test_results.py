"""The committed results: every table is what the committed scores give, whoever made them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from histoscale.experiments.cancer.experiment import cancer_again
from histoscale.experiments.compare.compare import compare_again
from histoscale.experiments.custom_task.experiment import judge_again
from histoscale.experiments.evaluate import markdown
from histoscale.experiments.glands.card import markdown as card_markdown
from histoscale.experiments.glands.experiment import glands_again
from histoscale.experiments.scoring import read_scores

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


def evaluated(folder: Path, output: Path) -> None:
    (output / "tables.md").write_text(markdown(read_scores(folder / "scores.csv")), encoding="utf-8")


def compared(folder: Path, output: Path) -> None:
    for name in ("scores.csv", "settings.json", "frechet.csv"):
        if (folder / name).exists():
            shutil.copy(folder / name, output)
    compare_again(output / "scores.csv", output)


def glands(folder: Path, output: Path) -> None:
    glands_again(folder / "scores.csv", output)


def judge(folder: Path, output: Path) -> None:
    judge_again(folder / "scores.csv", output)


def cancer(folder: Path, output: Path) -> None:
    cancer_again(ROOT / "runs" / "cancer.toml", folder / "predictions.csv", output)


def compared_or_evaluated(folder: Path, output: Path) -> None:
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    (compared if "presets" in settings else evaluated)(folder, output)


MAKERS: dict[str, Callable[[Path, Path], None]] = {
    "settings.json": compared_or_evaluated,
    "card.json": glands,
    "run.json": judge,
    "predictions.csv": cancer,
}
"""By a file that only the results of one verb have; a table of any other verb fails until it is here."""
FOLDERS = sorted(path.parent for path in RESULTS.rglob("tables.md"))


def test_results_are_committed() -> None:
    assert len(FOLDERS) >= len(MAKERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_committed_tables_are_those_of_the_committed_scores(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HISTOSCALE_DATA", raising=False)  # a clone has no images; tables need none
    (make,) = (maker for mark, maker in MAKERS.items() if (folder / mark).exists())
    make(folder, tmp_path)
    assert (tmp_path / "tables.md").read_bytes() == (folder / "tables.md").read_bytes()


@pytest.mark.parametrize("folder", [path.parent for path in RESULTS.rglob("card.json")], ids=lambda p: p.name)
def test_committed_cards_are_written_from_their_json(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert (folder / "card.md").read_text(encoding="utf-8") == card_markdown(card)
