"""Run files: the one that ships can be read; mistakes are explained in a sentence."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError
from histoscale.experiments.glands.config import GlandRun
from histoscale.run_file import read_tables


def test_the_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    run = read_tables(Path("runs/glands.toml"), GlandRun)
    assert run.kinds == ("original", "lr", "bicubic", "iste-fast", "iste", "iste-plus-plain")
    assert len(run.seeds) >= 3
    assert run.data.root == Path("/data")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps = 60", "stepz = 60", "unknown key training.stepz; known here are steps, batch"),
        ('label = "fast"', 'label = "lr"', "called lr"),
        ("patch_px = 48", "patch_px = 50", "training.patch_px .* 8"),
        ("residual_units = 1", "shrink = 3", "network.shrink .* 2"),
        ("residual_units = 1", "shrink = 0", "network.shrink: "),
        ("scale = 2", "scale = 1", "data.scale: "),
        ("scale = 2", 'split = "mine"', "data.split: "),
    ],
)
def test_a_wrong_run_is_explained(run_file: Path, old: str, new: str, words: str) -> None:
    run_file.write_text(run_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        read_tables(run_file, GlandRun)
