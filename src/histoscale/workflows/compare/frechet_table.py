"""Frechet distances as the paper prints them: a row a method, a column a scale."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from histoscale.workflows.compare.frechet import Distance, mean_distances
from histoscale.workflows.compare.lineup import label_of
from histoscale.workflows.compare.words import DAGGER, UNDERTRAINED
from histoscale.workflows.markdown_table import markdown_table

PLACES = 3


class Printed(NamedTuple):
    """A distance as it is printed; "-" for none."""

    text: str
    is_best: bool = False


class FrechetTable(NamedTuple):
    """The table of one data set and degradation, for any markup."""

    caption: str
    scales: tuple[float, ...]
    rows: dict[str, list[Printed]]
    legend: str


def frechet_tables(distances: Sequence[Distance], undertrained: Sequence[str] = ()) -> list[FrechetTable]:
    """A table for each data set and degradation, made from the distances alone.

    Args:
        undertrained: labels that are marked so.
    """
    groups: dict[tuple[str, str], list[Distance]] = {}
    for one in distances:
        groups.setdefault((one.dataset, one.degradation), []).append(one)
    return [_table(members, undertrained) for members in groups.values()]


def frechet_markdown(distances: Sequence[Distance], undertrained: Sequence[str] = ()) -> str:
    """All of them in Markdown."""
    return "\n\n".join(map(_markdown, frechet_tables(distances, undertrained))) + "\n"


def _table(distances: Sequence[Distance], undertrained: Sequence[str]) -> FrechetTable:
    """That of one data set and degradation: methods that make every scale themselves."""
    labels = list(dict.fromkeys(label_of(one.model) for one in distances))
    whole = [label for label in labels if _scales(distances, label) == _scales(distances)] or labels
    left_out = [label for label in labels if label not in whole]
    distances = [one for one in distances if label_of(one.model) in whole]
    first, columns = distances[0], dict(sorted(mean_distances(distances).items()))
    return FrechetTable(
        f"Table 3: Frechet distance. {first.dataset}, degradation {first.degradation}; "
        f"{first.extractor} features, n = {_range(distances)} patches of {first.patch_px} px",
        tuple(scale for _, _, scale in columns),
        {
            label + DAGGER * (label in undertrained): [
                _printed(rows.get(label, math.nan), rows.values()) for rows in columns.values()
            ]
            for label in whole
        },
        _legend(distances, left_out, any(label in undertrained for label in whole)),
    )


def _scales(distances: Sequence[Distance], label: str | None = None) -> set[float]:
    """At which scales there is a distance, be it of too few patches, of a row or of any."""
    return {one.scale for one in distances if label in (None, label_of(one.model))}


def _markdown(table: FrechetTable) -> str:
    rows = [
        [label.replace("*", "\\*"), *(f"**{cell.text}**" if cell.is_best else cell.text for cell in row)]
        for label, row in table.rows.items()
    ]
    heads = ["method", *(f"x{scale:g}" for scale in table.scales)]
    return f"### {table.caption}\n\n{markdown_table(heads, rows)}\n\n{table.legend}"


def _printed(figure: float, column: Iterable[float]) -> Printed:
    """A figure, best where no other of its column prints smaller."""
    if math.isnan(figure):
        return Printed("-")
    text = f"{figure:.{PLACES}f}"
    return Printed(text, float(text) == min(round(one, PLACES) for one in column))


def _range(distances: Sequence[Distance]) -> str:
    """How many patches; they differ where a scale leaves fewer whole ones."""
    low, high = min(one.n for one in distances), max(one.n for one in distances)
    return str(low) if low == high else f"{low} to {high}"


def _legend(distances: Sequence[Distance], left_out: Sequence[str], has_undertrained: bool) -> str:
    sentences = ["Smaller is nearer to the originals, best in bold; compare within one table only."]
    if any(math.isnan(one.distance) for one in distances):
        sentences.append("-: too few patches for the features.")
    if has_undertrained:
        sentences.append(UNDERTRAINED)
    if left_out:
        sentences.append(f"Left out, as not of every scale: {', '.join(left_out)}.")
    return " ".join(sentences)
