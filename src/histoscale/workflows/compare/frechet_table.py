"""Frechet distances in Markdown, as the paper prints them: a row a method, a column a scale."""

import math
from collections.abc import Iterable, Sequence

from histoscale.workflows.compare.frechet import Distance, mean_distances
from histoscale.workflows.compare.lineup import label_of

PLACES = 3


def frechet_markdown(distances: Sequence[Distance]) -> str:
    """A table for each data set and degradation, made from the distances alone."""
    groups: dict[tuple[str, str], list[Distance]] = {}
    for one in distances:
        groups.setdefault((one.dataset, one.degradation), []).append(one)
    return "\n\n".join(_table(members) for members in groups.values()) + "\n"


def _table(distances: Sequence[Distance]) -> str:
    """That of one data set and degradation."""
    first, columns = distances[0], dict(sorted(mean_distances(distances).items()))
    lines = [
        f"### Table 3: Frechet distance. {first.dataset}, degradation {first.degradation}; "
        f"{first.extractor} features, n = {_range(distances)} patches of {first.patch_px} px",
        "",
        _line(["method", *(f"x{scale:g}" for _, _, scale in columns)]),
        _line(["---"] * (1 + len(columns))),
    ]
    for label in dict.fromkeys(label_of(one.model) for one in distances):
        cells = [_cell(rows.get(label, math.nan), rows.values()) for rows in columns.values()]
        lines.append(_line([label.replace("*", "\\*"), *cells]))
    return "\n".join([*lines, "", _legend(distances)])


def _cell(figure: float, column: Iterable[float]) -> str:
    """A figure, bold where no other of its column prints smaller."""
    if math.isnan(figure):
        return "-"
    printed = f"{figure:.{PLACES}f}"
    return f"**{printed}**" if float(printed) == min(round(one, PLACES) for one in column) else printed


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
