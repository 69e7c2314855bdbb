"""Loss and validation PSNR over a run, as a picture."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from histoscale.files import atomic_write


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``metrics.jsonl``; a last line cut short by a kill is passed over."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.jsonl`` to a PNG: loss on the left, gain over bicubic on the right."""
    lines = read_metrics(metrics)
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [line for line in lines if "loss" in line]
    left.plot([x["step"] for x in losses], [x["loss"] for x in losses], lw=0.6, alpha=0.4, color="#4c72b0")
    smooth = running_mean([x["loss"] for x in losses], 20)
    left.plot([x["step"] for x in losses], smooth, lw=1.6, color="#4c72b0")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    scores = [line for line in lines if "psnr" in line]
    for key in scores[0]["psnr"] if scores else ():
        gains = [x["psnr"][key] - x["bicubic"][key] for x in scores]
        right.plot([x["step"] for x in scores], gains, marker="o", ms=3, lw=1.2, label=key)
    right.axhline(0, color="0.6", lw=0.8)
    right.set(xlabel="step", ylabel="validation PSNR over bicubic, dB")
    if scores:
        right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(picture) as temporary:
        figure.savefig(temporary, dpi=110)


def running_mean(values: list[float], width: int) -> list[float]:
    """Mean over the last ``width`` values."""
    return [sum(values[max(0, i + 1 - width) : i + 1]) / min(i + 1, width) for i in range(len(values))]
