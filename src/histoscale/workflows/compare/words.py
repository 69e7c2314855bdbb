"""How figures, marks and captions of a comparison read, in Markdown and LaTeX alike."""

import math

from histoscale.workflows.compare.claims import SIGNIFICANT
from histoscale.workflows.compare.grid import Measure
from histoscale.workflows.compare.table import Cell, Column, Table

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
