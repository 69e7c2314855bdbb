"""A comparison in Markdown."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from histoscale.workflows.compare.claims import Claim
from histoscale.workflows.compare.comparison import Comparison
from histoscale.workflows.compare.frechet_table import frechet_markdown
from histoscale.workflows.compare.table import Cell, Column, Table
from histoscale.workflows.compare.words import caption, is_out, legend, mark, mean_sd, p_value, row_name


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
    lines = [f"### {caption(table)}", "", _line(["method", *heads]), _rule(1 + len(heads))]
    for label, cells in table.rows.items():
        printed = [_cell(cell, column) for cell, column in zip(cells, table.columns, strict=True)]
        lines.append(_line([_escaped(row_name(table, label)), *printed]))
    return "\n".join([*lines, "", _escaped(legend(table))])


def _cell(cell: Cell, column: Column) -> str:
    if cell.is_empty:
        return "-"
    figure = mean_sd(cell, column.measure)
    return (f"**{figure}**" if cell.is_best else figure) + _escaped(mark(cell))


def _tests(table: Table) -> Iterator[str]:
    """What stands behind the marks: differences with their intervals, p before and after correction."""
    lines = [
        _line([_escaped(label), f"x{column.scale:g}", column.measure.title, *_test(cell, column)])
        for label, cells in table.rows.items()
        for cell, column in zip(cells, table.columns, strict=True)
        if cell.against
    ]
    if lines:
        heads = ["against", "scale", "measure", "n", f"{_escaped(table.reference)} is ahead by"]
        heads += ["95 % interval", "p", "p, Holm"]
        title = f"### Tests against {_escaped(table.reference)}. {caption(table)}"
        yield "\n".join([title, "", _line(heads), _rule(len(heads)), *lines])


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
    lines = []
    for label, cells in table.rows.items():
        if table.seeds[label] > 1:
            spreads = [
                "-" if math.isnan(cell.spread) else f"{cell.spread:.{column.measure.places + 1}f}"
                for cell, column in zip(cells, table.columns, strict=True)
            ]
            lines.append(_line([_escaped(row_name(table, label)), *spreads]))
    if lines:
        heads = ["method", *(f"x{c.scale:g} {c.measure.title}" for c in table.columns)]
        title = f"### Standard deviation over seeds. {caption(table)}"
        yield "\n".join([title, "", _line(heads), _rule(len(heads)), *lines])


def _claims(claims: Sequence[Claim]) -> str:
    heads = ["verdict", "paper", "where", "claim", "evidence"]
    lines = ["### The paper's claims in this run", "", _line(heads), _rule(len(heads))]
    for claim in claims:
        cells = [claim.verdict, claim.table, claim.where, claim.sentence, claim.evidence]
        lines.append(_line([_escaped(cell) for cell in cells]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(n: int) -> str:
    return _line(["---"] * n)


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("|", "\\|")
