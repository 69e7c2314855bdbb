"""The tables of a custom task, from its scores alone: means, shares of the original's, shares recovered."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from histoscale.experiments.downstream.settings import LOW, ORIGINAL, Setting
from histoscale.experiments.statistics import Figures, Grid
from histoscale.experiments.tables import TextTable, count, markdown_document, mean_sd, percent
from histoscale.metrics.classification import bootstrap_weights
from histoscale.metrics.recovery import NAN, Figure, Share, recovered_share, share_of

DRAWS = 2000
LEGEND = (
    "Mean ± standard deviation over images; shares have 95 % intervals from resampled images. Recovered: 0 "
    "% is low resolution, 100 % is the original; more than 100 % is beyond the original, less than 0 % is "
    "worse than low resolution. Whether a high or a low score is good depends on the task."
)


class TaskScore(NamedTuple):
    """One measure of one image in one setting: a line of ``scores.csv``."""

    image: str
    setting: str
    measure: str
    score: float


@dataclass(frozen=True)
class SettingScores:
    """One setting; ``sd`` is over images, NaN for a single image."""

    setting: str
    mean: float
    sd: float
    of_original: Share
    recovered: Share


@dataclass(frozen=True)
class MeasureTable:
    """One measure, on the images that have it in every setting.

    Attributes:
        n: number of these images.
        left_out: number of images that have the measure in some settings only.
    """

    measure: str
    n: int
    left_out: int
    rows: tuple[SettingScores, ...]

    def table(self) -> TextTable:
        """Write the figures."""
        left_out = f", {self.left_out} without it in a setting left out" if self.left_out else ""
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
    grid = Grid.of((score.setting, score.measure, 0, score.image, score.score) for score in scores)
    tables = []
    for measure in grid.columns:
        by_setting = {setting: grid.by_image(setting, measure) for setting in grid.rows}
        images = dict.fromkeys(image for figures in by_setting.values() for image in figures)
        whole = [image for image in images if all(image in figures for figures in by_setting.values())]
        if whole:
            rows = tuple(_rows(by_setting, whole))
            tables.append(MeasureTable(measure, len(whole), len(images) - len(whole), rows))
    return tables


def markdown(task: str, scale: float, tables: Sequence[MeasureTable], settings: Sequence[Setting]) -> str:
    """Write the tables of all measures in Markdown."""
    trained_on = [f"- {one.name}: {one.learnt_from}" for one in settings if one.learnt_from]
    parts = [f"# {task} at x{scale:g}", *(one.table().markdown("##") for one in tables), LEGEND]
    if trained_on:
        parts.append("The super-resolution models were trained on:\n\n" + "\n".join(trained_on))
    return markdown_document(parts)


def _rows(by_setting: Mapping[str, Figures], images: Sequence[str]) -> list[SettingScores]:
    """Compare the settings of one measure on some images."""
    # The same resampled images for all settings, so that shares are of paired figures.
    weights = bootstrap_weights(images, DRAWS)
    columns = {name: np.array([figures[image] for image in images]) for name, figures in by_setting.items()}
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
