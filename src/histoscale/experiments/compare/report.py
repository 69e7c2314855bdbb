"""A comparison in Markdown."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from histoscale.experiments.compare.claims import SIGNIFICANT, Claim
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.frechet import Distance, mean_distances
from histoscale.experiments.compare.statistics import Cell, Column, Measure, Table
from histoscale.experiments.methods import label_of
from histoscale.experiments.scores import as_plain
from histoscale.experiments.tables import markdown_table

# A comparison as JSON: every figure unrounded, and what it takes to make it again from the scores.


def as_json(comparison: Comparison) -> str:
    """Presets and reference, tables and claims."""
    content = {
        "presets": [preset.name for preset in comparison.presets],
        "scales": [list(p.scales) for p in comparison.presets if p.name == "scales"],
        "reference": comparison.reference,
        "tables": [_table_records(table) for table in comparison.tables],
        "frechet": [asdict(distance) for distance in comparison.distances],
        "claims": [asdict(claim) for claim in comparison.claims],
    }
    return json.dumps(as_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _table_records(table: Table) -> dict[str, Any]:
    cells = [
        _cell_records(label, cell, column)
        for label, row in table.rows.items()
        for cell, column in zip(row, table.columns, strict=True)
        if not cell.is_empty
    ]
    return {
        "preset": table.preset.name,
        "group": table.group,
        "n": table.n,
        "degradation": table.degradation,
        "protocol": table.protocol.name,
        "seeds": table.seeds,
        "left_out": list(table.left_out),
        "undertrained": list(table.undertrained),
        "cells": cells,
    }


def _cell_records(label: str, cell: Cell, column: Column) -> dict[str, Any]:
    content = {"row": label, "scale": column.scale, "measure": column.measure.field, **asdict(cell)}
    if cell.against:
        content["against"] = {**asdict(cell.against.test), "p_holm": cell.against.holm}
    return content


# How figures, marks and captions of a comparison read, in Markdown and LaTeX alike.


WEAKLY_SIGNIFICANT = 0.05
DAGGER = "†"
UNDERTRAINED = f"{DAGGER}: undertrained, after too few steps to say anything of the method."


def caption(table: Table) -> str:
    """What a table is of."""
    images = f"{table.n} image{'s' if table.n > 1 else ''}"
    where = f"{table.group} ({images}), degradation {table.degradation}"
    return f"{table.preset.title}. {where}; {table.protocol.title}"


def legend(table: Table) -> str:
    """What the marks of a table mean, and what it leaves out."""
    sentences = ["Mean ± standard deviation over images, best in bold."]
    cells = [cell for row in table.rows.values() for cell in row]
    if any(cell.against for cell in cells):
        sentences.append(
            f"Paired two-sided t-test against {table.reference}: ** p < {SIGNIFICANT:g}, "
            f"* p < {WEAKLY_SIGNIFICANT:g}, uncorrected."
        )
    if any(cell.is_empty for cell in cells):
        sentences.append("-: the method does not make the scale, or was not scored there.")
    if any(cell.through for cell in cells):
        sentences.append("‡: the image of another integer scale, taken to size by bicubic.")
    if any(is_out(table, column) for column in table.columns):
        sentences.append(f"(out): above x{table.preset.trained_to:g}, out of distribution.")
    if any(n > 1 for n in table.seeds.values()):
        sentences.append("Of several seeds each image has the mean.")
    if table.undertrained:
        sentences.append(UNDERTRAINED)
    if table.left_out:
        sentences.append(f"Left out, as not of every scale: {', '.join(table.left_out)}.")
    return " ".join(sentences)


def row_name(table: Table, label: str) -> str:
    """A row's label, whether it is undertrained, and of how many trainings it is the mean."""
    marked = label + DAGGER if label in table.undertrained else label
    return f"{marked} ({table.seeds[label]} seeds)" if table.seeds[label] > 1 else marked


def is_out(table: Table, column: Column) -> bool:
    """Whether a column is out of distribution."""
    return table.preset.trained_to is not None and column.scale > table.preset.trained_to


def mean_sd(cell: Cell, measure: Measure) -> str:
    """``33.45 ± 1.57``."""
    places = measure.places
    return f"{cell.mean:.{places}f}" + ("" if math.isnan(cell.sd) else f" ± {cell.sd:.{places}f}")


def mark(cell: Cell) -> str:
    """Stars for the test against the reference, and a dagger for what was resized."""
    p = cell.against.test.p if cell.against else 1.0
    stars = "**" if p < SIGNIFICANT else "*" if p < WEAKLY_SIGNIFICANT else ""
    return stars + ("‡" if cell.through else "")


def p_value(p: float) -> str:
    """A p-value to two digits."""
    return f"{p:.2g}" if p >= 1e-4 else "0" if p == 0 else f"{p:.0e}"


# Frechet distances as the paper prints them: a row a method, a column a scale.


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


def markdown(comparison: Comparison) -> str:
    """The `overview`, then what stands behind each table: seeds and tests."""
    behind = [part for table in comparison.tables for part in (*_spreads(table), *_tests(table))]
    return "\n\n".join([overview(comparison).rstrip(), *behind]) + "\n"


def overview(comparison: Comparison) -> str:
    """Claims in short, every table, every claim."""
    tables = [_main(table) for table in comparison.tables]
    if comparison.distances:
        tables.append(frechet_markdown(comparison.distances, comparison.undertrained).rstrip())
    return "\n\n".join([_tally(comparison.claims), *tables, _claims(comparison.claims)]) + "\n"


def _tally(claims: Sequence[Claim]) -> str:
    verdicts = Counter((claim.kind, claim.verdict) for claim in claims)
    held, failed = verdicts["order", "holds"], verdicts["order", "does not hold"]
    surely, unsurely = verdicts["significance", "holds"], verdicts["significance", "does not hold"]
    return (
        f"Of the paper's claims that a method is ahead {held} hold and {failed} do not hold in this run; of "
        f"those that it is significantly so {surely} and {unsurely}. Line by line they stand below the "
        "tables. The images are not the paper's."
    )


def _main(table: Table) -> str:
    heads = [f"x{c.scale:g} {c.measure.title}{' (out)' if is_out(table, c) else ''}" for c in table.columns]
    rows = [
        [_escaped(row_name(table, label)), *map(_cell, cells, table.columns)]
        for label, cells in table.rows.items()
    ]
    return f"### {caption(table)}\n\n{markdown_table(['method', *heads], rows)}\n\n{_escaped(legend(table))}"


def _cell(cell: Cell, column: Column) -> str:
    if cell.is_empty:
        return "-"
    figure = mean_sd(cell, column.measure)
    return (f"**{figure}**" if cell.is_best else figure) + _escaped(mark(cell))


def _tests(table: Table) -> Iterator[str]:
    """What stands behind the marks: differences with their intervals, p before and after correction."""
    rows = [
        [_escaped(label), f"x{column.scale:g}", column.measure.title, *_test(cell, column)]
        for label, cells in table.rows.items()
        for cell, column in zip(cells, table.columns, strict=True)
        if cell.against
    ]
    if rows:
        heads = ["against", "scale", "measure", "n", f"{_escaped(table.reference)} is ahead by"]
        heads += ["95 % interval", "p", "p, Holm"]
        title = f"### Tests against {_escaped(table.reference)}. {caption(table)}"
        yield f"{title}\n\n{markdown_table(heads, rows)}"


def _test(cell: Cell, column: Column) -> list[str]:
    if cell.against is None:
        return []
    test, places = cell.against.test, column.measure.places + 1
    interval = f"{test.low:+.{places}f} to {test.high:+.{places}f}"
    return [
        str(test.n),
        f"{test.difference:+.{places}f} {column.measure.unit}".rstrip(),
        interval,
        p_value(test.p),
        p_value(cell.against.holm),
    ]


def _spreads(table: Table) -> Iterator[str]:
    """How far the seeds of a row are apart."""
    rows = [
        [_escaped(row_name(table, label)), *map(_spread, cells, table.columns)]
        for label, cells in table.rows.items()
        if table.seeds[label] > 1
    ]
    if rows:
        heads = ["method", *(f"x{c.scale:g} {c.measure.title}" for c in table.columns)]
        yield f"### Standard deviation over seeds. {caption(table)}\n\n{markdown_table(heads, rows)}"


def _spread(cell: Cell, column: Column) -> str:
    return "-" if math.isnan(cell.spread) else f"{cell.spread:.{column.measure.places + 1}f}"


def _claims(claims: Sequence[Claim]) -> str:
    heads = ["verdict", "paper", "where", "claim", "evidence"]
    rows = ([c.verdict, c.table, c.where, c.sentence, c.evidence] for c in claims)
    lines = markdown_table(heads, ([_escaped(cell) for cell in row] for row in rows))
    return f"### The paper's claims in this run\n\n{lines}"


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("|", "\\|")
