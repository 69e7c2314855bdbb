"""The report of a run as HTML and JSON: the outcome of every file, its time and its memory."""

import json
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from os.path import commonpath
from pathlib import Path
from typing import Any

from histoscale.files import fitted, write_text
from histoscale.io.provenance import SUPER_RESOLVED
from histoscale.upscaling.report_page import page
from histoscale.upscaling.results import Failure, Invocation, Outcome, SlideOutcome


def report_stem(targets: Sequence[Path], folder: Path | None, started: datetime) -> Path:
    """Return the path of a report without its suffix.

    The report of a single output stands beside it and has its name. Other reports stand in the given folder,
    or in that of the outputs, and have the time in their name, so that a later run does not replace them.
    """
    if folder is None and len(targets) == 1:
        return targets[0].with_name(fitted(targets[0].name, "", ".report.html").removesuffix(".html"))
    folder = folder or Path(commonpath([target.parent for target in targets]))
    return folder / f"report-{started:%Y%m%d-%H%M%S}"


def report_paths(stem: Path) -> tuple[Path, Path]:
    """The page and the record of a report."""
    return stem.with_name(stem.name + ".html"), stem.with_name(stem.name + ".json")


def write_report(
    stem: Path, results: Sequence[Outcome | Failure], run: Invocation, *, overwrite: bool = True
) -> tuple[Path, Path]:
    """Write the page and the record, and return their paths.

    Raises:
        OutputError: if the folder cannot be written, or a file is there and ``overwrite`` is off.
    """
    paths = report_paths(stem)
    for path, text in zip(paths, (page(results, run), to_json(results, run)), strict=True):
        write_text(path, text, overwrite=overwrite)
    return paths


def to_json(results: Sequence[Outcome | Failure], run: Invocation) -> str:
    """The record for programs; what is unknown is null."""
    record = {
        "histoscale": version("histoscale"),
        "note": SUPER_RESOLVED,
        "command": run.command,
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": round(run.seconds, 3),
        "written": sum(isinstance(result, Outcome) for result in results),
        "failed": sum(isinstance(result, Failure) and result.was_tried for result in results),
        "untried": sum(isinstance(result, Failure) and not result.was_tried for result in results),
        "slides": [_record(result) for result in results],
    }
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _record(result: Outcome | Failure) -> dict[str, Any]:
    if isinstance(result, Failure):
        status = "failed" if result.was_tried else "untried"
        return {"status": status, "source": str(result.source), "sentence": result.sentence}
    record = {
        "status": "written",
        "source": str(result.source),
        "target": str(result.target),
        "source_size_px": result.before_xy,
        "target_size_px": result.after_xy,
        "source_mpp": result.mpp_before,
        "target_mpp": result.mpp_after,
        "method": result.method,
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": _rounded(result.megapixels_per_second),
        "remarks": result.remarks,
    }
    return record | (_measured(result) if isinstance(result, SlideOutcome) else {})


def _measured(slide: SlideOutcome) -> dict[str, Any]:
    made, work = slide.provenance, slide.work
    record: dict[str, Any] = {
        "source_power": slide.power_before,
        "target_power": made and made.power,
        "note": made and made.note,
        "model": made and made.model,
        "weights_sha256": made and made.weights_sha256,
        "precision": made and made.precision,
        "device": slide.device,
        "workers": slide.workers,
        "tile_px": slide.tile_px,
        "tissue_share": _rounded(slide.tissue_share),
        "peak_mib": _rounded(slide.peak_mib),
        "work": None,
    }
    if work:
        record["work"] = {
            name: {"seconds": round(seconds, 3), "share": _rounded(share)}
            for name, seconds, share in zip(work._fields, work, work.shares, strict=True)
        }
    return record


def _rounded(number: float | None) -> float | None:
    """Five digits: more are noise."""
    return None if number is None else float(f"{number:.5g}")
