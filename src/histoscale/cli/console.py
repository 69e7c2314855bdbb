"""Lines, tables and progress bars on the terminal."""

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import typer

from histoscale.errors import HistoscaleError, UnexpectedError, printable

if TYPE_CHECKING:
    from rich.console import Console


def say(sentence: str) -> None:
    """A line on standard output, never wrapped, so that programs can read it."""
    typer.echo(printable(sentence))


def complain(sentence: str, kind: str = "error") -> None:
    """A line on standard error."""
    colour = {"error": typer.colors.RED, "note": typer.colors.BLUE}.get(kind, typer.colors.YELLOW)
    typer.echo(f"{typer.style(f'{kind}:', fg=colour)} {printable(sentence)}", err=True)


def report_error(error: HistoscaleError) -> None:
    """A line on standard error; of a bug also the path of a log file with the traceback."""
    if not (isinstance(error, UnexpectedError) and error.trace):
        complain(str(error))
        return
    command = shlex.join(["histoscale", *sys.argv[1:]])
    text = f"histoscale {version('histoscale')}, Python {sys.version}\n{command}\n\n{error.trace}"
    handle, log = tempfile.mkstemp(prefix="histoscale-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    complain(f"{error} This is a bug of histoscale: please send its authors the log {log}.")


def console(stderr: bool = False) -> "Console":
    """A rich console; rich is imported only when it is needed, because that is slow."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; the first row is the heading."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows[1:]:
        table.add_row(*(Text(printable(cell)) for cell in row))  # a name may look like markup
    console().print(table)


class Bar:
    """A progress bar on standard error, if that is a terminal; it is hidden while lines are printed."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        out = console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),  # the name of a file may look like markup
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
        )
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal
        )
        self._task = self._progress.add_task("", total=1.0)

    def advance(self, share: float, stage: str) -> None:
        """Show the share that is done, from 0 to 1, of what."""
        self._progress.start()
        self._progress.update(self._task, completed=share, description=printable(stage))

    def hide(self) -> None:
        """Hide the bar until the next `advance`."""
        self._progress.stop()


@contextmanager
def bar() -> Iterator[Bar]:
    """A `Bar` that is hidden at the end, also after an error."""
    shown = Bar()
    try:
        yield shown
    finally:
        shown.hide()
