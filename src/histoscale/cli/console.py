"""Words, tables and progress bars: what a person sees of a verb at work."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def say(sentence: str) -> None:
    """A line on standard output, never wrapped, so that programs can read it."""
    typer.echo(sentence)


def complain(sentence: str, kind: str = "error") -> None:
    """A line on standard error."""
    colour = {"error": typer.colors.RED, "note": typer.colors.BLUE}.get(kind, typer.colors.YELLOW)
    typer.echo(f"{typer.style(f'{kind}:', fg=colour)} {sentence}", err=True)


def console(stderr: bool = False) -> "Console":
    """Where words go; rich is slow to import, so only when there are some."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; the first row is the heading."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    console().print(table)


class Bar:
    """A progress bar on standard error, where that is a terminal; it makes way for lines."""

    def __init__(self, title: str, extra: str = ""):
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        out = console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %" + extra),
        )
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal
        )
        self._task = self._progress.add_task(title, total=1.0, state="")

    def advance(self, share: float, **fields: Any) -> None:
        """Show the share done."""
        self._progress.start()
        self._progress.update(self._task, completed=share, **fields)

    def hide(self) -> None:
        """Vanish until the next `advance`."""
        self._progress.stop()


@contextmanager
def bar(title: str, extra: str = "") -> Iterator[Bar]:
    """A `Bar` that is gone afterwards, whatever happens."""
    shown = Bar(title, extra)
    try:
        yield shown
    finally:
        shown.hide()
