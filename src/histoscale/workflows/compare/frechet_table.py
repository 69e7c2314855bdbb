"""Frechet distances in Markdown, as the paper prints them: a row a method, a column a scale."""

import math
import statistics
from collections.abc import Sequence

from histoscale.workflows.compare.frechet import Distance
from histoscale.workflows.compare.lineup import label_of

PLACES = 3


def frechet_markdown(distances: Sequence[Distance]) -> str:
    """A table for each data set and degradation, made from the distances alone."""
    groups: dict[tuple[str, str], list[Distance]] = {}
    for one in distances:
        groups.setdefault((one.dataset, one.degradation), []).append(one)
    return "\n\n".join(_table(members) for members in groups.values()) + "\n"


def _table(distances: Sequence[Distance]) -> str:
    first, scales = distances[0], sorted({one.scale for one in distances})
    rows = {
        label: [_mean(distances, label, scale) for scale in scales]
        for label in dict.fromkeys(label_of(one.model) for one in distances)
    }
    best = [min(column, default=math.nan) for column in _columns(rows)]
    lines = [
        f"### Table 3: Frechet distance. {first.dataset}, degradation {first.degradation}; "
        f"{first.extractor} features, n = {_range(distances)} patches of {first.patch_px} px",
        "",
        _line(["method", *(f"x{scale:g}" for scale in scales)]),
        _line(["---"] * (1 + len(scales))),
    ]
    for label, cells in rows.items():
        printed = [_cell(cell, least) for cell, least in zip(cells, best, strict=True)]
        lines.append(_line([label.replace("*", "\\*"), *printed]))
    return "\n".join([*lines, "", _legend(distances)])


def _mean(distances: Sequence[Distance], label: str, scale: float) -> float:
    """Over the seeds of a row; NaN where it has no figure."""
    found = [d.distance for d in distances if label_of(d.model) == label and d.scale == scale]
    return statistics.fmean(found) if found else math.nan


def _columns(rows: dict[str, list[float]]) -> list[list[float]]:
    """The figures of each scale, as printed, without those that are none."""
    columns = zip(*rows.values(), strict=True)
    return [[round(cell, PLACES) for cell in column if not math.isnan(cell)] for column in columns]


def _cell(cell: float, least: float) -> str:
    if math.isnan(cell):
        return "-"
    return f"**{cell:.{PLACES}f}**" if round(cell, PLACES) == least else f"{cell:.{PLACES}f}"


def _range(distances: Sequence[Distance]) -> str:
    """How many patches; they differ where a scale leaves fewer whole ones."""
    low, high = min(one.n for one in distances), max(one.n for one in distances)
    return str(low) if low == high else f"{low} to {high}"


def _legend(distances: Sequence[Distance]) -> str:
    sentences = ["Smaller is nearer to the originals, best in bold; compare within one table only."]
    if any(math.isnan(one.distance) for one in distances):
        sentences.append("-: too few patches for the features, or the method does not make the scale.")
    return " ".join(sentences)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
