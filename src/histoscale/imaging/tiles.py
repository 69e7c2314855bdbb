"""Which tiles cover an image, and which output pixels belong to each: integers only.

An axis of ``n_in`` low-resolution pixels is cut into **cores**; around each core lies a **window**, the core
with its halo, clipped at the image's borders. An output pixel belongs to the core whose low-resolution cells
hold its centre, so the cores share out the output exactly, whatever the scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

PREFERRED_UNIT_PX = 48
"""Cores are multiples of this where they can be: it holds the denominators of most scales people use (x2.5,
x8/3, x3.75, ...), so that there the pattern of output pixels inside the cells starts anew with every core."""

SIMPLE_PERIOD_PX = 4
"""Where that pattern starts anew every so few cells, models compute it faster."""


@dataclass(frozen=True)
class Span:
    """One core along one axis: its low-resolution cells, its window and its output pixels (all half-open)."""

    core_start: int
    core_stop: int
    window_start: int
    window_stop: int
    out_start: int
    out_stop: int

    @property
    def window(self) -> slice:
        """The low-resolution pixels to read."""
        return slice(self.window_start, self.window_stop)

    @property
    def out(self) -> slice:
        """The output pixels to fill."""
        return slice(self.out_start, self.out_stop)


@dataclass(frozen=True)
class Tile:
    """A core of the low-resolution grid: one `Span` per axis."""

    rows: Span
    cols: Span


def first_output(cell: int, n_in: int, n_out: int) -> int:
    """The first output pixel whose centre lies at or beyond the low edge of low-resolution ``cell``.

    The centre of output ``o`` is at ``(o + 1/2) n_in / n_out - 1/2`` and the edge at ``cell - 1/2``; hence
    ``o = ceil(cell n_out / n_in - 1/2)``, which is ``cell n_out / n_in`` wherever that is whole.
    """
    return -((n_in - 2 * cell * n_out) // (2 * n_in))


def core_side(n_in: int, tile_px: int, alignment_px: int = 1) -> int:
    """The side of the cores of an axis: about equal, at most ``tile_px`` if the alignment allows it.

    Args:
        n_in: low-resolution pixels of the axis.
        tile_px: the largest core wanted.
        alignment_px: cores start at multiples of this many low-resolution pixels.
    """
    unit = math.lcm(alignment_px, PREFERRED_UNIT_PX)
    if unit > tile_px or n_in <= tile_px:
        unit = alignment_px
    largest = max(tile_px // unit, 1) * unit
    count = -(-n_in // largest)
    return -(-n_in // (count * unit)) * unit


def split_axis(
    n_in: int, n_out: int, tile_px: int, halo_px: int = 0, alignment_px: int = 1
) -> tuple[Span, ...]:
    """Cut an axis into cores with their windows and output pixels.

    Args:
        n_in, n_out: low-resolution and output pixels of the whole axis.
        tile_px: the largest core wanted (see `core_side`).
        halo_px: low-resolution pixels a core needs on either side; the window is widened to the alignment.
        alignment_px: windows and cores start at multiples of this.
    """
    side = core_side(n_in, tile_px, alignment_px)
    halo = -(-halo_px // alignment_px) * alignment_px
    spans = []
    for start in range(0, n_in, side):
        stop = min(start + side, n_in)
        window = max(start - halo, 0), min(stop + halo, n_in)
        out = first_output(start, n_in, n_out), first_output(stop, n_in, n_out)
        spans.append(Span(start, stop, *window, *out))
    return tuple(spans)


def cell_under(output: int, n_in: int, n_out: int) -> int:
    """The low-resolution cell that holds the centre of an output pixel."""
    return (2 * output + 1) * n_in // (2 * n_out)


def span_over(n_in: int, n_out: int, out: slice, halo_px: int = 0, alignment_px: int = 1) -> Span:
    """The smallest core of whole aligned cells that holds given output pixels, and its window.

    Its own output pixels may begin before them and end after.

    Args:
        out: the output pixels wanted; the rest as in `split_axis`.
    """
    period = n_in // math.gcd(n_in, n_out)
    unit = math.lcm(alignment_px, period) if period <= SIMPLE_PERIOD_PX else alignment_px
    start = cell_under(out.start, n_in, n_out) // unit * unit
    stop = min(-(-(cell_under(out.stop - 1, n_in, n_out) + 1) // unit) * unit, n_in)
    halo = -(-halo_px // unit) * unit
    window = max(start - halo, 0), min(stop + halo, n_in)
    return Span(start, stop, *window, first_output(start, n_in, n_out), first_output(stop, n_in, n_out))


def split_output(
    span: Span, n_in: int, n_out: int, limit_px: int, alignment_px: int = 1
) -> Iterator[tuple[int, int]]:
    """Cut the output pixels of ``span`` into ranges of at most ``limit_px``, each over whole aligned cells.

    So a model that works by blocks of cells finds the same blocks as in one piece; only where one such block
    is longer than the limit is a range longer too. Ranges start on `PREFERRED_UNIT_PX` where they can.
    """
    most = limit_px * n_in // n_out
    preferred = math.lcm(alignment_px, PREFERRED_UNIT_PX)
    unit = preferred if preferred <= most else alignment_px
    step = max(most // unit, 1) * unit
    for start in range(span.core_start, span.core_stop, step):
        stop = min(start + step, span.core_stop)
        yield first_output(start, n_in, n_out), first_output(stop, n_in, n_out)


def plan_tiles(
    lr_size: tuple[int, int],
    size: tuple[int, int],
    tile_px: int,
    halo_px: int = 0,
    alignment_px: tuple[int, int] = (1, 1),
) -> tuple[Tile, ...]:
    """All tiles of an image in reading order; arguments as in `split_axis`, (height, width) where pairs."""
    rows = split_axis(lr_size[0], size[0], tile_px, halo_px, alignment_px[0])
    cols = split_axis(lr_size[1], size[1], tile_px, halo_px, alignment_px[1])
    return tuple(Tile(r, c) for r in rows for c in cols)
