"""Draw the figure of the README: low resolution, bicubic, a model, the ground truth and two error maps.

    python benchmarks/readme_figure.py iste-fast

All pixels come from CMU-1-Small-Region.svs (OpenSlide test data, CC0): ``examples/cmu-1.png``.
"""

import argparse
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from histoscale import weights
from histoscale.experiments.images import make_pair, upscale_each
from histoscale.files import atomic_write
from histoscale.imaging.degrade import DEGRADATIONS
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.psnr import psnr_whole
from histoscale.metrics.ssim import ssim

ROOT = Path(__file__).resolve().parents[1]
ZOOM = 2  # screen pixels per high-resolution pixel; a whole number needs no interpolation
GAP_PX, TITLE_PX, FOOT_PX, BAR_PX = 12, 44, 40, 64
LARGEST_KIB = 400
INK, FAINT = "#1f2328", "#59636e"


def main() -> None:
    """Draw the figure and print the size of the file and the scores."""
    arguments = read_arguments()
    model = weights.load(arguments.model)
    lr, truth = make_pair(read_rgb(arguments.image), arguments.scale, arguments.degradation)
    size = (truth.shape[0], truth.shape[1])
    bicubic, ours = (made.bytes for made in upscale_each(lr, size, {"ours": model}))
    if ours is None or bicubic is None:
        raise SystemExit(f"{arguments.model} does not support x{arguments.scale:g}: give another --scale.")
    name = arguments.model if not arguments.model.endswith(".safetensors") else Path(arguments.model).stem
    figure = draw(lr, bicubic, ours, truth, name, arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save(figure, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1024:.0f} KiB")
    print(f"bicubic {quality(bicubic, truth)}; {name} {quality(ours, truth)}")


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default="iste-fast", help="shipped name or .safetensors path")
    parser.add_argument("--image", type=Path, default=ROOT / "examples/cmu-1.png", help="ground truth")
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--degradation", choices=DEGRADATIONS, default="B")
    parser.add_argument("--mpp", type=float, default=0.499, help="micrometres per pixel of the ground truth")
    parser.add_argument("--crop", type=int, nargs=4, default=(120, 156, 176, 132), metavar=tuple("XYWH"))
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/images/cmu-1-x4.png")
    return parser.parse_args()


def draw(
    lr: np.ndarray,
    bicubic: np.ndarray,
    ours: np.ndarray,
    truth: np.ndarray,
    name: str,
    arguments: argparse.Namespace,
) -> Figure:
    """Draw six panels: low resolution, bicubic and the model; ground truth and the two error maps."""
    left, top, width, height = arguments.crop
    detail = (slice(top, top + height), slice(left, left + width))
    # Show each low-resolution pixel as a square of high-resolution pixels.
    rows, cols = (
        np.minimum(np.arange(n) * small // n, small - 1)
        for n, small in zip(truth.shape[:2], lr.shape[:2], strict=True)
    )
    errors = [np.abs(made.astype(np.float64) - truth).mean(axis=2)[detail] for made in (bicubic, ours)]
    peak = float(np.percentile(errors[0], 99.5))
    titles = [
        ("low resolution", f"{arguments.mpp * arguments.scale:.2f} µm per pixel"),
        ("bicubic", quality(bicubic, truth)),
        (name, quality(ours, truth)),
        ("ground truth", f"{arguments.mpp:.2f} µm per pixel"),
        ("error of bicubic", f"mean {np.abs(bicubic.astype(float) - truth).mean():.1f} grey levels"),
        (f"error of {name}", f"mean {np.abs(ours.astype(float) - truth).mean():.1f} grey levels"),
    ]
    images = [lr[rows][:, cols][detail], bicubic[detail], ours[detail], truth[detail], *errors]
    panel = (width * ZOOM, height * ZOOM)
    figure, page = new_figure(panel)
    for place, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = add_panel(figure, page, place, panel, title)
        shown = axes.imshow(image, interpolation="nearest", cmap="magma", vmin=0, vmax=peak)
    add_scale_bar(figure.axes[3], arguments.mpp)
    add_colour_bar(figure, page, panel, shown)
    size = f"{truth.shape[1]} x {truth.shape[0]} px"
    note = (
        f"x{arguments.scale:g}, degradation {arguments.degradation}. Detail of CMU-1-Small-Region.svs "
        f"(OpenSlide test data, CC0); PSNR, SSIM and mean errors over all {size}."
    )
    figure.text(GAP_PX / page[0], 14 / page[1], note, fontsize=8, color=FAINT, va="bottom")
    return figure


def new_figure(panel: tuple[int, int]) -> tuple[Figure, tuple[int, int]]:
    """Make an empty figure for 2 x 3 panels; return it with its width and height in pixels."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    width = 3 * panel[0] + 4 * GAP_PX + BAR_PX
    height = 2 * (panel[1] + TITLE_PX) + GAP_PX + FOOT_PX
    return Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white"), (width, height)


def add_panel(
    figure: Figure, page: tuple[int, int], place: int, panel: tuple[int, int], title: tuple[str, str]
) -> Axes:
    """Add the axes of panel ``place``, whose size is that of its image times `ZOOM`."""
    row, column = divmod(place, 3)
    x = GAP_PX + column * (panel[0] + GAP_PX)
    y = page[1] - (row + 1) * (panel[1] + TITLE_PX) - row * GAP_PX // 2
    axes = figure.add_axes((x / page[0], y / page[1], panel[0] / page[0], panel[1] / page[1]))
    axes.set_axis_off()
    above = (y + panel[1] + 7) / page[1]
    figure.text(x / page[0], above, title[0], fontsize=11, weight="bold", color=INK)
    figure.text((x + panel[0]) / page[0], above, title[1], fontsize=9, color=FAINT, ha="right")
    return axes


def add_scale_bar(axes: Axes, mpp: float, length_um: float = 20.0) -> None:
    """Add a scale bar of ``length_um`` in the lower right corner."""
    right, bottom = axes.get_xlim()[1], axes.get_ylim()[0]
    length = length_um / mpp
    axes.plot([right - 6 - length, right - 6], [bottom - 6] * 2, color="white", lw=3, solid_capstyle="butt")
    middle = right - 6 - length / 2
    axes.text(
        middle,
        bottom - 11,
        f"{length_um:g} µm",
        color="white",
        fontsize=9,
        weight="bold",
        ha="center",
        va="bottom",
    )


def add_colour_bar(figure: Figure, page: tuple[int, int], panel: tuple[int, int], shown: object) -> None:
    """Add the colour bar of both error maps."""
    x, y = page[0] - BAR_PX, page[1] - 2 * (panel[1] + TITLE_PX) - GAP_PX // 2
    axes = figure.add_axes((x / page[0], y / page[1], 14 / page[0], panel[1] / page[1]))
    bar = figure.colorbar(shown, cax=axes)  # type: ignore[arg-type]
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(labelsize=8, colors=FAINT, length=2)
    figure.text((x - 4) / page[0], (y + panel[1] + 9) / page[1], "grey levels", fontsize=8, color=FAINT)


def quality(made: np.ndarray, truth: np.ndarray) -> str:
    """Format PSNR and SSIM of the whole image as a title."""
    psnr = psnr_whole(made, truth)
    return f"{'∞' if math.isinf(psnr) else f'{psnr:.2f}'} dB, SSIM {ssim(made, truth):.3f}"


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of at most `LARGEST_KIB`, in full colour if possible, otherwise with a palette."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)
        with Image.open(temporary) as drawn:
            pixels = drawn.convert("RGB")
        pixels.save(temporary, optimize=True)
        colours = 256
        while temporary.stat().st_size > LARGEST_KIB * 1024 and colours >= 64:
            pixels.quantize(colours, dither=Image.Dither.NONE).save(temporary, optimize=True)
            colours //= 2


if __name__ == "__main__":
    main()
