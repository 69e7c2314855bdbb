"""Sizes of glands, and which images a super-resolution model has seen, from its card."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.workflows.glands.material import GlandImage
from histoscale.workflows.glands.run_file import BICUBIC, Enlarger, read_gland_run
from histoscale.workflows.glands.scoring import by_size, was_seen


def test_by_size() -> None:
    areas = np.array([50, 199, 200, 399, 400, 9000])
    assert by_size(areas, np.ones(6, bool), (200, 400)) == (2, 2, 2)
    assert by_size(areas, np.array([True, False, True, False, False, True]), (200, 400)) == (1, 1, 1)
    assert by_size(areas[:0], np.ones(0, bool), (200, 400)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("set_name", "split", "kind", "seen"),
    [
        ("glas", "train", "fast", "yes"),
        ("glas", "test", "fast", "no"),
        ("drawn", "train", "fast", "no"),
        ("glas", "train", BICUBIC, ""),
    ],
)
def test_what_was_seen(run_file: Path, set_name: str, split: str, kind: str, seen: str) -> None:
    """The weights that ship were trained on GlaS's training images."""
    run = read_gland_run(run_file).model_copy(
        update={"models": (Enlarger(label="fast", weights="iste-fast"),)}
    )
    image = GlandImage("a", set_name, Path("a.png"), Path("m.png"), "test", split)
    assert was_seen(run, image, kind) == seen
