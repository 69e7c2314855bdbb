"""Measure whether low-resolution cells are visible: compare differences across and inside their borders.

    python benchmarks/smoothness.py iste-fast --data $HISTOSCALE_DATA --images out/smoothness

At an integer scale m every m-th pair of neighbouring output pixels lies on both sides of a cell border. If
cells are invisible, the mean difference at borders equals that at other places, a ratio of 1. Interpolation
is uneven within a cell, so bicubic is given for comparison. A cell may also be visible inside its border: the
last column is the largest mean second difference among the m positions in a cell over their mean.

The second table is about another grid, the JPEG blocks of 8 x 8 pixels that scanners store. Images are
upscaled without downsampling them first. The table compares differences at the borders of blocks with those
elsewhere, for models and for bicubic.

Prints both tables, writes them to benchmarks/results/smoothness.md, and saves details upscaled by 8, bicubic
on the left and models on the right, to the folder ``--images``. These are not for the repository, because of
the licences of the images.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from histoscale import weights
from histoscale.data.manifest import ImageRecord, find_images
from histoscale.experiments.images import make_pair, spread, upscale_each
from histoscale.files import write_text
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import SuperResolver
from histoscale.resources import device_name

ROOT = Path(__file__).resolve().parents[1]
SCALES = (4, 8)
ORIGIN_PX = 3  # first pixel of the crops; from 0 on, cells would coincide with the JPEG blocks
DETAIL_PX = 64  # side of the details that are saved
HEAD = (
    *("images", "degradation", "scale", "method", "first difference, border / inside"),
    *("second difference, border / inside", "second difference, largest / mean"),
)


def main() -> None:
    """Measure, print and write the tables; save the details."""
    arguments = read_arguments()
    models = {Path(source).stem: weights.load(source) for source in arguments.models}
    records = choose(arguments)
    lines = [f"| {' | '.join(HEAD)} |", f"| {' | '.join(['---'] * len(HEAD))} |"]
    for group in dict.fromkeys(record.set for record in records):
        members = [record for record in records if record.set == group]
        for degradation in ("B", "none"):
            for scale in SCALES:
                for method, figures in measure(members, scale, degradation, models).items():
                    cells = [f"{group} ({len(members)})", degradation, f"x{scale}", method]
                    lines.append(f"| {' | '.join([*cells, *(f'{figure:.3f}' for figure in figures)])} |")
    table = "\n".join([*lines, "", *block_table(models)])
    print(table)
    write_text(
        arguments.output, f"# Smoothness across cell borders\n\n{introduction(arguments)}\n\n{table}\n"
    )
    if arguments.images:
        for record in records:
            save_detail(record, models, arguments.images)


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="shipped names or .safetensors paths")
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=4, help="use at most N images of each set")
    parser.add_argument("--images", type=Path, help="folder for the upscaled details")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benchmarks/results/smoothness.md")
    return parser.parse_args()


def introduction(arguments: argparse.Namespace) -> str:
    """Describe the table and the command."""
    command = f"python benchmarks/smoothness.py {' '.join(arguments.models)} --limit {arguments.limit}"
    return (
        f"`{command}`, split {arguments.split}, {device_name(torch.device('cpu'))}.\n\nMean absolute "
        "differences of neighbouring output pixels across low-resolution cell borders over those "
        "inside cells: 1 if cells are invisible. The ground truth is not exactly 1: CMU-1 was stored in JPEG "
        "blocks of 8 x 8, and MoNuSeg has a pattern of 2 x 2."
    )


def choose(arguments: argparse.Namespace) -> list[ImageRecord]:
    """Choose the CMU-1 example and, if there is a data folder, some images of each set."""
    example = [ImageRecord("cmu-1", ROOT / "examples/cmu-1.png", "CMU-1")]
    if arguments.data is None:
        return example
    return example + spread(find_images(arguments.data, split=arguments.split), arguments.limit)


def measure(
    records: list[ImageRecord], scale: int, degradation: str, models: dict[str, SuperResolver]
) -> dict[str, tuple[float, float, float]]:
    """Compute the means of the three figures over images, for the ground truth, bicubic and each model."""
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for record in records:
        lr, truth = make_pair(read_rgb(record.path)[ORIGIN_PX:, ORIGIN_PX:], scale, degradation)
        figures.setdefault("ground truth", []).append(cell_figures(truth.astype(np.float64), scale))
        for name, floats, _ in upscale_each(lr, (truth.shape[0], truth.shape[1]), models):
            if floats is not None:
                figures.setdefault(name, []).append(cell_figures(255 * floats.astype(np.float64), scale))
    return {name: tuple(np.mean(values, axis=0)) for name, values in figures.items()}


def cell_figures(image: np.ndarray, scale: int) -> tuple[float, float, float]:
    """Compute the three figures of `HEAD`: two ratios of border to inside, and of largest to mean."""
    first, second = np.zeros(scale), np.zeros(scale)
    for turned in (image, image.transpose(1, 0, 2)):
        first += by_phase(np.abs(np.diff(turned, 1, axis=1)), scale)
        second += by_phase(np.abs(np.diff(turned, 2, axis=1)), scale)
    # The pair (j, j + 1) crosses a border if j = m - 1 (mod m), the triple from j if j = m - 2 or m - 1.
    return (
        float(first[-1] / first[:-1].mean()),
        float(second[-2:].mean() / second[:-2].mean()),
        float(second.max() / second.mean()),
    )


def by_phase(differences: np.ndarray, scale: int) -> np.ndarray:
    """Compute the means of columns 0, m, 2m, ..., of 1, m + 1, ... and so on, without the outermost cells."""
    inner = differences[:, scale : (differences.shape[1] // scale - 1) * scale]
    return np.array([inner[:, phase::scale].mean() for phase in range(scale)])


def block_table(models: dict[str, SuperResolver]) -> list[str]:
    """Compare second differences at the borders of CMU-1's JPEG blocks, upscaled, with those elsewhere."""
    lr = read_rgb(ROOT / "examples/cmu-1.png")  # cut at a multiple of 8 px: the first block starts at pixel 0
    head = (
        "| CMU-1, not downsampled | method | second difference at blocks, grey levels | elsewhere | ratio |"
    )
    lines = [head, "| --- | --- | --- | --- | --- |"]
    for scale in SCALES:
        for name, floats, _ in upscale_each(lr, (lr.shape[0] * scale, lr.shape[1] * scale), models):
            if floats is not None:
                border, elsewhere = block_figures(255 * floats.astype(np.float64), scale)
                figures = f"{border:.2f} | {elsewhere:.2f} | {border / elsewhere:.2f}"
                lines.append(f"| x{scale} | {name} | {figures} |")
    return lines


def block_figures(image: np.ndarray, scale: int) -> tuple[float, float]:
    """Compute the mean second difference up to half a low-resolution pixel from blocks, and elsewhere."""
    phases = np.zeros(8 * scale)
    for turned in (image, image.transpose(1, 0, 2)):
        phases += by_phase(np.abs(np.diff(turned, 2, axis=1)), 8 * scale) / 2
    # Difference j is centred on pixel j + 1; the border is before pixel 0 of each block.
    phases = np.roll(phases, 1 + scale // 2)
    return float(phases[:scale].mean()), float(phases[scale:].mean())


def save_detail(record: ImageRecord, models: dict[str, SuperResolver], folder: Path) -> None:
    """Save the centre of an image upscaled by 8 with each method."""
    image = read_rgb(record.path)
    top, left = ((side - DETAIL_PX) // 2 for side in image.shape[:2])
    detail = np.ascontiguousarray(image[top : top + DETAIL_PX, left : left + DETAIL_PX])
    made = [pixels for _, _, pixels in upscale_each(detail, (8 * DETAIL_PX, 8 * DETAIL_PX), models)]
    folder.mkdir(parents=True, exist_ok=True)
    strip = np.concatenate([pixels for pixels in made if pixels is not None], axis=1)
    Image.fromarray(strip).save(folder / f"{record.set}-{record.id}-x8.png")


if __name__ == "__main__":
    main()
