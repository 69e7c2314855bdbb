"""The record for programs, and where reports lie."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from histoscale.errors import OutputError
from histoscale.io.slide import Mpp
from histoscale.upscaling.report import (
    report_stem,
    to_json,
    write_report,
)
from histoscale.upscaling.results import Failure, Invocation, SlideOutcome, Work

STARTED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
RUN = Invocation("histoscale upscale a.svs -o b.ome.tiff --scale 4", STARTED, 12.3456)


def written(**measured: object) -> SlideOutcome:
    mpp = Mpp(0.5, 0.5), Mpp(0.125, 0.125)
    return SlideOutcome(
        Path("a.svs"), Path("b.ome.tiff"), (100, 50), (400, 200), *mpp, "iste-fast fp32", 2.0, **measured
    )


def test_the_record_counts_and_tells_everything() -> None:
    slide = written(work=Work(1.0, 6.0, 0.0, 1.0), tissue_share=0.5, peak_mib=800.0)
    record = json.loads(to_json([slide, Failure(Path("c.svs"), "c.svs is empty.")], RUN))
    assert (record["written"], record["failed"], record["seconds"]) == (1, 1, 12.346)
    assert record["started"] == "2026-03-04T05:06:07+00:00"
    first, second = record["slides"]
    assert first["target_size_px"] == [400, 200]
    assert first["target_mpp"] == [0.125, 0.125]
    assert first["megapixels_per_second"] == 0.04
    assert first["work"]["model"] == {"seconds": 6.0, "share": 0.75}
    assert second == {"status": "failed", "source": "c.svs", "sentence": "c.svs is empty."}


def test_what_was_not_tried_has_not_failed() -> None:
    results = [
        Failure(Path("a.svs"), "a.svs is empty."),
        Failure(Path("b.svs"), "Not tried.", was_tried=False),
    ]
    record = json.loads(to_json(results, RUN))
    assert (record["failed"], record["untried"]) == (1, 1)
    assert [slide["status"] for slide in record["slides"]] == ["failed", "untried"]


def test_what_is_unknown_is_null() -> None:
    record = json.loads(to_json([written()], RUN))["slides"][0]
    assert record["model"] is None
    assert record["work"] is None
    assert record["tissue_share"] is None


def test_shares_of_no_work_are_none() -> None:
    assert Work().shares == (0, 0, 0, 0)
    assert Work(1, 4, 2, 1).shares == (0.125, 0.5, 0.25, 0.125)


def test_a_report_lies_beside_a_single_output() -> None:
    assert report_stem([Path("out/b.ome.tiff")], None, STARTED) == Path("out/b.ome.tiff.report")


def test_reports_in_a_folder_never_meet() -> None:
    several = [Path("out/a/x.tiff"), Path("out/b/y.tiff")]
    assert report_stem(several, None, STARTED) == Path("out/report-20260304-050607")
    assert report_stem(several, Path("reports"), STARTED) == Path("reports/report-20260304-050607")
    assert report_stem(several[:1], Path("reports"), STARTED) == Path("reports/report-20260304-050607")


def test_both_files_are_written_and_replace_older_ones(tmp_path: Path) -> None:
    stem = tmp_path / "new" / "b.ome.tiff.report"
    for _ in range(2):
        page, record = write_report(stem, [written()], RUN)
    assert (page.name, record.name) == ("b.ome.tiff.report.html", "b.ome.tiff.report.json")
    assert json.loads(record.read_text(encoding="utf-8"))["written"] == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(stem.parent.iterdir()) == [page, record]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report", [written()], RUN)
