"""Tables of text for Markdown, LaTeX and the terminal, and the formats of numbers in all tables."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "†": "$^{\\dagger}$",
    "‡": "$^{\\ddagger}$",
    "→": "$\\rightarrow$",
    "*": "$^{*}$",
    "<": "$<$",
    "é": "\\'e",
}
"""LaTeX for special characters."""


class TextCell(NamedTuple):
    """A cell that may be bold, and marks that follow its text."""

    text: str
    is_bold: bool = False
    marks: str = ""


Head: TypeAlias = str | tuple[str, str]
"""A heading, or the headings of a group of columns and of one column; LaTeX writes the first once."""


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        rows: a text is a `TextCell` without bold or marks.
        caption: title, without a full stop at the end.
        legend: sentences below the table.
    """

    heads: Sequence[Head]
    rows: Sequence[Sequence[str | TextCell]]
    caption: str = ""
    legend: str = ""

    def markdown(self, heading: str = "###") -> str:
        """Write caption, grid and legend in Markdown.

        Args:
            heading: level of the caption; if empty, the caption is a sentence.
        """
        caption = escaped_markdown(self.caption)
        parts = [f"{heading} {caption}" if heading else f"{caption}.", self.grid()]
        return "\n\n".join([*parts, escaped_markdown(self.legend)] if self.legend else parts)

    def grid(self) -> str:
        """Write the lines of the table alone in Markdown."""
        heads = [head if isinstance(head, str) else " ".join(filter(None, head)) for head in self.heads]
        rows = ([_markdown_cell(cell) for cell in row] for row in self.rows)
        lines = (map(escaped_markdown, heads), ["---"] * len(heads), *rows)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def latex(self) -> str:
        """Write the table in LaTeX, for the package booktabs."""
        rows = [_latex_line(map(_latex_cell, row)) for row in self.rows]
        caption = " ".join(filter(None, (f"{self.caption}.", self.legend)))
        return "\n".join(
            [
                "\\begin{table}",
                f"\\caption{{{escaped_latex(caption)}}}",
                f"\\begin{{tabular}}{{l{'c' * (len(self.heads) - 1)}}}",
                "\\toprule",
                *self._latex_heads(),
                "\\midrule",
                *rows,
                "\\bottomrule",
                "\\end{tabular}",
                "\\end{table}",
            ]
        )

    def texts(self) -> list[list[str]]:
        """Heading and rows as plain text, for a terminal."""
        heads = [head if isinstance(head, str) else " ".join(filter(None, head)) for head in self.heads]
        rows = [
            [cell if isinstance(cell, str) else cell.text + cell.marks for cell in row] for row in self.rows
        ]
        return [heads, *rows]

    def _latex_heads(self) -> list[str]:
        """Write a line of groups, if there are any, and a line of columns."""
        pairs = [("", head) if isinstance(head, str) else head for head in self.heads]
        lines = [_latex_line(_latex_head(own) for _, own in pairs)]
        if any(group for group, _ in pairs):
            spans = [
                (group, len(list(same))) for group, same in itertools.groupby(pairs, lambda pair: pair[0])
            ]
            cells = (
                f"\\multicolumn{{{n}}}{{c}}{{{_latex_head(group)}}}" if group else "" for group, n in spans
            )
            lines.insert(0, _latex_line(cells))
        return lines


def markdown_document(blocks: Iterable[str]) -> str:
    """Join blocks of Markdown with a blank line between them."""
    return "\n\n".join(blocks) + "\n"


def latex_document(tables: Iterable[TextTable]) -> str:
    """Write tables in LaTeX, ready for ``\\input``."""
    return "\n\n".join(["% \\usepackage{booktabs}", *(table.latex() for table in tables)]) + "\n"


def escaped_markdown(text: str) -> str:
    """Escape stars and bars, so that they are not read as markup."""
    return text.replace("*", "\\*").replace("|", "\\|")


def escaped_latex(text: str) -> str:
    """Replace special characters by the LaTeX that prints them."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _markdown_cell(cell: str | TextCell) -> str:
    text, is_bold, marks = TextCell(cell) if isinstance(cell, str) else cell
    text = escaped_markdown(text)
    return (f"**{text}**" if is_bold else text) + escaped_markdown(marks)


def _latex_cell(cell: str | TextCell) -> str:
    text, is_bold, marks = TextCell(cell) if isinstance(cell, str) else cell
    text = escaped_latex(text)
    return (f"\\textbf{{{text}}}" if is_bold else text) + escaped_latex(marks)


def _latex_head(text: str) -> str:
    return re.sub(r"^x(?=\d)", r"$\\times$", escaped_latex(text))


def _latex_line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


# Numbers.


def number(value: float, places: int) -> str:
    """``33.45``; a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.{places}f}"


def mean_sd(mean: float, sd: float, places: int) -> str:
    """``33.45 ± 1.57``; without the deviation if it is NaN, a dash if there is no mean."""
    return number(mean, places) + ("" if math.isnan(mean) or math.isnan(sd) else f" ± {sd:.{places}f}")


def signed(value: float, places: int) -> str:
    """``+0.12``; a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:+.{places}f}"


def interval(low: float, high: float, places: int) -> str:
    """``+0.10 to +0.14``."""
    return f"{low:+.{places}f} to {high:+.{places}f}"


def percent(share: float, low: float = math.nan, high: float = math.nan) -> str:
    """``45% [40%, 51%]``; without the interval if it is NaN, a dash if there is no share."""
    if math.isnan(share):
        return "-"
    return f"{share:.0%}" + ("" if math.isnan(low) else f" [{low:.0%}, {high:.0%}]")


def p_value(p: float) -> str:
    """Write a p-value with two digits, or with its power of ten if it is small: ``0.023``, ``4e-07``."""
    return f"{p:.2g}" if p >= 1e-4 else "0" if p == 0 else f"{p:.0e}"


def p_to_thousandth(p: float) -> str:
    """Write a p-value with three places: ``0.023``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(n: int, noun: str) -> str:
    """``1 image``, ``3 images``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
