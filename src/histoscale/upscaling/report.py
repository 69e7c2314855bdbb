"""The report of a run, for people and for programs: what became of every slide, and what it took."""

import json
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from os.path import commonpath
from pathlib import Path
from typing import Any, NamedTuple

from histoscale.errors import HistoscaleError
from histoscale.files import write_text
from histoscale.io.annotations import Rectangle
from histoscale.io.formats import open_slide
from histoscale.io.image_reader import read_mask
from histoscale.io.provenance import SUPER_RESOLVED
from histoscale.io.slide import Slide
from histoscale.io.thumbnail import overview, to_jpeg
from histoscale.io.tile_store import TileStore
from histoscale.upscaling.plan import SlidePlan
from histoscale.upscaling.report_page import page
from histoscale.upscaling.results import Failure, Outcome, Run, SlideOutcome, Views


def report_stem(targets: Sequence[Path], folder: Path | None, started: datetime) -> Path:
    """Where a report goes, less its suffix.

    Beside a single output it bears that output's name; in a folder, the one given or that of several
    outputs, it bears the time, so that a later run leaves it alone.
    """
    if folder is None and len(targets) == 1:
        return targets[0].with_name(targets[0].name + ".report")
    folder = folder or Path(commonpath([target.parent for target in targets]))
    return folder / f"report-{started:%Y%m%d-%H%M%S}"


def write_report(stem: Path, results: Sequence[Outcome | Failure], run: Run) -> tuple[Path, Path]:
    """Write the page and the record beside each other, and say where they are.

    Raises:
        OutputError: if the folder cannot be written.
    """
    paths = stem.with_name(stem.name + ".html"), stem.with_name(stem.name + ".json")
    for path, text in zip(paths, (page(results, run), to_json(results, run)), strict=True):
        write_text(path, text)
    return paths


def to_json(results: Sequence[Outcome | Failure], run: Run) -> str:
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


# What a written slide is looked at for before its store goes: tissue, and how it looks.


class Findings(NamedTuple):
    """As the fields of the same names of `SlideOutcome`."""

    tissue_share: float | None
    views: Views


def look_at(source: Slide, field: Rectangle, plan: SlidePlan, store: TileStore, target: Path) -> Findings:
    """All of it, in little memory and a second or two.

    Args:
        field: what was wanted of the source.
        target: the written slide.
    """
    return Findings(
        share_of_tissue(store.tissue) if plan.tissue else None,
        Views(_view(source, field), _view_of(target)),
    )


def share_of_tissue(mask: Path) -> float:
    """Of the area, from what `TissueMask.save` wrote; that class would bring all of skimage into memory."""
    return float(read_mask(mask).mean())


def _view_of(target: Path) -> bytes | None:
    try:
        with open_slide(target) as written:
            return _view(written, Rectangle((0, 0), written.levels_xy[0]))
    except HistoscaleError:
        return None


def _view(slide: Slide, field: Rectangle) -> bytes | None:
    """A view that fails is missing in the report, and that is all."""
    try:
        seen = overview(slide, *field)
    except HistoscaleError:
        return None
    return None if seen is None else to_jpeg(seen)
