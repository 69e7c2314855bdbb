"""Many files at once: which becomes which, by which path, and on after a failure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import HistoscaleError, InputError, OutputError
from histoscale.io.formats import SUFFIXES, is_slide_folder
from histoscale.io.openslide_reader import SUFFIXES as SLIDE_SUFFIXES
from histoscale.io.tile_store import TileStore
from histoscale.io.writers.formats import image_suffixes, is_slide_target
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import Executor, executor_for
from histoscale.upscaling.options import Options
from histoscale.upscaling.results import Failure, Outcome

UNTRIED = "Not tried, since the run was to stop at the first error."
FileProgress = Callable[[Path, int, int], None]
"""Called with the source, output pixels done and their total."""
FileAnnounce = Callable[[Path, str], None]
"""Called with a slide and a sentence on what it will take, before it is begun."""


class Job(NamedTuple):
    """One file to read and the one to write."""

    source: Path
    target: Path


def plan_jobs(inputs: Sequence[Path], output: Path) -> list[Job]:
    """Pair every input with its output.

    ``output`` is a folder if there are several inputs or one that is a folder, if it is one already, or if
    its name has no suffix; files in it keep their names. A folder gives the files in it, none further down.

    Raises:
        InputError: if a folder holds no picture.
        OutputError: if two inputs would become one file, or an input would be replaced by its own output.
    """
    sources = [file for path in inputs for file in (_pictures_in(path) if _holds_inputs(path) else [path])]
    many = len(inputs) > 1 or _holds_inputs(inputs[0])
    if many or _is_folder(output) or not output.suffix:
        jobs = [Job(source, output / _name_in_folder(source)) for source in sources]
    else:
        jobs = [Job(sources[0], output)]
    if output.is_file() and many:
        raise OutputError(f"{output} is a file, and a folder is wanted for several pictures.")
    twice = [target for target, count in Counter(job.target for job in jobs).items() if count > 1]
    if twice:
        raise OutputError(f"Two of the inputs would become {twice[0]}: give them different folders.")
    for source, target in jobs:
        if target.exists() and source.exists() and target.samefile(source):
            raise OutputError(f"{source} would be replaced by its own output: choose another name or folder.")
    return jobs


def upscale_files(
    jobs: Sequence[Job],
    options: Options,
    engine: Engine,
    progress: FileProgress | None = None,
    announce: FileAnnounce | None = None,
) -> Iterator[Outcome | Failure]:
    """Do one file after another; one that fails does not stop the others, unless that is wanted.

    A target whose name asks for a pyramid is made as a slide, tile by tile; all slides share the workers. On
    resuming, files that were finished before are passed over.
    """
    with ExitStack() as stack:
        executor: Executor | None = None
        for number, job in enumerate(jobs, 1):
            if options.resume and _is_finished(job):
                if announce is not None:
                    announce(job.source, f"{job.target} is there already and taken as finished")
                continue
            try:
                if is_slide_target(job.target):
                    executor = executor or stack.enter_context(executor_for(options))
                yield _upscale(job, options, engine, executor, progress, announce)
            except HistoscaleError as error:
                yield Failure(job.source, str(error))
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
    """One file as a slide or, which takes torch into this process, as a picture."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(job.source, done, total)

    def tell(sentence: str) -> None:
        if announce is not None:
            announce(job.source, sentence)

    if executor is not None and is_slide_target(job.target):
        from histoscale.upscaling.slide import upscale_slide

        return upscale_slide(job.source, job.target, options, engine, executor, report, tell)
    from histoscale.upscaling.image import upscale_picture

    return upscale_picture(job.source, job.target, options, engine, report)


def _is_finished(job: Job) -> bool:
    """A target is there as soon as it is whole, and its store no longer."""
    return job.target.exists() and not TileStore.beside(job.target).exists


def _is_folder(path: Path) -> bool:
    """Whether files lie in it; OME-Zarr and DICOM are slides in spite of being folders."""
    return path.is_dir() and not is_slide_target(path)


def _holds_inputs(path: Path) -> bool:
    """Whether it is a folder of files to be read, and not one slide, whatever it is called."""
    return _is_folder(path) and not is_slide_folder(path)


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and (path.suffix.lower() in SUFFIXES if path.is_file() else is_slide_target(path))
    )
    if not found:
        raise InputError(f"{folder} holds no picture of a known suffix ({' '.join(SUFFIXES)}).")
    return found


def _name_in_folder(source: Path) -> str:
    """The same name, but with a suffix that can be written."""
    suffix = source.suffix.lower()
    if is_slide_folder(source) and not is_slide_target(source):
        return source.name + ".ome.tiff"
    if suffix in SLIDE_SUFFIXES:
        return source.stem + ".ome.tiff"
    return source.name if suffix in image_suffixes() or is_slide_target(source) else source.stem + ".png"
