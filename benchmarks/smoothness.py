"""Are low-resolution cells visible: differences across their borders against differences inside them.

    python benchmarks/smoothness.py iste-fast --data $HISTOSCALE_DATA --pictures runs/smoothness

At an integer scale m every m-th pair of neighbouring output pixels lies across a cell border. Where cells
cannot be told the mean difference there is that of other places: a ratio of 1. Interpolation itself is
uneven within a cell, so bicubic stands beside. A cell may also show elsewhere than at its border: the last
column is the largest mean second difference among the m positions in a cell over their mean.

The second table asks for another grid: images from scanners were stored in JPEG blocks of 8 x 8. Enlarged
as they are, not made small first, do models draw the blocks' borders where bicubic hardly shows them?

Prints both, writes them to benchmarks/results/smoothness.md, and saves x8 enlargements of the images,
bicubic left and models right, to the folder of ``--pictures`` (not for the repository: the tissue has its
licences).
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

from histoscale import weights
from histoscale.data.manifest import ImageRecord, find_images
from histoscale.experiments.images import make_pair, spread, upscale_each
from histoscale.files import write_text
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import SuperResolver

ROOT = Path(__file__).resolve().parents[1]
SCALES = (4, 8)
ORIGIN_PX = 3  # where images are cut: at 0 the 8 x 8 blocks of a scanner's JPEG would lie on the cells
DETAIL_PX = 64  # side of the details that are enlarged to be looked at
HEAD = (
    *("images", "degradation", "scale", "picture", "first difference, border / inside"),
    *("second difference, border / inside", "second difference, largest / mean"),
)


def main() -> None:
    """Measure, print, write the table and the enlargements."""
    arguments = read_arguments()
    models = {Path(source).stem: weights.load(source) for source in arguments.models}
    records = choose(arguments)
    lines = [f"| {' | '.join(HEAD)} |", f"| {' | '.join(['---'] * len(HEAD))} |"]
    for group in dict.fromkeys(record.set for record in records):
        members = [record for record in records if record.set == group]
        for degradation in ("B", "none"):
            for scale in SCALES:
                for picture, figures in measure(members, scale, degradation, models).items():
                    cells = [f"{group} ({len(members)})", degradation, f"x{scale}", picture]
                    lines.append(f"| {' | '.join([*cells, *(f'{figure:.3f}' for figure in figures)])} |")
    table = "\n".join([*lines, "", *block_table(models)])
    print(table)
    write_text(
        arguments.output, f"# Smoothness across cell borders\n\n{introduction(arguments)}\n\n{table}\n"
    )
    if arguments.pictures:
        for record in records:
            save_enlargement(record, models, arguments.pictures)


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="shipped names or .safetensors paths")
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=4, help="images of each set")
    parser.add_argument("--pictures", type=Path, help="folder for the enlargements")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benchmarks/results/smoothness.md")
    return parser.parse_args()


def introduction(arguments: argparse.Namespace) -> str:
    """What the table shows, and the command that makes it."""
    command = f"python benchmarks/smoothness.py {' '.join(arguments.models)} --limit {arguments.limit}"
    return (
        f"`{command}`, split {arguments.split}.\n\nMean absolute differences of neighbouring output pixels "
        "across low-resolution cell borders over those inside cells; 1 where cells cannot be told. The truth "
        "itself is not quite 1: CMU-1 was stored as JPEG blocks of 8 x 8, and MoNuSeg has a "
        "pattern of 2 x 2 of its own."
    )


def choose(arguments: argparse.Namespace) -> list[ImageRecord]:
    """The CMU-1 example and, where data are at hand, some images of each set."""
    example = [ImageRecord("cmu-1", ROOT / "examples/cmu-1.png", "CMU-1")]
    if arguments.data is None:
        return example
    return example + spread(find_images(arguments.data, split=arguments.split), arguments.limit)


def measure(
    records: list[ImageRecord], scale: int, degradation: str, models: dict[str, SuperResolver]
) -> dict[str, tuple[float, float, float]]:
    """Means over images of the three figures, for the truth, bicubic and each model."""
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for record in records:
        lr, truth = make_pair(read_rgb(record.path)[ORIGIN_PX:, ORIGIN_PX:], scale, degradation)
        figures.setdefault("truth", []).append(cell_figures(truth.astype(np.float64), scale))
        for name, floats, _ in upscale_each(lr, (truth.shape[0], truth.shape[1]), models):
            if floats is not None:
                figures.setdefault(name, []).append(cell_figures(255 * floats.astype(np.float64), scale))
    return {name: tuple(np.mean(values, axis=0)) for name, values in figures.items()}


def cell_figures(picture: np.ndarray, scale: int) -> tuple[float, float, float]:
    """First and second differences at borders over inside, and the largest second one over the mean."""
    first, second = np.zeros(scale), np.zeros(scale)
    for image in (picture, picture.transpose(1, 0, 2)):
        first += by_phase(np.abs(np.diff(image, 1, axis=1)), scale)
        second += by_phase(np.abs(np.diff(image, 2, axis=1)), scale)
    # Pair (j, j+1) straddles a border where j = m-1 (mod m), a triple from j where j = m-2 or m-1.
    return (
        float(first[-1] / first[:-1].mean()),
        float(second[-2:].mean() / second[:-2].mean()),
        float(second.max() / second.mean()),
    )


def by_phase(differences: np.ndarray, scale: int) -> np.ndarray:
    """Mean of the columns 0, m, 2m ...; of 1, m + 1 ...; and so on, without the outermost cells."""
    inner = differences[:, scale : (differences.shape[1] // scale - 1) * scale]
    return np.array([inner[:, phase::scale].mean() for phase in range(scale)])


def block_table(models: dict[str, SuperResolver]) -> list[str]:
    """How much rougher CMU-1 is along the borders of its JPEG blocks than elsewhere, enlarged as it is."""
    lr = read_rgb(ROOT / "examples/cmu-1.png")  # cut at multiples of 8 px, so blocks begin at its corner
    head = (
        "| CMU-1 as it is | picture | second difference at block borders, grey levels | elsewhere | ratio |"
    )
    lines = [head, "| --- | --- | --- | --- | --- |"]
    for scale in SCALES:
        for name, floats, _ in upscale_each(lr, (lr.shape[0] * scale, lr.shape[1] * scale), models):
            if floats is not None:
                border, elsewhere = block_figures(255 * floats.astype(np.float64), scale)
                figures = f"{border:.2f} | {elsewhere:.2f} | {border / elsewhere:.2f}"
                lines.append(f"| x{scale} | {name} | {figures} |")
    return lines


def block_figures(picture: np.ndarray, scale: int) -> tuple[float, float]:
    """Mean second difference within half a low-resolution pixel of a block's border, and elsewhere."""
    phases = np.zeros(8 * scale)
    for image in (picture, picture.transpose(1, 0, 2)):
        phases += by_phase(np.abs(np.diff(image, 2, axis=1)), 8 * scale) / 2
    # Difference j is centred on pixel j + 1; the border lies before pixel 0 of each block.
    phases = np.roll(phases, 1 + scale // 2)
    return float(phases[:scale].mean()), float(phases[scale:].mean())


def save_enlargement(record: ImageRecord, models: dict[str, SuperResolver], folder: Path) -> None:
    """A detail of the image itself at x8: what a person sees who zooms in."""
    image = read_rgb(record.path)
    top, left = ((side - DETAIL_PX) // 2 for side in image.shape[:2])
    detail = np.ascontiguousarray(image[top : top + DETAIL_PX, left : left + DETAIL_PX])
    made = [pixels for _, _, pixels in upscale_each(detail, (8 * DETAIL_PX, 8 * DETAIL_PX), models)]
    folder.mkdir(parents=True, exist_ok=True)
    strip = np.concatenate([pixels for pixels in made if pixels is not None], axis=1)
    Image.fromarray(strip).save(folder / f"{record.set}-{record.id}-x8.png")


if __name__ == "__main__":
    main()
