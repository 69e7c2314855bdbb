"""A comparison in Markdown."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from histoscale.workflows.compare.claims import Claim
from histoscale.workflows.compare.comparison import Comparison
from histoscale.workflows.compare.frechet_table import frechet_markdown
from histoscale.workflows.compare.table import Cell, Column, Table
from histoscale.workflows.compare.words import caption, is_out, legend, mark, mean_sd, p_value, row_name
from histoscale.workflows.markdown_table import markdown_table


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
