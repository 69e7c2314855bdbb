"""The tables of a custom task, from its scores alone: means, shares of the original's, shares recovered."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from histoscale.experiments.downstream.settings import LOW, ORIGINAL, Setting
from histoscale.experiments.tables import TextTable, count, markdown_document, mean_sd, percent
from histoscale.metrics.classification import bootstrap_weights
from histoscale.metrics.recovery import NAN, Figure, Share, recovered_share, share_of

DRAWS = 2000
LEGEND = (
    "Mean ± standard deviation over images; shares with 95 % intervals from resampled images. "
    "Recovered: the way from low resolution (0 %) to the original (100 %); above 100 % is beyond the "
    "original, below 0 % worse than not enlarging at all. Whether more or less is better, the task knows."
)


class TaskScore(NamedTuple):
    """One measure of one image in one setting: a line of ``scores.csv``."""

    image: str
    setting: str
    measure: str
    score: float


@dataclass(frozen=True)
class SettingScores:
    """One setting; ``sd`` is over images, NaN for a single one."""

    setting: str
    mean: float
    sd: float
    of_original: Share
    recovered: Share


@dataclass(frozen=True)
class MeasureTable:
    """One measure, on the images that have it in every setting; ``left_out`` counts those that do not."""

    measure: str
    n: int
    left_out: int
    rows: tuple[SettingScores, ...]

    def table(self) -> TextTable:
        """Write the figures."""
        left_out = f", {self.left_out} left out that lack it in a setting" if self.left_out else ""
        rows = [
            (
                row.setting,
                mean_sd(row.mean, row.sd, 3),
                "-" if row.setting == ORIGINAL else percent(*row.of_original),
                "-" if row.setting in (ORIGINAL, LOW) else percent(*row.recovered),
            )
            for row in self.rows
        ]
        heads = ("setting", self.measure, "of the original's", "recovered")
        return TextTable(heads, rows, f"{self.measure} ({count(self.n, 'image')}{left_out})")


def tables_of(scores: Sequence[TaskScore]) -> list[MeasureTable]:
    """Make one table for each measure that an image has in every setting, in the order of the scores."""
    settings = list(dict.fromkeys(score.setting for score in scores))
    tables = []
    for measure in dict.fromkeys(score.measure for score in scores):
        figures: dict[str, dict[str, float]] = {}
        for score in scores:
            if score.measure == measure:
                figures.setdefault(score.image, {})[score.setting] = score.score
        complete = {image: found for image, found in figures.items() if len(found) == len(settings)}
        if complete:
            rows = tuple(_rows(complete, settings))
            tables.append(MeasureTable(measure, len(complete), len(figures) - len(complete), rows))
    return tables


def markdown(task: str, scale: float, tables: Sequence[MeasureTable], settings: Sequence[Setting]) -> str:
    """Write the tables of all measures in Markdown."""
    learnt = [f"- {one.name}: {one.learnt_from}" for one in settings if one.learnt_from]
    parts = [f"# {task} at x{scale:g}", *(one.table().markdown("##") for one in tables), LEGEND]
    if learnt:
        parts.append("What the super-resolution models learnt from:\n\n" + "\n".join(learnt))
    return markdown_document(parts)


def _rows(figures: dict[str, dict[str, float]], settings: Sequence[str]) -> list[SettingScores]:
    """Compare the settings of one measure, whose figures are given by image and setting."""
    weights = bootstrap_weights(list(figures), DRAWS)
    columns = {name: np.array([found[name] for found in figures.values()]) for name in settings}
    means = {
        name: Figure(float(column.mean()), weights @ column / weights.sum(1))
        for name, column in columns.items()
    }
    original, low = means[ORIGINAL], means[LOW]
    return [
        SettingScores(
            name,
            means[name].mean,
            statistics.stdev(column.tolist()) if len(column) > 1 else NAN,
            share_of(means[name], original),
            recovered_share(means[name], original, low),
        )
        for name, column in columns.items()
    ]
