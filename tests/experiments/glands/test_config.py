"""Run files: the one that ships can be read; mistakes are explained in a sentence."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError
from histoscale.experiments.glands.config import read_gland_run


def test_the_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    run = read_gland_run(Path("runs/glands.toml"))
    assert run.kinds == ("original", "lr", "bicubic", "iste-fast", "iste", "iste-plus-plain")
    assert len(run.seeds) >= 3
    assert run.data.root == Path("/data")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps = 60", "stepz = 60", "unknown key training.stepz; known here are steps, batch"),
        ('label = "fast"', 'label = "lr"', "called lr"),
        ("seeds = [1]", "seeds = [1, 1]", "seeds has a seed twice"),
        ("seeds = [1]", "seeds = []", "seeds: "),
        ("patch_px = 48", "patch_px = 50", "training.patch_px .* 8"),
        ("residual_units = 1", "shrink = 3", "network.shrink .* 2"),
        ("residual_units = 1", "shrink = 0", "network.shrink: "),
        ("scale = 2", "scale = 1", "data.scale: "),
        ("scale = 2", 'split = "mine"', "data.split: "),
        ("[data]", "[data", "is not valid TOML"),
    ],
)
def test_a_wrong_run_is_explained(run_file: Path, old: str, new: str, words: str) -> None:
    run_file.write_text(run_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        read_gland_run(run_file)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_gland_run(tmp_path / "none.toml")
