"""Images in rows and columns, drawn on whole screen pixels without interpolation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from histoscale.experiments.figures.crops import Window
from histoscale.experiments.images import RgbImage

DPI = 200
PANEL_PX = 384
"""Smallest width of a panel on the screen; larger images are drawn with 2 x 2 screen pixels per pixel."""
GAP_PX, LINE_PX, FOOT_PX = 14, 30, 78
INK, FAINT, BOX = "#1f2328", "#59636e", "#0072b2"
"""The box is Okabe and Ito's blue, which colour-blind people distinguish from the pinks of tissue."""
ERRORS = "magma"
LETTER_PX = 23


@dataclass(frozen=True)
class Panel:
    """One image of a sheet.

    Attributes:
        note: a second line below the title.
        box: outlined in the image, in its pixels.
        mpp: micrometres per pixel of the image; draws a scale bar.
    """

    image: RgbImage
    title: str = ""
    note: str = ""
    box: Window | None = None
    mpp: float | None = None


@dataclass(frozen=True)
class ColourBar:
    """The colour scale of the error maps of a sheet."""

    peak: float
    label: str


def draw_sheet(rows: Sequence[Sequence[Panel | None]], side_px: int, bar: ColourBar | None = None) -> Figure:
    """Draw rows of panels, aligned in columns.

    Args:
        side_px: side of the largest image; smaller ones are drawn larger by an integer factor.
        bar: drawn below the panels.
    """
    panel = side_px * max(2, PANEL_PX // side_px)
    columns = max(len(row) for row in rows)
    width = columns * (panel + GAP_PX) + GAP_PX
    letter = max(1.0, width / 2400)  # the page scales wide sheets down, so their letters must be larger
    heads = [round(_lines(row) * LINE_PX * letter) for row in rows]
    height = sum(heads) + len(rows) * (panel + GAP_PX) + GAP_PX + (round(FOOT_PX * letter) if bar else 0)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    top = GAP_PX
    for row, head in zip(rows, heads, strict=True):
        top += head
        for column, one in enumerate(row):
            if one is not None:
                _draw_panel(figure, one, (GAP_PX + column * (panel + GAP_PX), top), panel, letter)
        top += panel + GAP_PX
    if bar:
        _draw_bar(figure, bar, (GAP_PX, top), panel, letter)
    return figure


def wrapped(columns: Sequence[Sequence[Panel | None]], at_most: int = 6) -> list[list[Panel | None]]:
    """Arrange columns of panels in blocks of equal width and of at most ``at_most`` columns; return rows."""
    blocks = math.ceil(len(columns) / at_most)
    width = math.ceil(len(columns) / blocks)
    rows = []
    for start in range(0, len(columns), width):
        rows += [list(row) for row in zip(*columns[start : start + width], strict=True)]
    return rows


def as_squares(lr: RgbImage, size: tuple[int, int]) -> RgbImage:
    """Repeat every low-resolution pixel over the pixels of the ground truth that it covers."""
    rows, cols = (
        np.minimum(np.arange(n) * small // n, small - 1) for n, small in zip(size, lr.shape[:2], strict=True)
    )
    squares: RgbImage = lr[rows][:, cols]
    return squares


def coloured(values: Float[np.ndarray, "h w"], low: float, high: float, colours: str = ERRORS) -> RgbImage:
    """Colour a map by a colour map; values outside ``low`` to ``high`` are clipped."""
    shades = mpl.colormaps[colours](Normalize(low, high, clip=True)(values))
    return np.ascontiguousarray(np.rint(255 * shades[..., :3]).astype(np.uint8))


def bar_length_um(width_um: float) -> float:
    """Choose the longest of 1, 2, 5, 10, 20, 50, ... micrometres within a third of an image's width."""
    most = width_um / 3
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most)


def _lines(row: Sequence[Panel | None]) -> int:
    """Count the lines of text above a row."""
    return max((bool(one.title) + bool(one.note) for one in row if one is not None), default=0)


def _add_axes(figure: Figure, left_top: tuple[float, float], size: tuple[float, float]) -> Axes:
    """Add axes at a place in screen pixels from the left and the top, of a width and height."""
    width, height = (side * DPI for side in figure.get_size_inches())
    (left, top), (w, h) = left_top, size
    return figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))


def _shortened(text: str, width: float) -> str:
    """Cut a text to a width in unscaled screen pixels; formulas are short enough."""
    most = int(width / (0.65 * LETTER_PX))
    return text if len(text) <= most or _is_formula(text) else text[: most - 1] + "…"


def _is_formula(text: str) -> bool:
    """Whether a text is set as mathematics; the name of a file may contain a dollar sign elsewhere."""
    return text.startswith("$")


def _points(pixels: float) -> float:
    return pixels * 72 / DPI


def _draw_panel(figure: Figure, one: Panel, left_top: tuple[int, int], side: int, letter: float) -> None:
    height, width = one.image.shape[:2]
    zoom = max(1, side // max(height, width))
    axes = _add_axes(figure, left_top, (width * zoom, height * zoom))
    axes.set_axis_off()
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    # Copied pixel by pixel: how imshow resamples depends on the version of matplotlib.
    below = round(figure.get_figheight() * DPI) - left_top[1] - height * zoom
    figure.figimage(one.image.repeat(zoom, axis=0).repeat(zoom, axis=1), left_top[0], below)
    above = 1.0
    for line, colour, weight in ((one.note, FAINT, "normal"), (one.title, INK, "bold")):
        if line:
            shown = _shortened(line, side / letter)
            text = axes.text(0, above + 8 / (height * zoom), shown, transform=axes.transAxes, va="bottom")
            text.set(color=colour, fontsize=_points(LETTER_PX * letter), fontweight=weight)
            text.set_parse_math(_is_formula(line))
            above += LINE_PX * letter / (height * zoom)
    if one.box:
        corner = (one.box.left - 0.5, one.box.top - 0.5)
        axes.add_patch(Rectangle(corner, one.box.side_px, one.box.side_px, fill=False, ec="white", lw=2.6))
        axes.add_patch(Rectangle(corner, one.box.side_px, one.box.side_px, fill=False, ec=BOX, lw=1.4))
    if one.mpp:
        _draw_scale_bar(axes, one.mpp, (width, height), zoom, letter)


def _draw_scale_bar(axes: Axes, mpp: float, size: tuple[int, int], zoom: int, letter: float) -> None:
    """Draw a bar of a round number of micrometres in the lower right corner of an image."""
    width, height = size
    length_um = bar_length_um(width * mpp)
    right, low = width - 0.5 - 14 / zoom, height - 0.5 - 16 / zoom
    ends = [right - length_um / mpp, right]
    rims = [[withStroke(linewidth=points, foreground="black")] for points in (4.0, 2.2)]
    axes.plot(ends, [low, low], color="white", lw=2.4, solid_capstyle="butt", path_effects=rims[0])
    text = axes.text(right, low - 12 * letter / zoom, f"{length_um:g} µm", path_effects=rims[1])
    text.set(color="white", fontsize=_points(22 * letter), fontweight="bold", ha="right", va="bottom")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _draw_bar(figure: Figure, bar: ColourBar, left_top: tuple[int, int], width: int, letter: float) -> None:
    axes = _add_axes(figure, (left_top[0], left_top[1] + 6), (width, 18 * letter))
    shades = ScalarMappable(Normalize(0, bar.peak), ERRORS)
    drawn = figure.colorbar(shades, cax=axes, orientation="horizontal")
    drawn.outline.set_visible(False)
    axes.tick_params(labelsize=_points(20 * letter), colors=FAINT, length=3)
    place = {"transform": axes.transAxes, "va": "center", "fontsize": _points(22 * letter), "color": FAINT}
    axes.text(1 + 2.5 * GAP_PX / width, 0.5, bar.label, **place)  # type: ignore[arg-type]
