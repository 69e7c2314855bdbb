"""Many files at once: which becomes which, and on after a failure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from histoscale.errors import HistoscaleError, InputError, OutputError
from histoscale.slides.picture_writer import FORMAT_OF_SUFFIX
from histoscale.workflows.upscale.engine import Engine
from histoscale.workflows.upscale.outcome import Failure, Outcome
from histoscale.workflows.upscale.picture import Options, upscale_picture

SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".dcm", ".vms", ".svslide", ".czi")
READABLE_SUFFIXES = (*FORMAT_OF_SUFFIX, ".bmp", *SLIDE_SUFFIXES)
FileProgress = Callable[[Path, int, int], None]
"""Called with the source, output pixels done and their total."""


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
    sources = [file for path in inputs for file in (_pictures_in(path) if path.is_dir() else [path])]
    many = len(inputs) > 1 or inputs[0].is_dir()
    if many or output.is_dir() or not output.suffix:
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
    jobs: Sequence[Job], options: Options, engine: Engine, progress: FileProgress | None = None
) -> Iterator[Outcome | Failure]:
    """Do one file after another; one that fails does not stop the others."""
    for source, target in jobs:

        def report(done: int, total: int, source: Path = source) -> None:
            if progress is not None:
                progress(source, done, total)

        try:
            yield upscale_picture(source, target, options, engine, report)
        except HistoscaleError as error:
            yield Failure(source, str(error))


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in READABLE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise InputError(f"{folder} holds no picture of a known suffix ({' '.join(READABLE_SUFFIXES)}).")
    return found


def _name_in_folder(source: Path) -> str:
    """The same name, but with a suffix that can be written."""
    suffix = source.suffix.lower()
    if suffix in FORMAT_OF_SUFFIX:
        return source.name
    return source.stem + (".tiff" if suffix in SLIDE_SUFFIXES else ".png")
