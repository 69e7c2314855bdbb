"""Options that several verbs have: name, metavar and help, each written once."""

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from histoscale.resources import PrecisionChoice

MODEL, DATA, COMPUTE, OUTPUT = "Model", "Data", "Compute", "Output"
DISTANCE = "Frechet distance"
"""Headings of the parts of a verb's options."""

Models: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="[LABEL=]WEIGHTS",
        help="Model name or .safetensors file, with a label for the tables; repeatable.",
        rich_help_panel=MODEL,
    ),
]

Data: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        envvar="HISTOSCALE_DATA",
        help="Data manifest, folder with a manifest, folder of images, or one image.",
        rich_help_panel=DATA,
    ),
]
Sets: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Use this data set of the manifest; repeatable. Default: all.",
        rich_help_panel=DATA,
    ),
]
Split: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Use this split of the manifest; an empty name means all splits.",
        rich_help_panel=DATA,
    ),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Use at most N images of each data set.", rich_help_panel=DATA),
]
Crop: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PX",
        help="Use only the central PX x PX pixels of each image.",
        rich_help_panel=DATA,
    ),
]
AllowResize: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-resize",
        help="Resize the output of fixed-scale models to other scales by bicubic interpolation.",
        rich_help_panel=MODEL,
    ),
]
Scales: TypeAlias = Annotated[
    list[float] | None,
    typer.Option(
        metavar="FACTOR",
        help="Scale; repeatable. Default: the scales of the paper's tables.",
        rich_help_panel=DATA,
    ),
]
Degradations: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="How the low-resolution images are made: `B`, `C`, `D` or `none` (bicubic alone); repeatable.",
        rich_help_panel=DATA,
    ),
]
Degradation: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How the low-resolution images are made: `B`, `C`, `D` or `none` (bicubic alone).",
        rich_help_panel=DATA,
    ),
]
Extractor: TypeAlias = Annotated[
    Literal["tissue", "inception"],
    typer.Option(
        metavar="NAME",
        help="Features that are compared: `tissue` is shipped with this package; `inception` is the network "
        "of FID and needs --inception-weights.",
        rich_help_panel=DISTANCE,
    ),
]
InceptionWeights: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The file pt_inception-2015-12-05-6726825d.pth of pytorch-fid.",
        rich_help_panel=DISTANCE,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="`cpu`, `cuda`, `cuda:1`, `mps` or `auto` (a GPU if there is one).",
        rich_help_panel=COMPUTE,
    ),
]
Precision: TypeAlias = Annotated[
    PrecisionChoice,
    typer.Option(
        metavar="NAME",
        help="`fp32`, `bf16` or `auto` (bf16 if the processor supports it natively).",
        rich_help_panel=COMPUTE,
    ),
]
Workers: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", help="Number of processes, with one thread each.", rich_help_panel=COMPUTE
    ),
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the run file, such as data.root=images/; repeatable.",
    ),
]
RunFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Folder for the results. Default: out/NAME for the file NAME.toml.",
        rich_help_panel=OUTPUT,
    ),
]
OutputFolder: TypeAlias = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the results.", rich_help_panel=OUTPUT),
]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace earlier results.", rich_help_panel=OUTPUT)
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option("--resume", help="Resume the run in the output folder.", rich_help_panel=OUTPUT),
]
AlwaysResume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Resume the run in the output folder; always on.",
        rich_help_panel=OUTPUT,
    ),
]
Scores: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="SCORES.csv",
        help="Make only the tables, from these scores.",
        rich_help_panel=OUTPUT,
    ),
]
Latex: TypeAlias = Annotated[
    bool, typer.Option("--latex", help="Write the tables in LaTeX as well.", rich_help_panel=OUTPUT)
]
SAME_COMMAND = "what is finished is kept; resume with the same command."
"""What a verb that always resumes says after Ctrl-C."""


def scores_kept(output: Path) -> Callable[[], str | None]:
    """What a verb that resumes with ``--resume`` says after Ctrl-C; nothing where it has no scores yet."""
    kept = "the scores so far are kept; resume with --resume."
    return lambda: kept if (output / "scores.partial.csv").exists() else None


GIVEN: ContextVar[tuple[str, ...]] = ContextVar("GIVEN", default=())
"""The options and arguments on the command line, in the order of the help; see `remember_given`."""


def remember_given(context: Any) -> None:
    """Fill `GIVEN` from typer's context of a verb, before the verb runs."""
    GIVEN.set(
        tuple(
            param.opts[0] if param.param_type_name == "option" else param.metavar
            for param in context.command.params
            if getattr(context.get_parameter_source(param.name), "name", "") == "COMMANDLINE"
        )
    )


def refuse_both(first: str, second: str) -> None:
    """Refuse two options of which one at most makes sense.

    Raises:
        typer.BadParameter: if both are on the command line.
    """
    if {first, second} <= set(GIVEN.get()):
        raise typer.BadParameter(f"give {first} or {second}, not both.")


def refuse_beside_from(*allowed: str) -> None:
    """Refuse the options that have no effect where ``--from`` makes the tables again.

    Args:
        allowed: options that have one.

    Raises:
        typer.BadParameter: naming all others on the command line.
    """
    if unused := [name for name in GIVEN.get() if name not in ("--from", *allowed)]:
        raise typer.BadParameter(f"--from needs only the scores: leave out {', '.join(unused)}.")


def require_data(data: Path | None) -> Path:
    """The data that a verb works on.

    Raises:
        typer.BadParameter: if neither the option nor the variable names any.
    """
    if data is None:
        raise typer.BadParameter("give --data, or set the environment variable HISTOSCALE_DATA.")
    return data
