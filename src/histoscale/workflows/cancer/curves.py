"""Loss and validation figures over a training, as a picture."""

from pathlib import Path

from matplotlib.figure import Figure

from histoscale.training.curves import read_metrics


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.jsonl`` to a PNG: loss on the left, accuracy and area under the curve on the right."""
    lines = read_metrics(metrics)
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, [line["loss"] for line in lines], marker="o", ms=3, lw=1.2, color="#4c72b0")
    left.set(xlabel="step", ylabel="loss of a batch")
    for key, label in (("accuracy", "accuracy"), ("auc", "area under the ROC curve")):
        right.plot(steps, [line[key] for line in lines], marker="o", ms=3, lw=1.2, label=label)
    right.set(xlabel="step", ylabel="validation", ylim=(0.4, 1.0))
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)
