"""Divide an image into tiles and assign output pixels to them, with integers only.

An axis of ``n_in`` low-resolution pixels is cut into **cores**. Each core lies in a **window**: the core and
its halo, clipped at the borders of the image. An output pixel belongs to the core whose low-resolution cells
contain its centre, so each output pixel belongs to exactly one core at any scale.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

PREFERRED_UNIT_PX = 48
"""If possible, the sides of cores are multiples of this. It is a multiple of the denominators of common
scales (x2.5, x8/3, x3.75, ...), so that output pixels have the same positions within the cells of each core.
"""

SIMPLE_PERIOD_PX = 4
"""Models are faster if the positions of output pixels within cells repeat after at most 4 cells."""


@dataclass(frozen=True)
class Span:
    """A core along one axis: half-open ranges of low-resolution cells, of its window and of output pixels."""

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
    """Compute the first output pixel whose centre is at or after the lower edge of low-resolution ``cell``.

    The centre of output ``o`` is at ``(o + 1/2) n_in / n_out - 1/2`` and the edge is at ``cell - 1/2``. Thus
    ``o = ceil(cell n_out / n_in - 1/2)``, which equals ``cell n_out / n_in`` if that is a whole number.
    """
    # Ceiling of (2 cell n_out - n_in) / (2 n_in) in integers.
    return -((n_in - 2 * cell * n_out) // (2 * n_in))


def core_side(n_in: int, tile_px: int, alignment_px: int = 1) -> int:
    """Compute the side of the cores of an axis, at most ``tile_px`` if the alignment permits it.

    Args:
        n_in: low-resolution pixels of the axis.
        tile_px: the largest side of a core.
        alignment_px: cores start at multiples of this many low-resolution pixels.
    """
    # The side is a multiple of `unit`: preferably of both, of the alignment alone if that is too large or if
    # one core covers the axis.
    unit = math.lcm(alignment_px, PREFERRED_UNIT_PX)
    if unit > tile_px or n_in <= tile_px:
        unit = alignment_px
    largest = max(tile_px // unit, 1) * unit
    count = -(-n_in // largest)
    # The fewest cores of at most `largest`, about equal: divide the axis by their number, round up to `unit`.
    return -(-n_in // (count * unit)) * unit


def split_axis(
    n_in: int, n_out: int, tile_px: int, halo_px: int = 0, alignment_px: int = 1
) -> tuple[Span, ...]:
    """Cut an axis into cores with their windows and output pixels.

    Args:
        n_in, n_out: low-resolution and output pixels of the whole axis.
        tile_px: the largest side of a core (see `core_side`).
        halo_px: low-resolution pixels that a core needs on each side, rounded up to the alignment.
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
    """Return the low-resolution cell that contains the centre of an output pixel."""
    return (2 * output + 1) * n_in // (2 * n_out)


def span_over(n_in: int, n_out: int, out: slice, halo_px: int = 0, alignment_px: int = 1) -> Span:
    """Find the smallest core of aligned cells that contains given output pixels, and its window.

    The output pixels of the core may start before the given ones and end after them.

    Args:
        n_in, n_out: low-resolution and output pixels of the whole axis.
        out: the output pixels to cover.
        halo_px, alignment_px: see `split_axis`.
    """
    # Positions of output pixels within cells repeat every `period` cells; start there if that is cheap.
    period = n_in // math.gcd(n_in, n_out)
    unit = math.lcm(alignment_px, period) if period <= SIMPLE_PERIOD_PX else alignment_px
    # From the cell of the first pixel, rounded down, to that of the last one, rounded up.
    start = cell_under(out.start, n_in, n_out) // unit * unit
    stop = min(-(-(cell_under(out.stop - 1, n_in, n_out) + 1) // unit) * unit, n_in)
    halo = -(-halo_px // unit) * unit
    window = max(start - halo, 0), min(stop + halo, n_in)
    return Span(start, stop, *window, first_output(start, n_in, n_out), first_output(stop, n_in, n_out))


def split_output(
    span: Span, n_in: int, n_out: int, limit_px: int, alignment_px: int = 1
) -> Iterator[tuple[int, int]]:
    """Cut the output pixels of ``span`` into ranges of at most ``limit_px``, each over whole aligned cells.

    A model that works in aligned blocks of cells thus has the same blocks as without cutting. A range is
    longer than the limit only if a single block is. If possible, ranges start at multiples of
    `PREFERRED_UNIT_PX`.
    """
    # The limit in low-resolution cells, rounded down to a multiple of `unit`, but at least one unit.
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
    """Return all tiles of an image in reading order; see `split_axis`, pairs are (height, width)."""
    rows = split_axis(lr_size[0], size[0], tile_px, halo_px, alignment_px[0])
    cols = split_axis(lr_size[1], size[1], tile_px, halo_px, alignment_px[1])
    return tuple(Tile(r, c) for r in rows for c in cols)
