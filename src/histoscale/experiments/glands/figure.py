"""Fig. 11: an image, its annotation and what was found in each setting, side by side; and the curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage.measure import find_contours

from histoscale.experiments.glands.config import LR, ORIGINAL, Setting, setting_of
from histoscale.experiments.glands.data import GlandImage, Pictures
from histoscale.experiments.glands.report import kind_name
from histoscale.experiments.glands.scoring import find
from histoscale.experiments.glands.training import Task, load_network
from histoscale.experiments.images import Picture
from histoscale.files import atomic_write
from histoscale.training.curves import read_metrics, running_mean
from histoscale.training.loop import METRICS

TRUE, FOUND = "#ffd400", "#00e5ff"
SHOWN = 3
"""So many images, evenly spread over the test in the order of the manifest: none is picked."""


def evenly(images: Sequence[GlandImage], n: int = SHOWN) -> list[GlandImage]:
    """Some images of a list."""
    some = min(n, len(images))
    return [images[(2 * index + 1) * len(images) // (2 * some)] for index in range(some)]


def shown_settings(kinds: Sequence[str]) -> list[Setting]:
    """The columns: the paper's settings, original first."""
    others = [kind for kind in kinds if kind != ORIGINAL]
    tested = [setting_of("test", kind) for kind in others if kind != LR]
    return [Setting(ORIGINAL, ORIGINAL), *tested, *(setting_of("train", kind) for kind in others)]


def draw_findings(
    tasks: Sequence[Task], pictures: Pictures, images: Sequence[GlandImage], file: Path
) -> None:
    """Draw Fig. 11 from the networks of one seed.

    Args:
        tasks: finished trainings, one a kind.
        images: the rows.
    """
    networks = {task.kind: load_network(task) for task in tasks}
    run, settings = tasks[0].run, shown_settings(tasks[0].run.kinds)
    figure = Figure(figsize=(2.6 * (len(settings) + 1), 2.0 * len(images) + 0.4), layout="constrained")
    grid = figure.subplots(len(images), len(settings) + 1, squeeze=False)
    for row, image in zip(grid, images, strict=True):
        _draw(row[0], pictures.picture(image, ORIGINAL), pictures.labels(image), TRUE)
        row[0].set_ylabel(image.id, fontsize=8)
        for axes, (trained_on, kind) in zip(row[1:], settings, strict=True):
            found = find(networks[trained_on], pictures, image, kind, run)
            _draw(axes, pictures.picture(image, kind), found, FOUND)
    grid[0, 0].set_title("annotation", fontsize=8)
    for axes, (trained_on, kind) in zip(grid[0, 1:], settings, strict=True):
        axes.set_title(f"trained on {kind_name(trained_on)},\ntested on {kind_name(kind)}", fontsize=8)
    with atomic_write(file) as temporary:
        figure.savefig(temporary, dpi=150)


def draw_training_curves(tasks: Sequence[Task], file: Path) -> None:
    """Draw loss and validation Dice of all trainings, a colour a kind."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {kind: f"C{index}" for index, kind in enumerate(tasks[0].run.kinds)}
    for task in tasks:
        lines = read_metrics(task.folder / METRICS)
        label = kind_name(task.kind) if task.seed == tasks[0].seed else None
        style = {"color": colours[task.kind], "lw": 1.2, "alpha": 0.8}
        losses = [line for line in lines if "loss" in line]
        smooth = running_mean([line["loss"] for line in losses], 20)
        left.plot([line["step"] for line in losses], smooth, label=label, **style)
        scores = [line for line in lines if "dice" in line]
        right.plot([line["step"] for line in scores], [line["dice"] for line in scores], marker=".", **style)
    left.set(xlabel="step", ylabel="loss")
    right.set(xlabel="step", ylabel="validation Dice of gland pixels")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(file) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw(axes: Axes, picture: Picture, labels: Int[np.ndarray, "h w"], colour: str) -> None:
    """A picture, and the outlines of objects over it, both at full size."""
    height, width = labels.shape
    axes.imshow(picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")
    for label in range(1, int(labels.max(initial=0)) + 1):
        inside = np.pad(labels == label, 1)
        for contour in find_contours(inside.astype(float), 0.5):  # type: ignore[no-untyped-call]
            axes.plot(contour[:, 1] - 1, contour[:, 0] - 1, color=colour, lw=0.9)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
