"""Fig. 11: images, their annotation and the glands found in each setting; and the curves of the trainings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage.measure import find_contours

from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands.config import LR, UNetSetting, setting_of
from histoscale.experiments.glands.data import GlandImage
from histoscale.experiments.glands.scores import segment
from histoscale.experiments.glands.tables import kind_name
from histoscale.experiments.glands.training import UNetTask, load_network
from histoscale.experiments.images import RgbImage
from histoscale.files import atomic_write
from histoscale.training.curves import read_metrics, running_mean
from histoscale.training.loop import METRICS

TRUE, FOUND = "#ffd400", "#00e5ff"
SHOWN = 3
"""Number of images, evenly spread over the test in the order of the manifest, not picked by hand."""


def evenly(images: Sequence[GlandImage], n: int = SHOWN) -> list[GlandImage]:
    """Choose ``n`` images, evenly spread over a list."""
    some = min(n, len(images))
    return [images[(2 * index + 1) * len(images) // (2 * some)] for index in range(some)]


def shown_settings(kinds: Sequence[str]) -> list[UNetSetting]:
    """Choose the columns: the paper's settings, original first."""
    others = [kind for kind in kinds if kind != ORIGINAL]
    tested = [setting_of("test", kind) for kind in others if kind != LR]
    return [UNetSetting(ORIGINAL, ORIGINAL), *tested, *(setting_of("train", kind) for kind in others)]


def draw_glands(tasks: Sequence[UNetTask], records: Sequence[GlandImage], file: Path) -> None:
    """Draw Fig. 11 from the networks of one seed.

    Args:
        tasks: finished trainings, one of each kind.
        records: the rows.
    """
    networks = {task.kind: load_network(task) for task in tasks}
    images, settings = tasks[0].images, shown_settings(tasks[0].run.kinds)
    figure = Figure(figsize=(2.6 * (len(settings) + 1), 2.0 * len(records) + 0.4), layout="constrained")
    grid = figure.subplots(len(records), len(settings) + 1, squeeze=False)
    for row, record in zip(grid, records, strict=True):
        _draw(row[0], images.image(record, ORIGINAL), images.labels(record), TRUE)
        row[0].set_ylabel(record.id, fontsize=8)
        for axes, (trained_on, kind) in zip(row[1:], settings, strict=True):
            found = segment(networks[trained_on], images, record, kind)
            _draw(axes, images.image(record, kind), found, FOUND)
    grid[0, 0].set_title("annotation", fontsize=8)
    for axes, (trained_on, kind) in zip(grid[0, 1:], settings, strict=True):
        axes.set_title(f"trained on {kind_name(trained_on)},\ntested on {kind_name(kind)}", fontsize=8)
    with atomic_write(file) as temporary:
        figure.savefig(temporary, dpi=150)


def draw_training_curves(tasks: Sequence[UNetTask], file: Path) -> None:
    """Draw loss and validation Dice of all trainings, one colour for each kind."""
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


def _draw(axes: Axes, image: RgbImage, labels: Int[np.ndarray, "h w"], colour: str) -> None:
    """Draw an image and the outlines of objects over it, both at full size."""
    height, width = labels.shape
    axes.imshow(image, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")
    for label in range(1, int(labels.max(initial=0)) + 1):
        inside = np.pad(labels == label, 1)
        for contour in find_contours(inside.astype(float), 0.5):  # type: ignore[no-untyped-call]
            axes.plot(contour[:, 1] - 1, contour[:, 0] - 1, color=colour, lw=0.9)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
