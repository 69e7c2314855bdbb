"""Does the tile show? The largest difference between tile sizes, in grey levels, on real tissue.

    python benchmarks/seams.py --models iste-fast iste swinir --picture examples/cmu-1.png

Every model enlarges the picture in one piece and in tiles of several sizes, in fp32 and bf16, before rounding
to bytes. Beside the largest difference stands a seam metric: the mean step across tile borders over the
step at the same places of the untiled image, 1 where no border shows (JPEG blocks are steps of both).
``swinir`` is an untrained SwinIR trunk with LIIF's head: its windows are anchored to the whole image, but its
reach is longer than its halo. Writes benchmarks/results/seams.md.
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
from histoscale.resources import Precision

TILES_PX = (24, 48, 96, 144)
SCALES = (2.0, 2.7, 4.0)
SLOW = ("iste", "swinir")
"""Seen at the first scale on half the side."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def model_of(name: str) -> SuperResolver:
    """Shipped or given weights, or the untrained SwinIR."""
    if name != "swinir":
        return weights.load(name)
    torch.manual_seed(0)
    return build("liif", encoder="swinir").eval()


def step(image: torch.Tensor, borders: list[int]) -> float:
    """Mean step between the columns on either side of ``borders``."""
    steps = image.diff(dim=2).abs().mean(dim=(0, 1))
    return float(steps[[border - 1 for border in borders]].mean())


def rows_of(name: str, picture: torch.Tensor, scales: tuple[float, ...]) -> list[str]:
    """Table rows of one model."""
    model, rows = model_of(name), []
    if name in SLOW:
        picture, scales = picture[:, : picture.shape[1] // 2, : picture.shape[2] // 2], scales[:1]
    h, w = picture.shape[1:]
    for scale in scales:
        size = rounded_size(h, scale), rounded_size(w, scale)
        for precision in PRECISIONS:
            whole = upscale(model, picture, size, tile_px=max(h, w), precision=precision)
            for tile_px in TILES_PX:
                tiled = upscale(model, picture, size, tile_px=tile_px, precision=precision)
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
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["iste-fast", "iste", "swinir"])
    parser.add_argument("--picture", type=Path, default=Path("examples/cmu-1.png"))
    parser.add_argument("--side", type=int, default=288, help="pixels of the crop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pixels = read_rgb(options.picture)[: options.side, : options.side]
    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    lines = [
        "# Tiles against the whole",
        "",
        f"{date.today()}, {options.picture.name}, {pixels.shape[0]} x {pixels.shape[1]} px. Largest",
        "difference in grey levels before rounding, share of pixels that differ by more than one, and the",
        "step across borders.",
        "",
        "| model | scale | precision | tile, px | largest difference | % over one | step at borders |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.models:
        lines += rows_of(name, picture, SCALES)
    target = Path(__file__).parent / "results" / "seams.md"
    target.parent.mkdir(exist_ok=True)
    write_text(target, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
