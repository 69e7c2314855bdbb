"""Fig. 1d: share of edge pixels by Canny's operator, natural photographs against histology.

J. Canny, A computational approach to edge detection, IEEE PAMI 8(6), 1986; scikit-image's implementation.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import skimage
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage.feature import canny

from histoscale.data.manifest import centre_crop
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material
from histoscale.experiments.figures.panels import DPI, FAINT, INK
from histoscale.experiments.images import RgbImage
from histoscale.io.image_reader import read_rgb

FIG_1D = "Fig. 1d: edges in natural and in histology images"
SIDE_PX = 256
"""Side of the central crop that is measured of every image, unscaled."""
SIGMA_PX = 1.0
LOW, HIGH = 0.1, 0.2
"""Canny's thresholds, on grey values in [0, 1]."""
SCENES = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket")
SURFACES = ("brick", "grass", "gravel")
"""Every natural photograph in the scikit-image package that is CC0 or has no known restrictions."""
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's palette."""


@dataclass(frozen=True)
class Group:
    """Images of one kind, and the share of edge pixels in each."""

    name: str
    images: tuple[RgbImage, ...]
    densities: tuple[float, ...]

    @property
    def median_image(self) -> RgbImage:
        """The image of median density, or the lower of the two in the middle."""
        order = np.argsort(self.densities, kind="stable")
        return self.images[int(order[(len(order) - 1) // 2])]


def edge_densities(material: Material) -> Iterator[Drawn | LeftOut]:
    """Draw the edge densities of all images of the data, and of natural photographs."""
    records = material.records
    tissue = [
        group_of(name, (read_rgb(record.path) for record in records if record.set == name))
        for name in dict.fromkeys(record.set for record in records)
    ]
    natural = [
        group_of(name, (read_rgb(path) for path in map(bundled, members) if path.is_file()))
        for name, members in (("natural scenes", SCENES), ("natural surfaces", SURFACES))
    ]
    groups = [group for group in (*natural, *tissue) if group.images]
    if not any(group.images for group in tissue):
        reason = f"Left out: it needs images of at least {SIDE_PX} x {SIDE_PX} pixels."
    elif not any(group.images for group in natural):
        reason = "Left out: this version of scikit-image contains no photographs."
    else:
        yield Drawn("fig01d-edges", FIG_1D, caption_of(groups), draw(groups))
        return
    yield LeftOut(FIG_1D, reason)


def bundled(name: str) -> Path:
    """Find a photograph in the installed scikit-image, without a download."""
    folder = Path(skimage.__file__).parent / "data"
    return next(iter(sorted(folder.glob(f"{name}.*"))), folder / name)


def group_of(name: str, images: Iterable[RgbImage]) -> Group:
    """Crop the images that are large enough, and measure their edge densities."""
    large = [centre_crop(one, SIDE_PX).copy() for one in images if min(one.shape[:2]) >= SIDE_PX]
    return Group(name, tuple(large), tuple(float(edges(one).mean()) for one in large))


def edges(image: RgbImage) -> Bool[np.ndarray, "_ _"]:
    """Find Canny's edges in the mean of the three colours."""
    grey = image.mean(axis=2) / 255
    found: np.ndarray = canny(grey, SIGMA_PX, LOW, HIGH)  # type: ignore[no-untyped-call]
    return found


def caption_of(groups: Sequence[Group]) -> str:
    """Write the caption: what is shown, how it was measured, and how small the natural set is."""
    medians = "; ".join(
        f"{group.name} {100 * np.median(group.densities):.1f} % (n = {len(group.densities)})"
        for group in groups
    )
    return (
        f"Share of edge pixels by Canny's operator (Gaussian of sigma {SIGMA_PX:g} px, thresholds {LOW:g} "
        f"and {HIGH:g} on grey values in [0, 1]), in the middle {SIDE_PX} x {SIDE_PX} px of every image of "
        f"the data, not rescaled. Each dot is an image, each bar is a median: {medians}. On the right the "
        "image of median density of each group, and its edges. The natural set is too small for more than "
        f"a tendency. Scenes are {', '.join(SCENES)}; surfaces are {', '.join(SURFACES)}; all are CC0 or "
        "have no known restrictions, and come from scikit-image."
    )


def draw(groups: Sequence[Group]) -> Figure:
    """Draw dots by group, and the median image of each with its edges."""
    figure = Figure(figsize=(11.8, 1.3 + 1.5 * len(groups)), dpi=DPI, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(len(groups), 3, width_ratios=(5, 1.5, 1.5))
    draw_dots(figure.add_subplot(grid[:, 0]), groups)
    for row, group in enumerate(groups):
        image = group.median_image
        for column, shown in enumerate((image, ~edges(image))):
            axes = figure.add_subplot(grid[row, 1 + column])
            axes.imshow(shown, cmap="gray")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(("median image", "its edges")[column], fontsize=9, color=FAINT)
    return figure


def draw_dots(axes: Axes, groups: Sequence[Group]) -> None:
    """Draw one line of dots for each group, moved up and down a little so that all can be seen."""
    for row, (group, colour) in enumerate(zip(groups, cycle(COLOURS))):
        densities = 100 * np.asarray(group.densities)
        lift = 0.12 * np.resize((0, 1, -1, 2, -2), len(densities))
        axes.scatter(densities, row + lift, s=26, color=colour, alpha=0.75, linewidths=0, zorder=3)
        axes.vlines(np.median(densities), row - 0.36, row + 0.36, color=INK, lw=2)
    names = [f"{group.name}\nn = {len(group.densities)}" for group in groups]
    axes.set_yticks(range(len(groups)), names, fontsize=10, parse_math=False)
    axes.set(ylim=(len(groups) - 0.5, -0.5), xlabel="edge pixels, %")
    axes.set_xlim(left=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", alpha=0.25)
