"""Outputs that are complete already: ``--resume`` keeps them if they are what the command would make."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histoscale.errors import OutputError
from histoscale.io.formats import describe, open_slide
from histoscale.io.tile_store import TileStore
from histoscale.io.writers.formats import is_slide_target
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.options import Options
from histoscale.upscaling.planning import METHODS, NOTES
from histoscale.upscaling.record import UsedModel, record
from histoscale.upscaling.request import read_request
from histoscale.upscaling.results import SlideOutcome

COMPARED = {
    "source": "its source",
    "source_digest": "the content of its source",
    "region": "its region",
    "scale": "its scale",
    "mpp": "its mpp",
    "note": "its method",
    "weights_sha256": "the sha256 of its weights",
    "precision": "its precision",
}
"""Entries of the record in a file that must be the same, and what a message calls them."""
NEW = ("source_digest", "region")
"""Entries that files of earlier versions do not have."""
SAME = 1e-9
"""Relative difference of numbers that are the same."""


def finished_outcome(source: Path, target: Path, options: Options, engine: Engine) -> SlideOutcome | None:
    """The outcome of an earlier run that finished; None if the target is still to be computed.

    A target appears under its name when it is complete. No model is loaded.

    Raises:
        InputError: if the source or the target cannot be read.
        OutputError: if the target was made from another source or with other settings.
    """
    if not os.path.lexists(target) or TileStore.beside(target).exists:
        return None
    with open_slide(source) as slide:
        request = read_request(slide, options)
    found = describe(target).provenance
    if found is None:
        raise OutputError(f"{target} exists, but histoscale did not write it: use --overwrite to replace it.")
    method = request.method if is_slide_target(target) else request.image_method
    used = _used(engine, options, found) if method == "model" else None
    expected = record(request.header, request.region, request.output, NOTES[method], used)
    _refuse_other(target, found, json.loads(expected.to_json()))
    return SlideOutcome(
        source,
        target,
        request.region.size_xy,
        request.output.size_xy,
        request.mpp,
        request.output.mpp,
        used.label if used else METHODS[method],
        seconds=0.0,
        remarks=(f"skipped, because {target} is finished",),
        provenance=expected,
        power_before=request.header.power,
    )


def _used(engine: Engine, options: Options, found: Mapping[str, Any]) -> UsedModel:
    """The model that would be used; "auto" leaves the precision to the processor, which may be another."""
    precision = options.precision if options.precision != "auto" else found.get("precision", "fp32")
    return UsedModel(engine.card.name, engine.card.sha256, precision, engine.card.scales)


def _refuse_other(target: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise `OutputError` naming the first entry of two records that differs."""
    for key, name in COMPARED.items():
        before, now = found.get(key), expected.get(key)
        if _is_same(before, now) or (before is None and key in NEW):
            continue
        raise OutputError(
            f"{target} exists, but {name} is {_short(before)} and not {_short(now)}: use --overwrite to "
            "replace it, or another --output."
        )


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_is_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=SAME)
    return bool(a == b)


def _short(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 60 else text[:12]
