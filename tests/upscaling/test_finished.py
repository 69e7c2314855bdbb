"""What is complete is kept by ``--resume`` if it is what the command would make, and refused if it is not."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import histoscale
from histoscale.errors import OutputError
from histoscale.upscaling.jobs import Job, upscale_files
from histoscale.upscaling.options import Options
from histoscale.upscaling.results import Failure, Outcome

NAMES = ("b.png", "b.ome.tiff", "b.ome.zarr", "b.dcm")


@pytest.fixture
def choices(small_weights: Path) -> dict[str, Any]:
    return {"scale": 1.5, "model": str(small_weights), "device": "cpu", "precision": "fp32", "workers": 1}


def run(job: Job, choices: dict[str, Any], **changes: Any) -> list[Outcome | Failure]:
    return list(upscale_files([job], Options(**choices | changes)))


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_output_is_kept(source: Path, choices: dict[str, Any], name: str) -> None:
    job = Job(source, source.with_name(name))
    (written,) = run(job, choices)
    assert isinstance(written, Outcome)
    before = job.target.stat().st_mtime_ns
    assert run(job, choices, resume=True) == []
    assert run(job, choices, resume=True, precision="auto") == []
    if name != "b.png":
        again = histoscale.upscale_slide(*job, resume=True, **choices)
        assert "finished" in again.remarks[0]
        assert (again.after_xy, again.method) == (written.after_xy, written.method)
    assert job.target.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": 2}, ["scale", "1.5", "2"]),
        ({"region": "0,0,60,20"}, ["region", "40", "20"]),
        ({"model": "iste-fast"}, ["sha256", "weights"]),
        ({"source_mpp": 0.7}, ["mpp"]),
        ({"precision": "bf16"}, ["precision", "fp32", "bf16"]),
    ],
)
@pytest.mark.parametrize("name", NAMES[:2])
def test_an_output_of_other_settings_is_refused(
    source: Path, choices: dict[str, Any], name: str, changes: dict[str, Any], words: list[str]
) -> None:
    job = Job(source, source.with_name(name))
    run(job, choices)
    (failure,) = run(job, choices, resume=True, **changes)
    assert isinstance(failure, Failure)
    assert [word for word in [name, "--overwrite", *words] if word not in failure.sentence] == []
    if name != "b.png":
        with pytest.raises(OutputError, match=words[0]):
            histoscale.upscale_slide(*job, resume=True, **choices | changes)


def test_an_output_of_another_source_is_refused(source: Path, choices: dict[str, Any]) -> None:
    job = Job(source, source.with_name("b.png"))
    run(job, choices)
    copied = Path(shutil.copy(source, source.with_name("c.png")))
    (failure,) = run(Job(copied, job.target), choices, resume=True)
    assert isinstance(failure, Failure)
    assert "c.png" in failure.sentence
    Image.fromarray(np.full((40, 60, 3), 9, np.uint8)).save(source, dpi=(50_800, 50_800))
    (failure,) = run(job, choices, resume=True)
    assert isinstance(failure, Failure)
    assert "content of its source" in failure.sentence


def test_a_file_that_we_did_not_write_is_refused(source: Path, choices: dict[str, Any]) -> None:
    target = source.with_name("b.png")
    Image.new("RGB", (90, 60)).save(target)
    (failure,) = run(Job(source, target), choices, resume=True)
    assert isinstance(failure, Failure)
    assert "did not write it" in failure.sentence
