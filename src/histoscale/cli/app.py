"""The program: how a verb is added, how errors end it, the version."""

import inspect
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_type_hints

import typer
import typer.core

from histoscale.cli.console import complain, report_error
from histoscale.cli.options import remember_given
from histoscale.errors import explained
from histoscale.training.signals import terminated_as_interrupted

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it: 128 + SIGINT."""
MAY_BE_EMPTY = ("--split",)
"""Options for which an empty value has a meaning."""
EXAMPLES = "\n\nExamples:\n"
"""Heading of the part of a docstring that becomes the end of the help."""


class Verbs(typer.core.TyperGroup):
    """The program, whose verbs are its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, without the type that typer would show beside flags."""
        return without_types(super().get_params(ctx))


class Verb(typer.core.TyperCommand):
    """A command that ends with one sentence whatever goes wrong, and whose help shows no Python types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, ``--help`` among them."""
        params = without_types(super().get_params(ctx))
        for param in params:
            param.hidden = getattr(param, "hidden", False) or param.name == "help"
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises:
            typer.BadParameter: if a word is empty, as a variable of the shell that is not set leaves it: an
                empty path would mean the working folder.
        """
        for before, word in zip(["", *args], args, strict=False):
            option, is_assigned, value = word.partition("=") if word.startswith("--") else (before, "=", word)
            if is_assigned and not value and option not in MAY_BE_EMPTY:
                named = f"the value of {option}" if option.startswith("-") else "an argument"
                raise typer.BadParameter(f"{named} is empty: give a value or leave the option out.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; every exception becomes a sentence and an exit code here, and nowhere else."""
        remember_given(ctx)
        try:
            with terminated_as_interrupted():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter):  # typer ends with these on purpose
            raise
        except KeyboardInterrupt:
            complain("stopped; no partial file is left.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `| head` has read enough; typer ends quietly
            raise
        except Exception as error:
            report_error(explained(error, "The command"))
            raise typer.Exit(1) from None


def without_types(params: Iterable[Any]) -> list[Any]:
    """The same parameters; where typer would show ``<list[Path]>`` or ``<bool>`` it shows nothing."""
    shown = list(params)
    for param in shown:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda **_: None
        elif param.is_flag:
            param.metavar = ""
    return shown


@contextmanager
def interrupted(sentence: Callable[[], str | None]) -> Iterator[None]:
    """On Ctrl-C in the block, print what is kept and how to resume, and exit.

    Args:
        sentence: returns that text; None if nothing was started that could be resumed.
    """
    try:
        yield
    except KeyboardInterrupt:
        told = sentence()
        if told is None:
            raise
        complain(f"stopped; {told}")
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


def add_verb(verb: Callable[..., None], panel: str) -> None:
    """Make a function a verb of the program.

    Args:
        verb: its docstring is the help text: one sentence, what else must be said, and ``Examples:``.
        panel: heading of the verb in ``histoscale --help``.
    """
    for hint in get_type_hints(verb, include_extras=True).values():
        for option in getattr(hint, "__metadata__", ()):
            option.readable = False  # else typer refuses a whole batch because of one file without permission
    text, _, examples = inspect.cleandoc(verb.__doc__ or "").partition(EXAMPLES)
    epilog = f"Examples:\n\n```text\n{inspect.cleandoc(examples)}\n```"
    app.command(cls=Verb, help=text, epilog=epilog, rich_help_panel=panel)(verb)


def main() -> None:
    """Entry point of the ``histoscale`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console may lack a letter of a file's name
            stream.reconfigure(errors="backslashreplace")
    # Read when torch is imported. Threads that spin while they wait take cores from each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # remarks on odd tags; errors still raise
    warnings.showwarning = show_warning
    app()


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning of the library as a line on standard error."""
    complain(str(message), "warning")


def show_version(is_requested: bool) -> bool:
    """Print the version and stop, if it is requested."""
    if is_requested:
        from importlib.metadata import version

        typer.echo(f"histoscale {version('histoscale')}")
        raise typer.Exit
    return is_requested


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, metavar="", help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Arbitrary-scale super-resolution for H&E histopathology. Not for primary diagnosis."""
