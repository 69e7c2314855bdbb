"""Compare shares of earlier weights in a blend with later ones: gain over bicubic on validation images.

    python benchmarks/blend.py LATER.safetensors EARLIER.safetensors --share 0 0.1 0.2 0.5 1

The images are used unchanged, softened and compressed. A soft image is a 20x scan interpolated to 40x, as the
frozen sections in MoNuSeg seem to be. On soft and compressed images the later weights alone can be worse than
bicubic. Prints the mean and the smallest gain in dB and writes benchmarks/results/blend.md.
"""

import argparse
import os
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from histoscale import weights
from histoscale.data.manifest import centre_crop, find_images
from histoscale.data.pillow_degradation import compress_jpeg, degrade, upscale_bicubic
from histoscale.files import write_text
from histoscale.imaging.degrade import Degradation
from histoscale.inference import upscale
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.psnr import psnr_whole
from histoscale.resources import device_name, find_precision

HR_PX = 300
CPU = torch.device("cpu")
PRECISION = find_precision("auto", CPU)


class Case(NamedTuple):
    """How a low-resolution image is made; ``quality`` 0 means no JPEG."""

    scale: float
    kind: Degradation = "B"
    is_soft: bool = False
    quality: int = 0

    def __str__(self) -> str:
        kinds = [self.kind, "soft" if self.is_soft else "", f"JPEG {self.quality}" if self.quality else ""]
        return f"x{self.scale:g} {', '.join(kind for kind in kinds if kind)}"

    def pair(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make the low- and high-resolution image of the centre of an image."""
        lr_px = round(HR_PX / self.scale)
        hr_px = round(lr_px * self.scale)
        if self.is_soft:
            middle = Image.fromarray(centre_crop(image, 200))
            image = np.asarray(middle.resize((400, 400), Image.Resampling.BICUBIC))
        hr = np.ascontiguousarray(centre_crop(image, hr_px))
        lr = degrade(hr, (lr_px, lr_px), self.scale, self.kind)
        return (compress_jpeg(lr, self.quality) if self.quality else lr).copy(), hr


CASES = (
    *(Case(1.5, is_soft=True), Case(1.5, "none", is_soft=True), Case(2, is_soft=True)),
    *(Case(scale) for scale in (1.5, 2, 3, 4)),
    *(Case(3, "none"), Case(2, quality=40), Case(2, quality=75), Case(4, quality=75), Case(3, quality=90)),
)


def main() -> None:
    """Blend, score and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("later")
    parser.add_argument("earlier")
    parser.add_argument("--share", type=float, nargs="+", default=[0, 0.1, 0.2, 0.5, 1])
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = weights.load(options.later)
    later = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    earlier = weights.load(options.earlier).state_dict()
    records = (
        find_images(options.data, ("monuseg",), "val") + find_images(options.data, ("glas",), "val")[::8]
    )
    images = [read_rgb(record.path) for record in records]
    pairs = {case: [case.pair(image) for image in images] for case in CASES}
    rows = [f"| share | {' | '.join(str(case) for case in CASES)} |", "|---" * (len(CASES) + 1) + "|"]
    for share in options.share:
        model.load_state_dict({k: (1 - share) * later[k] + share * earlier[k] for k in later})
        cells = []
        for case in CASES:
            gains = [
                psnr_whole(upscale(model, lr, size=hr.shape[:2], precision=PRECISION), hr)
                - psnr_whole(upscale_bicubic(lr, hr.shape[:2]), hr)
                for lr, hr in pairs[case]
            ]
            cells.append(f"{np.mean(gains):+.2f} ({min(gains):+.2f})")
        rows.append(f"| {share:g} | {' | '.join(cells)} |")
    title = f"# Share of earlier weights\n\n{date.today()}, {len(images)} validation images, "
    note = (
        f"centre {HR_PX} px, whole in 8 bit, {PRECISION} on {device_name(CPU)}: "
        "mean gain over bicubic in dB, and the smallest gain of an image."
    )
    text = title + note + "\n\n" + "\n".join(rows) + "\n"
    write_text(Path(__file__).parent / "results" / "blend.md", text)
    print(text)


if __name__ == "__main__":
    main()
