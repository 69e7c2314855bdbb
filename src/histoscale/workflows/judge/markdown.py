"""A judged task in Markdown."""

import math
from collections.abc import Sequence

from histoscale.metrics.recovery import Share
from histoscale.workflows.judge.table import MeasureTable, Row
from histoscale.workflows.markdown_table import markdown_table
from histoscale.workflows.settings import LOW, ORIGINAL, Setting

LEGEND = (
    "Mean ± standard deviation over images; shares with 95 % intervals from resampled images. "
    "Recovered: the way from low resolution (0 %) to the original (100 %); above 100 % is beyond the "
    "original, below 0 % worse than not enlarging at all. Whether more or less is better, the task knows."
)


def markdown(task: str, scale: float, tables: Sequence[MeasureTable], settings: Sequence[Setting]) -> str:
    """All measures of a task."""
    learnt = [f"- {one.name}: {one.learnt_from}" for one in settings if one.learnt_from]
    parts = [f"# {task} at x{scale:g}", *(_table(table) for table in tables), LEGEND]
    if learnt:
        parts.append("What the super-resolution models learnt from:\n\n" + "\n".join(learnt))
    return "\n\n".join(parts) + "\n"


def _table(table: MeasureTable) -> str:
    heads = ["setting", table.measure.replace("|", "/"), "of the original's", "recovered"]
    images = f"{table.n} image{'s' if table.n > 1 else ''}"
    if table.left_out:
        images += f", {table.left_out} left out that lack it in a setting"
    rows = ([cell.replace("|", "/") for cell in _row(row)] for row in table.rows)
    return f"## {table.measure} ({images})\n\n{markdown_table(heads, rows)}"


def _row(row: Row) -> list[str]:
    spread = "" if math.isnan(row.sd) else f" ± {row.sd:.3f}"
    recovered = "-" if row.setting in (ORIGINAL, LOW) else _share(row.recovered)
    of_original = "-" if row.setting == ORIGINAL else _share(row.of_original)
    return [row.setting, f"{row.mean:.3f}{spread}", of_original, recovered]


def _share(share: Share) -> str:
    if math.isnan(share.mean):
        return "-"
    interval = "" if math.isnan(share.low) else f" [{share.low:.0%}, {share.high:.0%}]"
    return f"{share.mean:.0%}{interval}"
