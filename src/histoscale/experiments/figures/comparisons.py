"""Figs. 6 and 10 and the gallery: methods side by side, with or without their absolute errors."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from histoscale.experiments.figures.crops import RULE, Pair
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material, Shown, why_not
from histoscale.experiments.figures.panels import ColourBar, Panel, as_squares, coloured, draw_sheet, wrapped
from histoscale.experiments.images import Picture
from histoscale.experiments.methods import BICUBIC
from histoscale.metrics.psnr import psnr_whole
from histoscale.metrics.ssim import ssim

FIG_6 = "Fig. 6: every method with its absolute error"
FIG_10 = "Fig. 10: each branch removed"
GALLERY = "Gallery"
BRANCHES = {
    "iste-tl-ltd": "no feature branch",
    "iste-lfi-lpd": "no texture branch",
    "iste": "both branches",
}
"""Rows of Table 4 that Fig. 10 needs, and what they show."""
LIMIT = 99.5
"""Percentile of bicubic's error that is as bright as it gets: a few stray pixels must not darken the rest."""
ERRORS_IN_WORDS = (
    "below each, its absolute error, the mean over the three colours: the brighter, the greater. PSNR and "
    "SSIM are of the crop shown, in bytes"
)


def error_maps(material: Material) -> Iterator[Drawn]:
    """Every method and its absolute error, one image of each data set."""
    for number, shown in enumerate(material.one_a_set, start=1):
        caption = (
            f"{shown.scene.describe()} ({RULE}); {material.setting}. Left, the original and low "
            f"resolution; then each method and, {ERRORS_IN_WORDS}.{absent_in_words(material, shown)}"
        )
        figure = draw_with_errors(shown, {label: label for label in shown.made})
        credit = material.rows.credit(list(shown.made), [material.scale])
        yield Drawn(f"fig06-{number}-errors", FIG_6, caption, figure, credit)


def branches_removed(material: Material) -> Iterator[Drawn | LeftOut]:
    """ISTE, and ISTE trained without either branch, one image of each data set."""
    remark = why_not(BRANCHES, material.rows, [shown.made for shown in material.one_a_set])
    if remark:
        yield LeftOut(FIG_10, remark)
        return
    for number, shown in enumerate(material.one_a_set, start=1):
        caption = (
            f"{shown.scene.describe()} ({RULE}); {material.setting}. ISTE trained with TL and LTD alone "
            "(the feature aggregation branch removed), with LFI and LPD alone (the texture learning branch "
            f"removed), and with both; {ERRORS_IN_WORDS}."
        )
        figure = draw_with_errors(shown, {BICUBIC: BICUBIC, **BRANCHES})
        credit = material.rows.credit(list(BRANCHES), [material.scale])
        yield Drawn(f"fig10-{number}-branches", FIG_10, caption, figure, credit)


def gallery(material: Material) -> Iterator[Drawn]:
    """Every image: low resolution, bicubic, the models, the truth."""
    for number, shown in enumerate(material.shown, start=1):
        truth = shown.pair.truth
        methods = [Panel(made, label, quality(made, truth)) for label, made in shown.made.items()]
        panels = [low_resolution(shown.pair), *methods, original(shown)]
        figure = draw_sheet(wrapped([[panel] for panel in panels]), max(shown.pair.size))
        caption = f"{shown.scene.describe()}; {material.setting}.{absent_in_words(material, shown)}"
        credit = material.rows.credit(list(shown.made), [material.scale])
        yield Drawn(f"gallery-{number:02d}", GALLERY, caption, figure, credit)


def draw_with_errors(shown: Shown, titles: dict[str, str]) -> Figure:
    """Truth over low resolution, then each method over its error; all errors in one scale of colours.

    Args:
        titles: the methods to draw, by label, and what to call them.
    """
    truth = shown.pair.truth
    errors = {label: absolute_error(shown.made[label], truth) for label in titles}
    peak = max(1.0, float(np.percentile(errors[BICUBIC], LIMIT)))
    columns = [[original(shown), low_resolution(shown.pair)]]
    for label, title in titles.items():
        made, error = shown.made[label], errors[label]
        below = Panel(coloured(error, 0, peak), "", f"mean error {error.mean():.2f}")
        columns.append([Panel(made, title, quality(made, truth)), below])
    bar = ColourBar(peak, f"absolute error in grey levels; the brightest is {peak:.0f} or more")
    return draw_sheet(wrapped(columns), max(shown.pair.size), bar)


def original(shown: Shown) -> Panel:
    """The truth, with a scale bar."""
    return Panel(shown.pair.truth, "original", size_in_words(shown.pair.truth), mpp=shown.scene.mpp)


def low_resolution(pair: Pair) -> Panel:
    """What the models see, as large as the truth."""
    return Panel(as_squares(pair.lr, pair.size), "low resolution", size_in_words(pair.lr))


def absolute_error(made: Picture, truth: Picture) -> Float[np.ndarray, "_ _"]:
    """Mean over the three colours, in grey levels."""
    error: np.ndarray = np.abs(made.astype(np.float64) - truth).mean(axis=2)
    return error


def quality(made: Picture, truth: Picture) -> str:
    """PSNR and SSIM of what is shown."""
    return f"{psnr_whole(made, truth):.2f} dB · {ssim(made, truth):.3f}"


def size_in_words(picture: Picture) -> str:
    """Width and height."""
    return f"{picture.shape[1]} x {picture.shape[0]} px"


def absent_in_words(material: Material, shown: Shown) -> str:
    """A sentence on the models that do not make the scale; empty where all do."""
    absent = [label for label in material.rows.members if label not in shown.made]
    return f" Not shown, as not of x{material.scale:g}: {', '.join(absent)}." if absent else ""
