"""Fig. 1d: what counts as an edge, which photographs there are, and when there is nothing to compare."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.data.manifest import find_images
from histoscale.experiments.figures import edges as module
from histoscale.experiments.figures.edges import SCENES, SURFACES, bundled, edge_densities, edges, group_of
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material

Make = Callable[..., Material]


def step(width: int = 300) -> np.ndarray:
    """Black left, white right of a grey column in the middle."""
    image = np.zeros((280, width, 3), np.uint8)
    image[:, width // 2 :] = 255
    image[:, width // 2] = 128
    return image


def test_a_step_is_a_line_of_edges_and_a_flat_image_has_none() -> None:
    found = edges(step())
    assert found[10:-10].sum(axis=1).tolist() == [1] * 260
    assert not edges(np.full((40, 40, 3), 90, np.uint8)).any()


def test_a_group_measures_middles_and_leaves_small_images_out() -> None:
    flat = np.full((256, 256, 3), 90, np.uint8)
    group = group_of("some", [flat, step(), np.zeros((255, 400, 3), np.uint8)])
    assert [image.shape for image in group.images] == [(256, 256, 3)] * 2
    assert group.densities[0] == 0
    assert group.densities[1] == pytest.approx(1 / 256, rel=0.03)
    assert group.median_image is group.images[0]


@pytest.mark.parametrize("name", [*SCENES, *SURFACES])
def test_photographs_come_with_scikit_image(name: str) -> None:
    assert bundled(name).is_file()


def test_both_kinds_are_drawn_with_their_numbers(make: Make, tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray(step()).save(tmp_path / f"{name}.png")
    material = make("edsr")
    records = tuple(find_images(tmp_path))
    (drawn,) = edge_densities(Material(records, material.examples, material.models, 2.0, "B"))
    assert isinstance(drawn, Drawn)
    assert f"{tmp_path.name} 0.4 % (n = 2)" in drawn.caption
    assert "natural scenes" in drawn.caption
    assert len(drawn.figure.axes) == 1 + 2 * 3


def test_small_images_have_no_figure(make: Make) -> None:
    (remark,) = edge_densities(make("edsr"))
    assert isinstance(remark, LeftOut)
    assert "256 x 256" in remark.reason


def test_without_photographs_there_is_no_figure(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(step()).save(tmp_path / "a.png")
    material = make("edsr")
    monkeypatch.setattr(module, "bundled", lambda name: tmp_path / "nothing" / name)
    records = tuple(find_images(tmp_path))
    (remark,) = edge_densities(Material(records, material.examples, material.models, 2.0, "B"))
    assert isinstance(remark, LeftOut)
    assert "no photographs" in remark.reason
