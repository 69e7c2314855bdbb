"""The program itself: how verbs end when something goes wrong, and what is common to them."""

import logging
import os
import warnings
from typing import Annotated, Any

import typer
import typer.core

from histoscale.cli.console import complain
from histoscale.errors import HistoscaleError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it: 128 + SIGINT."""


class Verbs(typer.core.TyperGroup):
    """Turns what is expected to go wrong into one sentence and an exit code, for every verb."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; anything but our own errors and Ctrl-C is a bug and may trace."""
        try:
            return super().invoke(ctx)
        except HistoscaleError as error:
            complain(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            complain("stopped; no half-written file is left.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Arbitrary-scale super-resolution for H&E histopathology. Not for primary diagnosis.",
)


def main() -> None:
    """Entry point of the ``histoscale`` command."""
    # Read when torch comes in. Threads that spin while they wait take a busy machine's cores from each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its remarks on odd tags; errors still raise
    warnings.showwarning = show_warning
    app()


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning of the library as a line on standard error."""
    complain(str(message), "warning")


def show_version(wanted: bool) -> bool:
    """Print the version and stop, if that is wanted."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"histoscale {version('histoscale')}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Arbitrary-scale super-resolution for H&E histopathology. Not for primary diagnosis."""
