"""Loss and validation figures over a training, drawn from its metrics."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from histoscale.files import atomic_write


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; a last line that a kill has cut off is ignored."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def draw_curves(
    metrics: Path, image: Path, values: Callable[[Mapping[str, Any]], Mapping[str, float]], label: str
) -> None:
    """Draw ``metrics.jsonl`` to a PNG: loss on the left, validation figures on the right.

    Args:
        metrics: the file.
        image: the PNG.
        values: the figures of a line of the metrics, by name.
        label: what the figures are.
    """
    lines = read_metrics(metrics)
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [line for line in lines if "loss" in line]
    left.plot([x["step"] for x in losses], [x["loss"] for x in losses], lw=0.6, alpha=0.4, color="#4c72b0")
    smooth = running_mean([x["loss"] for x in losses], 20)
    left.plot([x["step"] for x in losses], smooth, lw=1.6, color="#4c72b0")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    points = [(line["step"], values(line)) for line in lines]
    for name in dict.fromkeys(name for _, found in points for name in found):
        steps, figures = zip(*((step, found[name]) for step, found in points if name in found), strict=True)
        right.plot(steps, figures, marker="o", ms=3, lw=1.2, label=name)
    right.set(xlabel="step", ylabel=label)
    if right.lines:
        right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(image) as temporary:
        figure.savefig(temporary, dpi=110)


def running_mean(values: list[float], width: int) -> list[float]:
    """Mean over the last ``width`` values."""
    return [sum(values[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(values))]
