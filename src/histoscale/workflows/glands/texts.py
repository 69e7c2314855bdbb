"""The tables as Markdown, LaTeX and JSON: files made from the scores alone."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from histoscale.workflows.compare.latex import SPECIAL
from histoscale.workflows.glands.results import Part, contests, gaps, parts_of
from histoscale.workflows.glands.scores import MEASURES, SIZES, GlandScore
from histoscale.workflows.glands.settings import all_settings
from histoscale.workflows.glands.tables import WordTable, remarks, tables_of
from histoscale.workflows.markdown_table import markdown_table
from histoscale.workflows.scores import as_plain

TABLES = ("tables.md", "tables.tex", "tables.json")


def texts_of(scores: Sequence[GlandScore]) -> dict[str, str]:
    """The content of `TABLES`."""
    parts = parts_of(scores)
    return dict(zip(TABLES, (markdown(parts), latex(parts), as_json(parts)), strict=True))


def markdown(parts: Sequence[Part]) -> str:
    """Every table of every part, and what has to be said of it."""
    blocks = []
    for part in parts:
        blocks += [_markdown_table(table) for table in tables_of(part) if table.rows]
        blocks += remarks(part)
    return "\n\n".join(blocks) + "\n"


def latex(parts: Sequence[Part]) -> str:
    """Every table, for the package booktabs."""
    tables = [_latex_table(table) for part in parts for table in tables_of(part) if table.rows]
    return "\n\n".join(["% \\usepackage{booktabs}", *tables]) + "\n"


def as_json(parts: Sequence[Part]) -> str:
    """Every figure unrounded."""
    return json.dumps(as_plain([_plain(part) for part in parts]), indent=1, allow_nan=False) + "\n"


def _markdown_table(table: WordTable) -> str:
    return f"{table.caption}.\n\n{markdown_table(table.heads, table.rows)}"


def _latex_table(table: WordTable) -> str:
    rows = [f"{' & '.join(map(_escaped, row))} \\\\" for row in (table.heads, *table.rows)]
    body = [rows[0], "\\midrule", *rows[1:]]
    begin = ["\\begin{table}", f"\\caption{{{_escaped(table.caption)}.}}"]
    form = ["\\begin{tabular}{" + "l" * len(table.heads) + "}", "\\toprule"]
    return "\n".join([*begin, *form, *body, "\\bottomrule", "\\end{tabular}", "\\end{table}"])


def _escaped(text: str) -> str:
    special = SPECIAL | {"→": "$\\rightarrow$"}
    return "".join(special.get(character, character) for character in text)


def _plain(part: Part) -> dict[str, Any]:
    settings = [
        {
            **setting._asdict(),
            "pooled": {m: part.pooled(setting, m)._asdict() for m in MEASURES},
            "image_mean": {m: part.image_mean(setting, m)._asdict() for m in MEASURES},
            "recall": {size: part.recall(setting, size)._asdict() for size in SIZES},
        }
        for setting in all_settings(part.kinds)
    ]
    return {
        "part": part.name,
        "images": part.n,
        "seeds": part.seeds,
        "seen_by_models": {model: part.seen(model) for model in part.models},
        "settings": settings,
        "tests": [
            {"first": c.first._asdict(), "second": c.second._asdict(), "measure": c.measure}
            | asdict(c.test)
            | {"p_holm": c.p_holm}
            for c in contests(part)
        ],
        "recovered": [
            {"setting": g.setting._asdict(), "from": g.low._asdict(), "measure": g.measure, "share": g.share}
            for g in gaps(part)
        ],
    }
