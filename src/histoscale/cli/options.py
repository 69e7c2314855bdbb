"""Options that several verbs have, worded once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class PrecisionName(StrEnum):
    """`auto` is bf16 where the processor multiplies it natively, else fp32."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


Data: TypeAlias = Annotated[
    Path | None,
    typer.Option(envvar="HISTOSCALE_DATA", help="Manifest or its folder, folder of pictures, or picture."),
]
Sets: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", help="Data set of the manifest; repeatable.")
]
Split: TypeAlias = Annotated[str, typer.Option(help="Split of the manifest; empty for all.")]
Limit: TypeAlias = Annotated[int | None, typer.Option(min=1, help="At most so many images of a set.")]
Crop: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Only the middle so many pixels a side.")]
AllowResize: TypeAlias = Annotated[
    bool, typer.Option("--allow-resize", help="Take fixed-scale models to other scales by bicubic.")
]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
Precision: TypeAlias = Annotated[PrecisionName, typer.Option(help="auto is bf16 where it is native.")]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, help="Processes of one thread each.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the file, for example data.sets=tcga or model.encoder=rdn; may be repeated.",
    ),
]
RunFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder of the run; out/NAME by default.")
]
