"""A comparison in LaTeX, for the packages booktabs and amsmath."""

from collections.abc import Sequence

from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.report import (
    FrechetTable,
    caption,
    frechet_tables,
    is_out,
    legend,
    mark,
    mean_sd,
    row_name,
)
from histoscale.experiments.compare.statistics import Cell, Measure, Table

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "†": "$^{\\dagger}$",
    "‡": "$^{\\ddagger}$",
    "*": "$^{*}$",
    "<": "$<$",
    "é": "\\'e",
}


def latex(comparison: Comparison) -> str:
    """Every table of a comparison, ready for ``\\input``."""
    tables = [
        *map(_table, comparison.tables),
        *map(_frechet, frechet_tables(comparison.distances, comparison.undertrained)),
    ]
    return "\n".join(["% \\usepackage{booktabs}", *tables]) + "\n"


def _table(table: Table) -> str:
    rows = [_row(table, label, cells) for label, cells in table.rows.items()]
    return _floating(f"{caption(table)}. {legend(table)}", len(table.columns), _heads(table), rows)


def _frechet(table: FrechetTable) -> str:
    head = _line(["Method", *(f"${{\\times}}{scale:g}$" for scale in table.scales)])
    rows = [
        _line([_escaped(label), *(f"\\textbf{{{c.text}}}" if c.is_best else c.text for c in cells)])
        for label, cells in table.rows.items()
    ]
    return _floating(f"{table.caption}. {table.legend}", len(table.scales), [head], rows)


def _floating(words: str, columns: int, heads: Sequence[str], rows: Sequence[str]) -> str:
    lines = [
        "",
        "\\begin{table}",
        f"\\caption{{{_escaped(words)}}}",
        f"\\begin{{tabular}}{{l{'c' * columns}}}",
        "\\toprule",
        *heads,
        "\\midrule",
        *rows,
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines)


def _heads(table: Table) -> list[str]:
    """A line of scales, each over its measures, and a line of measures."""
    width = len(table.protocol.measures)
    scales = [
        f"${{\\times}}{c.scale:g}${' (out)' if is_out(table, c) else ''}" for c in table.columns[::width]
    ]
    return [
        _line(["", *(f"\\multicolumn{{{width}}}{{c}}{{{scale}}}" for scale in scales)]),
        _line(["Method", *(f"{column.measure.title}$\\uparrow$" for column in table.columns)]),
    ]


def _row(table: Table, label: str, cells: Sequence[Cell]) -> str:
    printed = [_cell(cell, column.measure) for cell, column in zip(cells, table.columns, strict=True)]
    return _line([_escaped(row_name(table, label)), *printed])


def _cell(cell: Cell, measure: Measure) -> str:
    if cell.is_empty:
        return "-"
    figure = _escaped(mean_sd(cell, measure))
    return (f"\\textbf{{{figure}}}" if cell.is_best else figure) + _escaped(mark(cell))


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(character, character) for character in text)
