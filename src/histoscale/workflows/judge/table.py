"""A judged task as data: means, their share of the original's, and what was recovered of the loss."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscale.metrics.classification import bootstrap_weights
from histoscale.metrics.recovery import Figure, Share, recovered_share, share_of
from histoscale.workflows.judge.scores import TaskScore
from histoscale.workflows.settings import LOW, ORIGINAL

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
