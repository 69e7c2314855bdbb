"""A judged task as data: means, their share of the original's, and what was recovered of the loss."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscale.experiments.custom_task.results import TaskScore
from histoscale.experiments.methods import LOW, ORIGINAL, Setting
from histoscale.experiments.tables import TextTable
from histoscale.metrics.classification import bootstrap_weights
from histoscale.metrics.recovery import Figure, Share, recovered_share, share_of

DRAWS = 2000


@dataclass(frozen=True)
class Row:
    """One setting; ``sd`` is over images, NaN for one."""

    setting: str
    mean: float
    sd: float
    of_original: Share
    recovered: Share


@dataclass(frozen=True)
class MeasureTable:
    """One measure, on the images that have it in every setting; ``left_out`` are those that do not."""

    measure: str
    n: int
    left_out: int
    rows: tuple[Row, ...]


def tables_of(scores: Sequence[TaskScore]) -> list[MeasureTable]:
    """One table a measure, in the order in which they come; none for what no image has in every setting."""
    settings = list(dict.fromkeys(score.setting for score in scores))
    tables = []
    for measure in dict.fromkeys(score.measure for score in scores):
        figures: dict[str, dict[str, float]] = {}
        for score in scores:
            if score.measure == measure:
                figures.setdefault(score.image, {})[score.setting] = score.score
        whole = {image: found for image, found in figures.items() if len(found) == len(settings)}
        if whole:
            tables.append(_table(measure, settings, whole, len(figures) - len(whole)))
    return tables


def _table(
    measure: str, settings: Sequence[str], figures: dict[str, dict[str, float]], left_out: int
) -> MeasureTable:
    weights = bootstrap_weights(list(figures), DRAWS)
    columns = {name: np.array([found[name] for found in figures.values()]) for name in settings}
    means = {
        name: Figure(float(column.mean()), weights @ column / weights.sum(1))
        for name, column in columns.items()
    }
    rows = [
        Row(
            name,
            means[name].mean,
            statistics.stdev(columns[name].tolist()) if len(figures) > 1 else float("nan"),
            share_of(means[name], means[ORIGINAL]),
            recovered_share(means[name], means[ORIGINAL], means[LOW]),
        )
        for name in settings
    ]
    return MeasureTable(measure, len(figures), left_out, tuple(rows))


# A judged task in Markdown.


LEGEND = (
    "Mean ± standard deviation over images; shares with 95 % intervals from resampled images. "
    "Recovered: the way from low resolution (0 %) to the original (100 %); above 100 % is beyond the "
    "original, below 0 % worse than not enlarging at all. Whether more or less is better, the task knows."
)


def markdown(task: str, scale: float, tables: Sequence[MeasureTable], settings: Sequence[Setting]) -> str:
    """All measures of a task."""
    learnt = [f"- {one.name}: {one.learnt_from}" for one in settings if one.learnt_from]
    parts = [f"# {task} at x{scale:g}", *(_table_markdown(table) for table in tables), LEGEND]
    if learnt:
        parts.append("What the super-resolution models learnt from:\n\n" + "\n".join(learnt))
    return "\n\n".join(parts) + "\n"


def _table_markdown(table: MeasureTable) -> str:
    heads = ["setting", table.measure, "of the original's", "recovered"]
    images = f"{table.n} image{'s' if table.n > 1 else ''}"
    if table.left_out:
        images += f", {table.left_out} left out that lack it in a setting"
    rows = [_row(row) for row in table.rows]
    return f"## {table.measure} ({images})\n\n{TextTable(heads, rows).grid()}"


def _row(row: Row) -> list[str]:
    spread = "" if math.isnan(row.sd) else f" ± {row.sd:.3f}"
    recovered = "-" if row.setting in (ORIGINAL, LOW) else _share(row.recovered)
    of_original = "-" if row.setting == ORIGINAL else _share(row.of_original)
    return [row.setting, f"{row.mean:.3f}{spread}", of_original, recovered]


def _share(share: Share) -> str:
    if math.isnan(share.mean):
        return "-"
    interval = "" if math.isnan(share.low) else f" [{share.low:.0%}, {share.high:.0%}]"
    return f"{share.mean:.0%}{interval}"
