"""Upscale many files: pair inputs with outputs, process each as image or slide, keep failures."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import InputError, OutputError
from histoscale.io.formats import is_slide_file, is_slide_folder, slides_in
from histoscale.io.writers.formats import image_suffixes, is_slide_target, names_a_format
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor, executor_for
from histoscale.upscaling.finished import finished_outcome
from histoscale.upscaling.options import Options
from histoscale.upscaling.results import Failure, Outcome

SLASHES = tuple(filter(None, (os.sep, os.altsep)))
UNTRIED = "Not processed, because the run stopped at the first error."
FileProgress = Callable[[Path, int, int], None]
"""Called with the source, the number of output pixels that are done, and of all."""
FileAnnounce = Callable[[Path, str], None]
"""Called with a file and a sentence, before it is processed."""


class Job(NamedTuple):
    """One file to read and the one to write."""

    source: Path
    target: Path


def plan_jobs(inputs: Sequence[Path], output: Path | str) -> list[Job]:
    """Pair every input with its output.

    ``output`` is a folder if there are several inputs or one that is a folder, if it exists as a folder, or
    if it ends in a slash; files in it keep their names. A folder gives the files in it, none further down.

    Raises:
        InputError: if the only input is a folder without an image or slide.
        OutputError: if ``output`` is empty or a file without suffix, if two inputs would become one file, or
            an input would be replaced by its own output.
    """
    if str(output) == "":
        raise OutputError("--output is empty: give the name of a file or folder.")
    ends_in_slash, output = str(output).endswith(SLASHES), Path(output)
    sources = [file for path in inputs for file in (_images_in(path) if _holds_inputs(path) else [path])]
    many = len(inputs) > 1 or _holds_inputs(inputs[0])
    if many and sources == [inputs[0]]:
        raise InputError(f"{inputs[0]} holds no image or slide: folders in it are not searched.")
    if many and not ends_in_slash and names_a_format(output) and not _is_folder(output):
        raise OutputError(
            f"{output} is the name of one file, but several inputs need a folder: end its name with a slash."
        )
    if many or ends_in_slash or _is_folder(output):
        jobs = [Job(source, output / _name_in_folder(source)) for source in sources]
    elif output.suffix:
        jobs = [Job(sources[0], output)]
    else:
        raise OutputError(
            f"{output} has no suffix, which selects the format: write {output}.png for a file, or {output}/ "
            "for a folder."
        )
    if many and _tells(output.is_file):
        raise OutputError(f"{output} is a file, but several inputs need a folder: give another --output.")
    twice = [target for target, count in Counter(job.target for job in jobs).items() if count > 1]
    if twice:
        raise OutputError(
            f"Two of the inputs would be written to {twice[0]}: write them to different folders."
        )
    for source, target in jobs:
        if _tells(target.exists) and _tells(source.exists) and target.samefile(source):
            raise OutputError(f"{source} would be replaced by its own output: choose another name or folder.")
    return jobs


def upscale_files(
    jobs: Sequence[Job],
    options: Options,
    progress: FileProgress | None = None,
    announce: FileAnnounce | None = None,
) -> Iterator[Outcome | Failure]:
    """Process one file after the other; a failure stops the others only without ``skip_errors``.

    The suffix of a target decides whether it is processed as a slide, tile by tile, or as an image. All
    slides share the workers. With ``resume``, files that are finished are announced and skipped.
    """
    engine = Engine.of(options)
    with ExitStack() as stack:
        executor: Executor | None = None
        for number, job in enumerate(jobs, 1):
            try:
                finished = finished_outcome(*job, options, engine) if options.resume else None
                if finished is not None:
                    if announce is not None:
                        announce(job.source, *finished.remarks)
                    continue
                if is_slide_target(job.target):
                    executor = executor or stack.enter_context(executor_for(options))
                yield _upscale(job, options, engine, executor, progress, announce)
            except Exception as error:  # whatever is wrong with one file, the others are processed
                yield Failure.of(job.source, error)
                if not options.skip_errors:
                    yield from (Failure(later.source, UNTRIED, was_tried=False) for later in jobs[number:])
                    return


def _upscale(
    job: Job,
    options: Options,
    engine: Engine,
    executor: Executor | None,
    progress: FileProgress | None,
    announce: FileAnnounce | None,
) -> Outcome:
    """Process one file as a slide or, which imports torch into this process, as an image."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(job.source, done, total)

    def tell(sentence: str) -> None:
        if announce is not None:
            announce(job.source, sentence)

    if executor is not None and is_slide_target(job.target):
        from histoscale.upscaling.slide import upscale_slide

        return upscale_slide(job.source, job.target, options, engine, executor, report, tell)
    from histoscale.upscaling.image import upscale_image

    return upscale_image(job.source, job.target, options, engine, report)


def _tells(question: Callable[[], bool]) -> bool:
    """The answer about a path, or no: a name that the file system refuses is an error of its file alone."""
    try:
        return question()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    """Whether it is a folder of files; OME-Zarr and DICOM folders are slides."""
    return _tells(path.is_dir) and not is_slide_target(path)


def _holds_inputs(path: Path) -> bool:
    """Whether it is a folder of input files that can be listed, and not one slide, whatever its name."""
    return _is_folder(path) and os.access(path, os.R_OK | os.X_OK) and not is_slide_folder(path)


def _images_in(folder: Path) -> list[Path]:
    """The images and slides in a folder, or the folder itself, whose job then fails alone."""
    return [*slides_in(folder)] or [folder]


def _name_in_folder(source: Path) -> str:
    """The name of the source, with a suffix that can be written."""
    suffix = source.suffix.lower()
    if _tells(source.is_dir) and is_slide_folder(source) and not is_slide_target(source):
        return source.name + ".ome.tiff"
    if suffix in image_suffixes() or (is_slide_target(source) and _tells(source.is_dir)):
        return source.name
    # A name without a suffix may contain points, such as the identifiers by which DICOM files are named.
    stem = source.stem if any(letter.isalpha() for letter in suffix) else source.name
    return stem + (".ome.tiff" if is_slide_file(source) else ".png")
