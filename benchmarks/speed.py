"""Measure megapixels of output per second of processor time for all models in one run.

    python benchmarks/speed.py [--threads 1] [--sides 96 192] [--rounds 3] [--models NAME ...] [--output FILE]

Square low-resolution images, one call of `histoscale.upscale` each, with untrained weights. Each repetition
measures all models one after the other, so that other load on the machine slows all of them. The fastest
repetition is reported; slow models have fewer repetitions and only the smallest image.
"""

import argparse
import platform
import shlex
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import official_layout
import torch
from engine import crop
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample, unfold

from histoscale.files import write_text
from histoscale.imaging.coords import normalise, output_positions
from histoscale.inference import upscale
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, as_grid
from histoscale.models.baselines.liif import LIIF
from histoscale.models.catalog import build
from histoscale.models.iste.model import ISTE
from histoscale.resources import Precision, device_name

SCALES = (1.996, 2.0, 2.5, 4.0)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
POINTS = 30_000
"""Points per call of the published code."""
ENOUGH_S = 4.0
"""A model whose repetitions took longer than this at a scale is not measured again there."""

Job = Callable[[Tensor, int, Precision], float]
"""A function from image, output side and precision to seconds of processor time."""


class Contender(NamedTuple):
    """A row of the table."""

    job: Job
    scales: tuple[float, ...] = SCALES
    precisions: tuple[Precision, ...] = PRECISIONS
    slow: bool = False


def contenders() -> dict[str, Contender]:
    """Build the rows, with EDSR-baseline as encoder of models with a choice."""
    iste, liif = build("iste"), build("liif")
    return {
        "Pillow bicubic": Contender(pillow, precisions=("fp32",)),
        "iste-fast": Contender(packaged(build("iste-fast"))),
        "iste-fast-large": Contender(packaged(build("iste-fast-large"))),
        "EDSR-baseline x2": Contender(packaged(build("edsr", scale=2)), (2.0,)),
        "EDSR-baseline x4": Contender(packaged(build("edsr", scale=4)), (4.0,)),
        "LIIF": Contender(packaged(liif), slow=True),
        "LIIF, published layout": Contender(published(liif, published_liif), (2.0, 4.0), slow=True),
        "iste": Contender(packaged(iste), (2.0, 4.0), slow=True),
        "iste, published layout": Contender(published(iste, published_iste), (4.0,), ("fp32",), slow=True),
        "iste-cells": Contender(packaged(build("iste-cells")), (2.0, 4.0), slow=True),
        "iste-plus": Contender(packaged(build("iste-plus")), (2.0, 4.0), slow=True),
    }


def packaged(model: SuperResolver) -> Job:
    """Measure a model through `histoscale.upscale`."""

    def job(image: Tensor, side: int, precision: Precision) -> float:
        """Upscale once."""
        start = time.process_time()
        upscale(model, image, (side, side), precision=precision)
        return time.process_time() - start

    return job


def pillow(image: Tensor, side: int, precision: Precision) -> float:  # noqa: ARG001
    """Measure Pillow's bicubic interpolation on bytes."""
    source = Image.fromarray((image[0].permute(1, 2, 0) * 255).byte().numpy())
    start = time.process_time()
    np.asarray(source.resize((side, side), Image.Resampling.BICUBIC))
    return time.process_time() - start


def published(model: CoordinateSuperResolver, decode: Callable[..., Tensor]) -> Job:
    """Measure the encoder and one call of the published code; the time of the call counts per point."""
    model.eval()

    def job(image: Tensor, side: int, precision: Precision) -> float:
        """Encode, and decode `POINTS` points."""
        step = image.shape[2] / side
        grid = as_grid(*[output_positions(side, image.shape[2])] * 2)
        points = grid[:POINTS][None]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            start = time.process_time()
            features = model.encoder(image * 2 - 1)
            encoded = time.process_time()
            decode(model, features, points, torch.full((1, 2), step, dtype=torch.float64))
            decoded = time.process_time() - encoded
        return encoded - start + decoded * len(grid) / points.shape[1]

    return job


def published_iste(model: ISTE, features: Tensor, points: Tensor, cell: Tensor) -> Tensor:
    """Decode as in `official_layout`."""
    return official_layout.decode(model.branches, features, points, cell, POINTS)


def published_liif(model: LIIF, features: Tensor, points: Tensor, cell: Tensor) -> Tensor:
    """Decode as LIIF's code: sample unfolded features for each corner, apply the whole perceptron to them."""
    c, h, w = features.shape[1:]
    unfolded = unfold(features, 3, padding=1).view(1, 9 * c, h, w)
    first = torch.cat((model.feature_part.weight.flatten(1), model.place_part.weight), dim=1)
    size = torch.tensor([h, w])
    coords = torch.stack([normalise(points[..., i], n) for i, n in enumerate((h, w))], dim=-1)
    colours, areas = [], []
    for corner in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        moved = (coords + torch.tensor(corner) / size + 1e-6).clamp(-1 + 1e-6, 1 - 1e-6)
        offset = (2 * (points - ((moved + 1) * size / 2 - 1e-9).floor())).float()
        sampled = grid_sample(
            unfolded.float(), moved.float().flip(-1)[:, None], "nearest", align_corners=False
        )
        place = (2 * cell[:, None]).expand_as(points).float()
        inputs = torch.cat([sampled[:, :, 0].transpose(1, 2), offset, place], dim=-1)
        colours.append(model.layers(torch.nn.functional.linear(inputs, first, model.feature_part.bias)))
        areas.append(offset.prod(dim=-1).abs() + 1e-9)
    mixed = sum(c * (a / sum(areas))[..., None] for c, a in zip(colours, areas[::-1], strict=True))
    return mixed * 0.5 + 0.5


class Case(NamedTuple):
    """One cell of the table."""

    side: int
    precision: Precision
    label: str
    scale: float


def cases(rows: dict[str, Contender], sides: list[int]) -> Iterator[Case]:
    """Yield all cells; the models are the inner loop, so that they alternate."""
    for side in sides:
        for precision in PRECISIONS:
            for scale in SCALES:
                for label, row in rows.items():
                    supported = scale in row.scales and precision in row.precisions
                    if supported and not (row.slow and side > min(sides)):
                        yield Case(side, precision, label, scale)


def measure(rows: dict[str, Contender], sides: list[int], rounds: int) -> Iterator[dict[Case, list[float]]]:
    """Yield the processor seconds of all repetitions so far, after each repetition."""
    seconds: dict[Case, list[float]] = defaultdict(list)
    images = {side: crop(side) for side in sides}
    for repetition in range(rounds + 1):  # the first one warms up the fast models and is not counted
        for case in cases(rows, sides):
            out_side = int(case.side * case.scale + 0.5)
            if sum(seconds[case]) > ENOUGH_S or (repetition == 0 and rows[case.label].slow):
                continue
            took = rows[case.label].job(images[case.side], out_side, case.precision)
            if repetition > 0:
                seconds[case].append(took)
        if repetition > 0:
            yield seconds


def megapixels(case: Case, seconds: float) -> float:
    """Compute millions of output pixels per second."""
    return int(case.side * case.scale + 0.5) ** 2 / 1e6 / seconds


def table(rows: dict[str, Contender], sides: list[int], seconds: dict[Case, list[float]]) -> list[str]:
    """Make a row for each model and a column for each precision and scale."""
    columns = [(p, s) for p in PRECISIONS for s in SCALES]
    lines = []
    for side in sides:
        lines += [f"\n{side} x {side} low-resolution pixels, megapixels of output per second\n"]
        lines += [f"| model | {' | '.join(f'{p} x{s:g}' for p, s in columns)} |", "|---" * 9 + "|"]
        for label in rows:
            found = [seconds.get(Case(side, p, label, s)) for p, s in columns]
            if any(found):
                cells = [
                    f"{megapixels(Case(side, p, label, s), min(t)):.3g}" if t else ""
                    for (p, s), t in zip(columns, found, strict=True)
                ]
                lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def ratios(sides: list[int], seconds: dict[Case, list[float]]) -> list[str]:
    """Make the table of ratios, of the fastest and of the median repetitions."""
    lines = [
        "\n| how many times as fast | tile | precision | fastest repetition | median repetition |",
        "|---" * 5 + "|",
    ]
    for quick, slow, scale in (
        ("iste-fast-large", "EDSR-baseline x4", 4.0),
        ("iste-fast-large", "EDSR-baseline x2", 2.0),
        ("iste-fast", "LIIF", 4.0),
        ("iste-fast", "LIIF", 2.0),
        ("iste-fast", "LIIF, published layout", 4.0),
        ("iste-fast", "LIIF, published layout", 2.0),
        ("iste", "iste, published layout", 4.0),
    ):
        for side in sides:
            for precision in PRECISIONS:
                pair = [seconds.get(Case(side, precision, label, scale)) for label in (quick, slow)]
                if pair[0] and pair[1]:
                    best, middle = (f(pair[1]) / f(pair[0]) for f in (min, statistics.median))
                    lines.append(
                        f"| {quick} : {slow}, x{scale:g} | {side} | {precision} | {best:.1f} | {middle:.1f} |"
                    )
    return lines


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sides", type=int, nargs="+", default=[96, 192])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", help="rows to measure; default: all")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "speed.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = {key: row for key, row in contenders().items() if key in (arguments.models or [key])}
    head = (
        f"# Speed\n\n{date.today().isoformat()}, {arguments.threads} thread of "
        f"{device_name(torch.device('cpu'))}, "
        f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"`{shlex.join(['python', *sys.argv])}`. "
        f"Processor time of the fastest of up to {arguments.rounds} repetitions, the models one after the "
        "other. bf16 is autocast with fp32 weights. Published layout: the encoder and one call of 30,000 "
        "points are measured; its time is multiplied by the number of calls that the output needs. "
        "Pillow computes in 8 bit."
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for seconds in measure(rows, arguments.sides, arguments.rounds):
        lines = table(rows, arguments.sides, seconds) + ratios(arguments.sides, seconds)
        text = "\n".join([head, *lines]) + "\n"
        write_text(arguments.output, text)
    print(text)


if __name__ == "__main__":
    main()
