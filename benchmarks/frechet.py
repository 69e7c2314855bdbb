"""What the histoscale-tissue features see: distances from originals to spoilt and to enlarged copies.

    python benchmarks/frechet.py iste-fast --data $HISTOSCALE_DATA

Images of a split, whole, in patches of 96 px. The first table spoils copies in four ways of growing strength;
its yardstick is the distance between two halves of the originals themselves, every other image. The others
make the images small and enlarge them again by bicubic and by models.

Prints both and writes them to benchmarks/results/frechet.md.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image, ImageFilter

from histoscale.data.manifest import ImageRecord, find_images
from histoscale.data.pillow_degradation import add_noise, compress_jpeg, degrade, upscale_bicubic
from histoscale.experiments.compare.compare import compare
from histoscale.experiments.compare.paper_tables import Preset
from histoscale.experiments.compare.report import frechet_markdown
from histoscale.experiments.frechet_distance import PATCH_PX, compare_images, gather, load_extractor
from histoscale.experiments.images import ImageSelection, spread
from histoscale.files import write_text
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.frechet import frechet_distance

ROOT = Path(__file__).resolve().parents[1]
SCALES = (2.0, 3.0, 4.0)
SPOILT = {
    "blur, sigma in pixels": (0.5, 0.7, 1.0, 2.0, 4.0),
    "bicubic down and up": (1.5, 2.0, 3.0, 4.0, 8.0),
    "noise, sigma in grey levels": (2.0, 5.0, 10.0, 20.0),
    "JPEG, 100 - quality": (5.0, 10.0, 30.0, 50.0, 70.0),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", help="shipped names or paths of weights")
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=8, help="at most so many images of a set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = spread(find_images(options.data, split=options.split), options.limit)
    command = " ".join(["python benchmarks/frechet.py", *options.models])
    parts = (
        "# Frechet distances of histoscale-tissue features",
        f"`{command}`, split {options.split}, at most {options.limit} images of a set. Not an FID: the "
        "features are our own ([docs](../../docs/research/frechet.md)).",
        spoilt_table(records),
        enlarged_tables(options.data, options.split, options.limit, options.models),
    )
    text = "\n\n".join(parts)
    print(text)
    write_text(ROOT / "benchmarks" / "results" / "frechet.md", text)


def spoilt_table(records: Sequence[ImageRecord]) -> str:
    """A row a way of spoiling, its strengths and the distance at each."""
    extractor = load_extractor()
    pictures = [read_rgb(record.path) for record in records]
    halves = compare_images(pictures[::2], pictures[1::2], extractor)
    originals = gather(pictures, extractor)
    lines = ["| spoilt by | strength: distance |", "| --- | --- |"]
    for (name, strengths), spoil in zip(SPOILT.items(), (blur, resample, make_noisy, compress), strict=True):
        found = []
        for strength in strengths:
            spoilt = gather((spoil(picture, strength) for picture in pictures), extractor)
            found.append(f"{strength:g}: {frechet_distance(originals, spoilt):.3f}")
        lines.append(f"| {name} | {', '.join(found)} |")
    head = (
        f"{len(pictures)} images, n = {originals.n} patches of {PATCH_PX} px. Two halves of the originals, "
        f"every other image: {halves.distance:.3f} at n = {halves.n}."
    )
    return "\n".join([head, "", *lines])


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def resample(picture: np.ndarray, scale: float) -> np.ndarray:
    """Bicubic, there and back."""
    height, width = picture.shape[:2]
    lr = degrade(picture, (int(height / scale), int(width / scale)), scale, "none")
    return upscale_bicubic(lr, (height, width))


def make_noisy(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian noise, the same on every picture."""
    return add_noise(picture, sigma, np.random.default_rng(0))


def compress(picture: np.ndarray, loss: float) -> np.ndarray:
    """JPEG 4:2:0."""
    return compress_jpeg(picture, round(100 - loss))


def enlarged_tables(data: Path, split: str, limit: int, models: Sequence[str]) -> str:
    """Table 3 in small."""
    preset = Preset("table3", "At x2, x3 and x4", SCALES, has_frechet=True)
    with TemporaryDirectory() as folder:
        made = compare(models, ImageSelection(data, split=split, limit=limit), Path(folder), [preset])
    return frechet_markdown(made.distances)


if __name__ == "__main__":
    main()
