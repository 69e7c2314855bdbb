"""Count the arithmetic operations of every arbitrary-scale model, which no implementation can avoid.

    python benchmarks/operations.py [--output benchmarks/results/operations.md]

A 96 x 96 low-resolution image is upscaled by `histoscale.upscale`. A multiplication and an addition are two
operations. PyTorch's counter counts convolutions and matrix products, which are nearly all operations. LIIF
needs more in its published layout, where the first layer multiplies the unfolded features for every pixel and
corner; the additional operations are computed here. `speed` measures the times.
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch
from engine import crop
from torch.utils.flop_counter import FlopCounterMode

from histoscale.experiments.tables import TextTable
from histoscale.files import write_text
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver
from histoscale.models.baselines.liif import LIIF
from histoscale.models.catalog import build

LR_PX = 96
SCALES = 2, 4
NAMES = (
    "iste-fast",
    "iste-fast-large",
    "thera",
    "liif",
    "lte",
    "lmi",
    "itsrn",
    "lit",
    "iste-cells",
    "iste-plus",
    "iste",
)
PUBLISHED = "liif, published layout"
CORNERS = 4


def operations(model: SuperResolver, scale: int) -> int:
    """Count the operations of upscaling the image once."""
    with FlopCounterMode(display=False) as counter:
        upscale(model, crop(LR_PX), scale=scale)
    return int(counter.get_total_flops())


def published_first_layer(model: LIIF, scale: int) -> int:
    """Count the additional operations of LIIF's first layer per pixel and corner instead of per cell."""
    weights = model.feature_part.weight.numel()
    return 2 * weights * ((LR_PX * scale) ** 2 * CORNERS - LR_PX**2)


def measure() -> dict[str, list[int]]:
    """Count the operations of each model at each scale."""
    found: dict[str, list[int]] = {}
    for name in NAMES:
        model = build(name)
        found[name] = [operations(model, scale) for scale in SCALES]
        if isinstance(model, LIIF):
            extra = [published_first_layer(model, scale) for scale in SCALES]
            found[PUBLISHED] = [n + more for n, more in zip(found[name], extra, strict=True)]
    return found


def table(found: dict[str, list[int]]) -> str:
    """Make a row for each model: operations, and their ratio to the first row."""
    heads = ["model", *(f"10^9, x{scale}" for scale in SCALES), *(f"times, x{scale}" for scale in SCALES)]
    first = next(iter(found.values()))
    rows = (
        [
            name,
            *(f"{n / 1e9:.1f}" for n in counts),
            *(f"{n / one:.1f}" for n, one in zip(counts, first, strict=True)),
        ]
        for name, counts in found.items()
    )
    return TextTable(heads, list(rows)).grid()


def main() -> None:
    """Count and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "operations.md")
    arguments = parser.parse_args()
    command = shlex.join(["python", *sys.argv])
    head = (
        f"# Operations\n\n`{command}`, torch {torch.__version__}: a {LR_PX} x {LR_PX} low-resolution image "
        "upscaled once; multiplications and additions of convolutions and matrix products. The encoder is "
        f"EDSR-baseline in models with a choice. Times: ratio to {NAMES[0]}.\n"
    )
    text = f"{head}\n{table(measure())}\n"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.output, text)
    print(text)


if __name__ == "__main__":
    main()
