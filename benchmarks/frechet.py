"""Measure Frechet distances of the histoscale-tissue features from originals to degraded and upscaled copies.

    python benchmarks/frechet.py iste-fast --data $HISTOSCALE_DATA

The images of a split are used in patches of 96 px. The first table degrades copies in four ways of increasing
strength. For comparison it gives the distance between two halves of the originals, every other image. The
other tables downsample the images and upscale them by bicubic interpolation and by models.

Prints the tables and writes them to benchmarks/results/frechet.md.
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
from histoscale.resources import device_name

ROOT = Path(__file__).resolve().parents[1]
SCALES = (2.0, 3.0, 4.0)
DEGRADED = {
    "blur, sigma in pixels": (0.5, 0.7, 1.0, 2.0, 4.0),
    "bicubic down and up": (1.5, 2.0, 3.0, 4.0, 8.0),
    "noise, sigma in grey levels": (2.0, 5.0, 10.0, 20.0),
    "JPEG, 100 - quality": (5.0, 10.0, 30.0, 50.0, 70.0),
}


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", help="shipped names or paths of weights")
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=8, help="use at most N images of each set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = spread(find_images(options.data, split=options.split), options.limit)
    command = " ".join(["python benchmarks/frechet.py", *options.models])
    parts = (
        "# Frechet distances of histoscale-tissue features",
        f"`{command}`, split {options.split}, at most {options.limit} images of each set, "
        f"{device_name(torch.device('cpu'))}. The distances are not an FID: the features are those of this "
        "project ([docs](../../docs/research/frechet.md)).",
        degraded_table(records),
        upscaled_tables(options.data, options.split, options.limit, options.models),
    )
    text = "\n\n".join(parts)
    print(text)
    write_text(ROOT / "benchmarks" / "results" / "frechet.md", text)


def degraded_table(records: Sequence[ImageRecord]) -> str:
    """Make a row for each kind of degradation, with the distance at each strength."""
    extractor = load_extractor()
    images = [read_rgb(record.path) for record in records]
    halves = compare_images(images[::2], images[1::2], extractor)
    originals = gather(images, extractor)
    lines = ["| degraded by | strength: distance |", "| --- | --- |"]
    for (name, strengths), degraded in zip(
        DEGRADED.items(), (blur, resample, make_noisy, compress), strict=True
    ):
        found = []
        for strength in strengths:
            copies = gather((degraded(image, strength) for image in images), extractor)
            found.append(f"{strength:g}: {frechet_distance(originals, copies):.3f}")
        lines.append(f"| {name} | {', '.join(found)} |")
    head = (
        f"{len(images)} images, n = {originals.n} patches of {PATCH_PX} px. Two halves of the originals, "
        f"every other image: {halves.distance:.3f} at n = {halves.n}."
    )
    return "\n".join([head, "", *lines])


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def resample(image: np.ndarray, scale: float) -> np.ndarray:
    """Downsample and upscale by bicubic interpolation."""
    height, width = image.shape[:2]
    lr = degrade(image, (int(height / scale), int(width / scale)), scale, "none")
    return upscale_bicubic(lr, (height, width))


def make_noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    """Add Gaussian noise, the same to every image."""
    return add_noise(image, sigma, np.random.default_rng(0))


def compress(image: np.ndarray, loss: float) -> np.ndarray:
    """Compress to JPEG 4:2:0."""
    return compress_jpeg(image, round(100 - loss))


def upscaled_tables(data: Path, split: str, limit: int, models: Sequence[str]) -> str:
    """Make Table 3 of the paper for three scales."""
    preset = Preset("table3", "At x2, x3 and x4", SCALES, has_frechet=True)
    with TemporaryDirectory() as folder:
        made = compare(models, ImageSelection(data, split=split, limit=limit), Path(folder), [preset])
    return frechet_markdown(made.distances)


if __name__ == "__main__":
    main()
