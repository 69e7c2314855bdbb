"""Many files: pairing, failures, names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import InputError, OutputError
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.jobs import Job, plan_jobs, upscale_files
from histoscale.upscaling.options import Options
from histoscale.upscaling.results import Failure, Outcome, SlideOutcome


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one damaged, and things to leave alone."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.png", "c.JPG"):
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / name)
    (folder / "b.png").write_bytes(b"no image")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    return folder


def test_one_file_becomes_one_file(tmp_path: Path) -> None:
    assert plan_jobs([tmp_path / "a.png"], tmp_path / "b.tif") == [
        Job(tmp_path / "a.png", tmp_path / "b.tif")
    ]


def test_a_name_with_a_slash_is_a_folder(tmp_path: Path) -> None:
    (job,) = plan_jobs([tmp_path / "a.png"], f"{tmp_path}/out/")
    assert job.target == tmp_path / "out" / "a.png"


def test_several_inputs_and_the_name_of_a_file_are_refused(tmp_path: Path) -> None:
    inputs = [tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(OutputError, match=r"x\.png.*several inputs"):
        plan_jobs(inputs, tmp_path / "x.png")
    assert plan_jobs(inputs, f"{tmp_path}/x.png/")[1].target == tmp_path / "x.png" / "b.png"


def test_a_size_that_is_impossible_for_a_file_names_it(folder: Path, tmp_path: Path) -> None:
    jobs = plan_jobs([folder / "a.png", folder / "c.JPG"], tmp_path / "out")
    failures = list(upscale_files(jobs, Options(mpp=0.25)))
    assert [str(failure.source) in failure.sentence for failure in failures] == [True, True]


@pytest.mark.parametrize(("output", "words"), [("", "empty"), ("out", r"no suffix.*out\.png.*out/")])
def test_an_output_of_no_format_is_refused(tmp_path: Path, output: str, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        plan_jobs([tmp_path / "a.png"], output)


def test_an_existing_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "x2.7").mkdir()
    (job,) = plan_jobs([Path("a.png")], tmp_path / "x2.7")
    assert job.target == tmp_path / "x2.7" / "a.png"


def test_a_folder_gives_its_images(folder: Path, tmp_path: Path) -> None:
    jobs = plan_jobs([folder], tmp_path / "out")
    assert [(job.source.name, job.target.name) for job in jobs] == [
        (n, n) for n in ("a.png", "b.png", "c.JPG")
    ]


def test_formats_that_are_only_read_get_another_suffix() -> None:
    jobs = plan_jobs([Path("a.svs"), Path("b.bmp")], Path("out"))
    assert [job.target for job in jobs] == [Path("out/a.ome.tiff"), Path("out/b.png")]


def test_a_folder_that_is_one_slide(data_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study.7"
    folder.mkdir()
    dicom = data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm"
    (folder / "level.dcm").symlink_to(dicom)
    assert plan_jobs([folder], tmp_path / "b.dcm") == [Job(folder, tmp_path / "b.dcm")]
    assert plan_jobs([folder], f"{tmp_path}/out/") == [Job(folder, tmp_path / "out" / "study.7.ome.tiff")]
    (folder / "a.svs").write_bytes(b"")
    names = [job.source.name for job in plan_jobs([folder], tmp_path / "out")]
    assert names == ["a.svs", "level.dcm"]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        plan_jobs([tmp_path], tmp_path / "out")


def test_an_empty_folder_among_others_fails_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    jobs = plan_jobs([tmp_path / "empty", source], tmp_path / "out")
    failed, written = upscale_files(jobs, Options(scale=0.5))
    assert isinstance(failed, Failure)
    assert "empty is a folder" in failed.sentence
    assert isinstance(written, Outcome)


def test_two_inputs_of_one_name() -> None:
    with pytest.raises(OutputError, match=r"out/a\.png"):
        plan_jobs([Path("x/a.png"), Path("y/a.png")], Path("out"))


def test_several_inputs_and_one_file(source: Path) -> None:
    with pytest.raises(OutputError, match="several inputs"):
        plan_jobs([source, Path("b.png")], source)


def test_an_input_is_never_its_own_output(source: Path) -> None:
    for output in (source, source.parent, source.parent / "." / source.name):
        with pytest.raises(OutputError, match="replaced by its own output"):
            plan_jobs([source], output)
    link = source.with_name("link.png")
    link.symlink_to(source)
    with pytest.raises(OutputError, match="replaced by its own output"):
        plan_jobs([source], link)


def test_a_failure_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    jobs = plan_jobs([folder], tmp_path / "out")
    results = list(upscale_files(jobs, Options(scale=0.5, model="nobody")))
    assert [type(result) for result in results] == [Outcome, Failure, Outcome]
    assert isinstance(results[1], Failure)
    assert "b.png is not an image" in results[1].sentence
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.JPG"]


def test_progress_names_the_file(source: Path, engine: Engine) -> None:
    seen: list[tuple[str, int, int]] = []
    jobs = plan_jobs([source], source.with_name("b.png"))
    (result,) = upscale_files(
        jobs,
        Options(scale=2, model=engine.model_name, device="cpu"),
        lambda path, done, total: seen.append((path.name, done, total)),
    )
    assert isinstance(result, Outcome)
    assert seen[-1] == ("a.png", 9600, 9600)


def test_what_stops_at_the_first_failure(folder: Path, tmp_path: Path) -> None:
    jobs, options = (
        plan_jobs([folder], tmp_path / "out"),
        Options(scale=0.5, model="nobody", skip_errors=False),
    )
    results = list(upscale_files(jobs, options))
    assert [type(result) for result in results] == [Outcome, *[Failure] * (len(jobs) - 1)]
    assert [result.was_tried for result in results[1:]] == [True, *[False] * (len(jobs) - 2)]
    assert [result.source for result in results] == [job.source for job in jobs]


def test_a_finished_slide_is_skipped_when_resuming(source: Path) -> None:
    jobs = plan_jobs([source], source.with_name("b.ome.tiff"))
    options = Options(scale=0.5, model="nobody", workers=1, resume=True)
    (result,) = upscale_files(jobs, options)
    assert isinstance(result, SlideOutcome)
    told: list[str] = []
    assert list(upscale_files(jobs, options, announce=lambda _, words: told.append(words))) == []
    assert "finished" in told[0]


def test_an_ome_zarr_is_one_slide_and_not_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "in" / "a.ome.zarr").mkdir(parents=True)
    for given in (tmp_path / "in" / "a.ome.zarr", tmp_path / "in"):
        (job,) = plan_jobs([given], f"{tmp_path}/out/")
        assert job == (tmp_path / "in" / "a.ome.zarr", tmp_path / "out" / "a.ome.zarr")


def test_a_name_that_no_file_system_takes_stops_nothing(folder: Path, tmp_path: Path) -> None:
    long = "名" * 83  # 249 bytes: takes .png, but not .ome.tiff
    (folder / "a.png").rename(folder / f"{long}.png")
    (folder / "b.png").unlink()
    jobs = [*plan_jobs([folder], tmp_path / "out"), Job(Path("x" * 300), tmp_path / "out" / "x.png")]
    jobs.append(Job(folder / f"{long}.png", tmp_path / "out" / f"{long}.ome.tiff"))
    results = list(upscale_files(jobs, Options(scale=0.5, workers=1)))
    assert [type(result) for result in results] == [Outcome, Outcome, Failure, Failure]
    assert "File name too long" in results[2].sentence
    assert "File name too long" in results[3].sentence


def test_any_exception_is_a_failure_of_its_own_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [PermissionError(13, "Permission denied", "a.png"), RecursionError(), KeyError("lut")]

    def broken(*_: object) -> Outcome:
        raise errors.pop(0)

    monkeypatch.setattr("histoscale.upscaling.jobs._upscale", broken)
    jobs = [Job(source, source.with_name(f"{n}.png")) for n in range(3)]
    denied, nested, unexpected = upscale_files(jobs, Options(scale=0.5))
    assert isinstance(denied, Failure)
    assert isinstance(nested, Failure)
    assert isinstance(unexpected, Failure)
    assert "a.png" in denied.sentence
    assert "Permission denied" in denied.sentence
    assert "nested" in nested.sentence
    assert "KeyError" in unexpected.sentence
    assert [bool(failure.trace) for failure in (denied, nested, unexpected)] == [False, False, True]
    assert "broken" in unexpected.trace
