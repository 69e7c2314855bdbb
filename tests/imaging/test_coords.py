"""Positions of the pixels of one grid in another."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoscale.imaging.coords import denormalise, normalise, output_positions, rounded_size

quick = settings(deadline=None, max_examples=60)
sides = st.integers(1, 400)


@quick
@given(n_in=sides, n_out=sides)
def test_positions_are_the_papers_pixel_centres(n_in: int, n_out: int) -> None:
    centres = torch.tensor([-1 + (2 * i + 1) / n_out for i in range(n_out)], dtype=torch.float64)
    positions = output_positions(n_out, n_in)
    assert torch.allclose(normalise(positions, n_in), centres, atol=1e-12)
    assert torch.allclose(denormalise(centres, n_in), positions, atol=1e-12 * n_in)


@quick
@given(n=sides)
def test_at_scale_one_positions_are_indices(n: int) -> None:
    assert torch.allclose(output_positions(n, n), torch.arange(n, dtype=torch.float64), atol=1e-12 * n)


@quick
@given(n_in=sides, n_out=sides, cut=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_range_is_part_of_the_whole(n_in: int, n_out: int, cut: tuple[float, float]) -> None:
    start, stop = sorted(int(c * n_out) for c in cut)
    assert torch.equal(output_positions(n_out, n_in, start, stop), output_positions(n_out, n_in)[start:stop])


@quick
@given(side=sides, scale=st.floats(1, 8))
def test_rounded_size_is_the_nearest_whole_number_halves_up(side: int, scale: float) -> None:
    assert rounded_size(side, scale) == math.floor(side * scale + 0.5)


@pytest.mark.parametrize(
    ("side", "scale", "expected"), [(100, 2.7, 270), (5, 2.5, 13), (1, 1.4999, 1), (3, 1.5, 5)]
)
def test_rounded_size_by_hand(side: int, scale: float, expected: int) -> None:
    assert rounded_size(side, scale) == expected
