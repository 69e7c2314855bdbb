"""Tiles partition image and output exactly, for all sizes."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoscale.imaging.coords import output_positions, rounded_size
from histoscale.imaging.tiles import (
    SIMPLE_PERIOD_PX,
    cell_under,
    core_side,
    first_output,
    plan_tiles,
    span_over,
    split_axis,
    split_output,
)

quick = settings(deadline=None, max_examples=60)
sides = st.integers(1, 1000)
scales = st.floats(1, 8)
tile_sides = st.integers(1, 300)
halos = st.integers(0, 80)
alignments = st.sampled_from([1, 2, 3, 8, 48])


@quick
@given(n=sides, scale=scales, tile_px=tile_sides, halo=halos, alignment=alignments)
def test_spans_partition_the_axis_and_its_output(
    n: int, scale: float, tile_px: int, halo: int, alignment: int
) -> None:
    n_out = rounded_size(n, scale)
    spans = split_axis(n, n_out, tile_px, halo, alignment)
    assert (spans[0].core_start, spans[-1].core_stop) == (0, n)
    assert (spans[0].out_start, spans[-1].out_stop) == (0, n_out)
    for left, right in pairwise(spans):
        assert left.core_stop == right.core_start
        assert left.out_stop == right.out_start
    assert all(span.core_start < span.core_stop and span.out_start < span.out_stop for span in spans)


@quick
@given(n=sides, scale=scales, tile_px=tile_sides)
def test_an_output_pixel_belongs_to_the_core_that_holds_its_centre(
    n: int, scale: float, tile_px: int
) -> None:
    n_out = rounded_size(n, scale)
    for span in split_axis(n, n_out, tile_px):
        first, last = (Fraction(2 * o + 1, 2) * n / n_out for o in (span.out_start, span.out_stop - 1))
        assert span.core_start <= first
        assert last < span.core_stop


@quick
@given(n=sides, tile_px=tile_sides, halo=halos, alignment=alignments)
def test_windows_hold_the_halo_or_reach_the_border(n: int, tile_px: int, halo: int, alignment: int) -> None:
    for span in split_axis(n, 2 * n, tile_px, halo, alignment):
        assert span.window_start % alignment == span.core_start % alignment == 0
        assert span.window_stop % alignment == 0 or span.window_stop == n
        assert 0 <= span.window_start <= max(span.core_start - halo, 0)
        assert min(span.core_stop + halo, n) <= span.window_stop <= n


@quick
@given(n=sides, tile_px=tile_sides, alignment=alignments)
def test_cores_are_no_larger_than_the_limit_and_about_equal(n: int, tile_px: int, alignment: int) -> None:
    side = core_side(n, tile_px, alignment)
    assert side % alignment == 0
    assert side <= max(tile_px, alignment)
    unit = 48 if 48 <= tile_px < n else alignment  # every alignment here divides 48
    assert side % unit == 0
    largest = max(tile_px // unit, 1) * unit
    assert -(-n // side) == -(-n // largest)  # evening out costs no further tile


@pytest.mark.parametrize(
    ("n", "tile_px", "side"), [(250, 240, 144), (240, 240, 240), (96, 240, 96), (5, 240, 5), (100, 47, 34)]
)
def test_core_side_by_hand(n: int, tile_px: int, side: int) -> None:
    assert core_side(n, tile_px) == side


@quick
@given(
    periods=st.integers(1, 40), p=st.integers(1, 64), q=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 24, 48])
)
def test_at_rational_scales_cores_start_with_an_output_phase(periods: int, p: int, q: int) -> None:
    if p < q:
        p += q
    n, n_out = q * periods, p * periods
    for span in split_axis(n, n_out, 96):
        assert span.out_start * q == span.core_start * p


def test_first_output_by_hand() -> None:
    assert [first_output(c, 2, 5) for c in (0, 1, 2)] == [
        0,
        2,
        5,
    ]  # centres 0.2 .6 1.0 1.4 1.8 cells from the rim
    assert [first_output(c, 3, 8) for c in (0, 1, 2, 3)] == [0, 3, 5, 8]


@quick
@given(n=sides, scale=scales, limit=st.integers(16, 200), alignment=alignments)
def test_split_output_partitions_within_the_limit_on_whole_blocks(
    n: int, scale: float, limit: int, alignment: int
) -> None:
    n_out = rounded_size(n, scale)
    block = math.ceil(alignment * n_out / n)
    for span in split_axis(n, n_out, 96, 0, alignment):
        ranges = list(split_output(span, n, n_out, limit, alignment))
        assert [i for a, b in ranges for i in range(a, b)] == list(range(span.out_start, span.out_stop))
        assert max(b - a for a, b in ranges) <= max(limit, block)
        starts = {first_output(cell, n, n_out) for cell in range(0, n, alignment)}
        assert {a for a, _ in ranges} <= starts


@quick
@given(n=st.integers(1, 200), p=st.sampled_from([2, 3, 4, 5, 8]), limit=st.integers(8, 100))
def test_split_output_keeps_periods_whole(n: int, p: int, limit: int) -> None:
    (span,) = split_axis(n, n * p, n)
    phases = {
        round(float(output_positions(n * p, n, a, b)[0] % 1), 9)
        for a, b in split_output(span, n, n * p, limit)
    }
    assert len(phases) == 1


@quick
@given(lr=st.tuples(st.integers(1, 60), st.integers(1, 60)), scale=scales, tile_px=st.integers(1, 40))
def test_tiles_cover_every_output_pixel_once(lr: tuple[int, int], scale: float, tile_px: int) -> None:
    size = rounded_size(lr[0], scale), rounded_size(lr[1], scale)
    times = torch.zeros(size, dtype=torch.int32)
    for tile in plan_tiles(lr, size, tile_px, halo_px=3):
        times[tile.rows.out, tile.cols.out] += 1
    assert bool((times == 1).all())


@quick
@given(n=sides, scale=scales, halo=halos, alignment=alignments, data=st.data())
def test_a_span_over_output_pixels_is_the_smallest_of_whole_cells(
    n: int, scale: float, halo: int, alignment: int, data: st.DataObject
) -> None:
    n_out = rounded_size(n, scale)
    start = data.draw(st.integers(0, n_out - 1))
    stop = data.draw(st.integers(start + 1, n_out))
    span = span_over(n, n_out, slice(start, stop), halo, alignment)
    assert span.out_start <= start < stop <= span.out_stop
    assert span.core_start % alignment == span.window_start % alignment == 0
    assert span.core_stop % alignment == 0 or span.core_stop == n
    assert span.window_start == 0 or span.core_start - span.window_start >= halo
    assert span.window_stop == n or span.window_stop - span.core_stop >= halo
    unit = alignment * SIMPLE_PERIOD_PX * 3
    assert cell_under(start, n, n_out) - span.core_start < unit
    assert span.core_stop - cell_under(stop - 1, n, n_out) <= unit


def test_a_span_starts_where_a_simple_pattern_does() -> None:
    assert span_over(400, 1000, slice(512, 1000)).core_start == 204  # x2.5: 2 cells give 5 pixels
    assert span_over(401, 1000, slice(512, 1000)).core_start == 205
