"""Measure the difference between upscaling in tiles and as a whole, in grey levels, on real tissue.

    python benchmarks/seams.py --models iste-fast iste swinir --image examples/cmu-1.png

Each model upscales the image as a whole and in tiles of several sizes, in fp32 and bf16, without rounding to
bytes. Besides the largest difference the table has a measure of seams: the mean step across the borders of
tiles over the step at the same places of the untiled image. It is 1 without visible borders, also for the
JPEG blocks of the image, which are steps in both. ``swinir`` is an untrained SwinIR encoder with LIIF's
decoder. Its windows start at the same pixels as those of the whole image, but its receptive field is larger
than its halo. Writes benchmarks/results/seams.md.
"""

import argparse
from datetime import date
from pathlib import Path

import torch

from histoscale import weights
from histoscale.files import write_text
from histoscale.imaging.coords import rounded_size
from histoscale.inference import upscale
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import SuperResolver
from histoscale.models.catalog import build
from histoscale.resources import Precision, device_name

TILES_PX = (24, 48, 96, 144)
SCALES = (2.0, 2.7, 4.0)
SLOW = ("iste", "swinir")
"""Models measured only at the first scale, on a quarter of the image."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def model_of(name: str) -> SuperResolver:
    """Load shipped or given weights, or build the untrained SwinIR."""
    if name != "swinir":
        return weights.load(name)
    torch.manual_seed(0)
    return build("liif", encoder="swinir").eval()


def step(image: torch.Tensor, borders: list[int]) -> float:
    """Compute the mean step between the columns on both sides of ``borders``."""
    steps = image.diff(dim=2).abs().mean(dim=(0, 1))
    return float(steps[[border - 1 for border in borders]].mean())


def rows_of(name: str, image: torch.Tensor, scales: tuple[float, ...]) -> list[str]:
    """Measure the rows of one model."""
    model, rows = model_of(name), []
    if name in SLOW:
        image, scales = image[:, : image.shape[1] // 2, : image.shape[2] // 2], scales[:1]
    h, w = image.shape[1:]
    for scale in scales:
        size = rounded_size(h, scale), rounded_size(w, scale)
        for precision in PRECISIONS:
            whole = upscale(model, image, size, tile_px=max(h, w), precision=precision)
            for tile_px in TILES_PX:
                tiled = upscale(model, image, size, tile_px=tile_px, precision=precision)
                difference = 255 * (tiled - whole).abs()
                core_px = max(tile_px // model.alignment_px, 1) * model.alignment_px
                borders = [round(x * size[1] / w) for x in range(core_px, w, core_px)]
                visible = step(tiled, borders) / step(whole, borders) if borders else float("nan")
                over = float((difference.amax(0) > 1).float().mean())
                rows.append(
                    f"| {name} | x{scale:g} | {precision} | {tile_px} | {float(difference.max()):.4f} "
                    f"| {100 * over:.4f} | {visible:.3f} |"
                )
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["iste-fast", "iste", "swinir"])
    parser.add_argument("--image", type=Path, default=Path("examples/cmu-1.png"))
    parser.add_argument("--side", type=int, default=288, help="pixels of the crop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pixels = read_rgb(options.image)[: options.side, : options.side]
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    lines = [
        "# Tiles against the whole",
        "",
        f"{date.today()}, {options.image.name}, {pixels.shape[0]} x {pixels.shape[1]} px,",
        f"{device_name(torch.device('cpu'))}. Largest",
        "difference in grey levels before rounding, share of pixels that differ by more than one, and the",
        "step across borders.",
        "",
        "| model | scale | precision | tile, px | largest difference | % over one | step at borders |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.models:
        lines += rows_of(name, image, SCALES)
    target = Path(__file__).parent / "results" / "seams.md"
    target.parent.mkdir(exist_ok=True)
    write_text(target, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
