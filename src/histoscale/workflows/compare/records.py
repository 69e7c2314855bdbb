"""A comparison as JSON: every figure unrounded, and what it takes to make it again from the scores."""

import json
from dataclasses import asdict
from typing import Any

from histoscale.workflows.compare.comparison import Comparison
from histoscale.workflows.compare.table import Cell, Column, Table
from histoscale.workflows.scores import as_plain


def as_json(comparison: Comparison) -> str:
    """Presets and reference, tables and claims."""
    content = {
        "presets": [preset.name for preset in comparison.presets],
        "scales": [list(p.scales) for p in comparison.presets if p.name == "scales"],
        "reference": comparison.reference,
        "tables": [_table(table) for table in comparison.tables],
        "frechet": [asdict(distance) for distance in comparison.distances],
        "claims": [asdict(claim) for claim in comparison.claims],
    }
    return json.dumps(as_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    cells = [
        _cell(label, cell, column)
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


def _cell(label: str, cell: Cell, column: Column) -> dict[str, Any]:
    content = {"row": label, "scale": column.scale, "measure": column.measure.field, **asdict(cell)}
    if cell.against:
        content["against"] = {**asdict(cell.against.test), "p_holm": cell.against.holm}
    return content
