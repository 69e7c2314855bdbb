"""Sizes of glands, and which images a super-resolution model has seen, from its card."""

from pathlib import Path

import numpy as np
import pytest

from histoscale.experiments.glands.config import BICUBIC, LR, ORIGINAL, Enlarger, read_gland_run
from histoscale.experiments.glands.data import GlandImage, Pictures, find_glands
from histoscale.experiments.glands.scoring import by_size, find, was_seen
from histoscale.experiments.glands.segmentation import build_unet


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


def test_a_shrunk_unet_sees_few_pixels_and_answers_at_full_resolution(run_file: Path, tmp_path: Path) -> None:
    text = run_file.read_text().replace("residual_units = 1", "residual_units = 1\nshrink = 2")
    run_file.write_text(text.replace("scale = 2", "scale = 4"))
    run = read_gland_run(run_file)
    network, seen = build_unet(run.network), list[tuple[int, ...]]()
    network.register_forward_pre_hook(lambda _, batch: seen.append(tuple(batch[0].shape[2:])))
    image = find_glands(run.data)[0]
    for kind in (ORIGINAL, BICUBIC, LR):
        assert find(network, Pictures(run, tmp_path), image, kind, run).shape == (64, 80)
    assert seen == [(32, 40), (32, 40), (16, 20)]
