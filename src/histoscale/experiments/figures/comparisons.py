"""Figs. 6, 7 and 10 and the gallery: methods side by side, with their absolute errors or at many scales."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from histoscale.experiments.figures.crops import RULE, CropPair, pair_of, strongest_edges
from histoscale.experiments.figures.figure import Drawn, Example, LeftOut, Material, why_left_out
from histoscale.experiments.figures.panels import ColourBar, Panel, as_squares, coloured, draw_sheet, wrapped
from histoscale.experiments.images import RgbImage
from histoscale.experiments.methods import BICUBIC
from histoscale.metrics.psnr import psnr_whole
from histoscale.metrics.ssim import ssim

FIG_6 = "Fig. 6: every method with its absolute error"
FIG_7 = "Fig. 7: LIIF above ISTE at non-integer scales"
FIG_10 = "Fig. 10: each branch removed"
GALLERY = "Gallery"
BRANCHES = {
    "iste-tl-ltd": "no feature branch",
    "iste-lfi-lpd": "no texture branch",
    "iste": "both branches",
}
"""Rows of Table 4 that Fig. 10 shows, and their titles."""
LIMIT = 99.5
"""Percentile of bicubic's error that has the brightest colour; a few outliers must not darken the rest."""
ERRORS = (
    "below each its absolute error, the mean over the three colours (brighter is greater). PSNR and SSIM are "
    "of the crop shown, in bytes"
)
SCALED = ("liif", "iste")
SCALES = (1.7, 2.6, 3.5, 4.4, 5.3, 6.2, 7.3)
"""Scales of Fig. 7; the largest is that of the paper, whose text does not name the others."""
DETAIL = 3
"""Side of the crop divided by the side of the box of Fig. 7."""


def error_maps(material: Material) -> Iterator[Drawn]:
    """Draw every method and its absolute error, one image of each data set."""
    for number, example in enumerate(material.one_per_set, start=1):
        caption = (
            f"{example.scene.describe()} ({RULE}); {material.setting}. On the left the original and low "
            f"resolution, then each method, and {ERRORS}.{_without(material, example)}"
        )
        figure = draw_with_errors(example, {label: label for label in example.upscaled})
        credit = material.models.credit(list(example.upscaled), [material.scale])
        yield Drawn(f"fig06-{number}-errors", FIG_6, caption, figure, credit)


def branches_removed(material: Material) -> Iterator[Drawn | LeftOut]:
    """Draw ISTE, and ISTE trained without either branch, one image of each data set."""
    examples = material.one_per_set
    if reason := why_left_out(BRANCHES, material.models, [example.upscaled for example in examples]):
        yield LeftOut(FIG_10, reason)
        return
    for number, example in enumerate(examples, start=1):
        caption = (
            f"{example.scene.describe()} ({RULE}); {material.setting}. ISTE trained with TL and LTD alone "
            "(the feature aggregation branch removed), with LFI and LPD alone (the texture learning branch "
            f"removed), and with both; {ERRORS}."
        )
        figure = draw_with_errors(example, {BICUBIC: BICUBIC, **BRANCHES})
        credit = material.models.credit(list(BRANCHES), [material.scale])
        yield Drawn(f"fig10-{number}-branches", FIG_10, caption, figure, credit)


def gallery(material: Material) -> Iterator[Drawn]:
    """Draw every image: low resolution, bicubic, the models, the original."""
    for number, example in enumerate(material.examples, start=1):
        truth = example.pair.truth
        methods = [Panel(image, label, quality(image, truth)) for label, image in example.upscaled.items()]
        panels = [low_resolution(example.pair), *methods, original(example)]
        figure = draw_sheet(wrapped([[panel] for panel in panels]), max(example.pair.size))
        caption = f"{example.scene.describe()}; {material.setting}.{_without(material, example)}"
        credit = material.models.credit(list(example.upscaled), [material.scale])
        yield Drawn(f"gallery-{number:02d}", GALLERY, caption, figure, credit)


def many_scales(material: Material) -> Iterator[Drawn | LeftOut]:
    """Draw the first scene, upscaled by LIIF and ISTE at each scale, and a detail of it."""
    scene = material.examples[0].scene
    pairs = [pair_of(scene, scale, material.degradation) for scale in SCALES]
    at = [] if material.models.missing(SCALED) else list(zip(pairs, SCALES, strict=True))
    upscaled = [material.models.upscaled(pair, scale, SCALED) for pair, scale in at]
    if reason := why_left_out(SCALED, material.models, upscaled):
        yield LeftOut(FIG_7, reason)
        return
    side = max(max(pair.size) for pair in pairs)
    box = strongest_edges(min((pair.truth for pair in pairs), key=len), side // DETAIL)
    wholes, details = [], []
    for label in SCALED:
        row = [
            Panel(images[label], f"{label} x{scale:g}", box=box)
            for images, scale in zip(upscaled, SCALES, strict=True)
        ]
        wholes.append([*row, Panel(pairs[0].truth, "original", box=box, mpp=scene.mpp)])
        details.append([Panel(box.of(one.image), one.title, mpp=one.mpp) for one in wholes[-1]])
    caption = (
        f"{scene.describe()} ({RULE}), downsampled at each scale by degradation {material.degradation} and "
        f"upscaled by LIIF (first row) and ISTE (second row). The two rows below show the box of "
        f"{box.side_px} x {box.side_px} px, which is found by the same rule in the crop."
    )
    credit = material.models.credit(SCALED, SCALES)
    yield Drawn("fig07-scales", FIG_7, caption, draw_sheet([*wholes, *details], side), credit)


def draw_with_errors(example: Example, titles: dict[str, str]) -> Figure:
    """Draw original and low resolution, then each method above its error; errors have the same colours.

    Args:
        titles: the titles of the methods to draw, by label.
    """
    truth = example.pair.truth
    errors = {label: absolute_error(example.upscaled[label], truth) for label in titles}
    peak = max(1.0, float(np.percentile(errors[BICUBIC], LIMIT)))  # an image without errors needs a scale too
    columns = [[original(example), low_resolution(example.pair)]]
    for label, title in titles.items():
        image, error = example.upscaled[label], errors[label]
        below = Panel(coloured(error, 0, peak), "", f"mean error {error.mean():.2f}")
        columns.append([Panel(image, title, quality(image, truth)), below])
    bar = ColourBar(peak, f"absolute error in grey levels; the brightest is {peak:.0f} or more")
    return draw_sheet(wrapped(columns), max(example.pair.size), bar)


def original(example: Example) -> Panel:
    """Make a panel of the original, with a scale bar."""
    return Panel(example.pair.truth, "original", _size(example.pair.truth), mpp=example.scene.mpp)


def low_resolution(pair: CropPair) -> Panel:
    """Make a panel of the models' input, at the size of the original."""
    return Panel(as_squares(pair.lr, pair.size), "low resolution", _size(pair.lr))


def absolute_error(upscaled: RgbImage, truth: RgbImage) -> Float[np.ndarray, "_ _"]:
    """Average the absolute error over the three colours, in grey levels."""
    error: np.ndarray = np.abs(upscaled.astype(np.float64) - truth).mean(axis=2)
    return error


def quality(upscaled: RgbImage, truth: RgbImage) -> str:
    """Write PSNR and SSIM of a crop."""
    return f"{psnr_whole(upscaled, truth):.2f} dB · {ssim(upscaled, truth):.3f}"


def _size(image: RgbImage) -> str:
    return f"{image.shape[1]} x {image.shape[0]} px"


def _without(material: Material, example: Example) -> str:
    """Name the models that do not support the scale, in a sentence; empty if all do."""
    absent = [label for label in material.models.methods if label not in example.upscaled]
    if not absent:
        return ""
    return f" Not shown, because x{material.scale:g} is not supported: {', '.join(absent)}."
