"""Compare the three key sets of Eq. (4) by training with the same seed and processor time.

    python benchmarks/keys.py --minutes 6 --output out/keys

Trains ISTE three times with EDSR 8 x 48 from the same weights, scores 64-pixel low-resolution crops of all
validation images at x2, x3 and x4, tests the differences, and writes benchmarks/results/keys.md.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import torch

from histoscale import weights
from histoscale.config import Run, read_run
from histoscale.data.manifest import centre_crop, find_images
from histoscale.data.pillow_degradation import degrade
from histoscale.files import write_text
from histoscale.inference import upscale
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.paired import paired_t_test
from histoscale.metrics.psnr import psnr_whole
from histoscale.resources import device_name, find_precision
from histoscale.training.trainer import train

KEYS = ("queries", "all", "cells")
SCALES = (2.0, 3.0, 4.0)
LR_PX = 64
CPU = torch.device("cpu")
PRECISION = find_precision("auto", CPU)

RUN = """
name = "keys-{keys}"
seed = 1

[model]
name = "{model}"
arguments = {{ encoder = "edsr", blocks = 8, channels = 48{extra} }}
start_from = "iste-fast"

[data]
sets = ["monuseg", "glas"]
queries = 576

[training]
minutes = {minutes}
clock = "core"
batch = 8
rate = 4e-4
betas = [0.9, 0.99]
warmup = 0.05
schedule = "cosine"
clip = 1.0
average = 0.99
precision = "auto"
threads = 1

[validation]
scales = [2, 4]
crop_px = 96
images_per_set = 4
minutes = 60
"""


def trained(keys: str, minutes: float, output: Path) -> tuple[Path, Run]:
    """Return the weights of one run; train them if they do not exist."""
    folder, run_file = output / keys, output / f"{keys}.toml"
    model, extra = ("iste-cells", "") if keys == "cells" else ("iste", f', keys = "{keys}"')
    output.mkdir(parents=True, exist_ok=True)
    run_file.write_text(RUN.format(keys=keys, model=model, extra=extra, minutes=minutes))
    path = folder / f"keys-{keys}.safetensors"
    if not path.exists():
        train(run_file, folder, resume=(folder / "state.pt").exists())
    return path, read_run(run_file)


def scores(path: Path, run: Run) -> dict[float, list[float]]:
    """Compute PSNR of every validation image at every scale."""
    model = weights.load(path)
    result: dict[float, list[float]] = {scale: [] for scale in SCALES}
    for record in find_images(run.data.root, run.data.sets, "val"):
        image = read_rgb(record.path)
        for scale in SCALES:
            hr = np.ascontiguousarray(centre_crop(image, round(LR_PX * scale)))
            lr = degrade(hr, (LR_PX, LR_PX), scale, "B")
            result[scale].append(psnr_whole(upscale(model, lr.copy(), hr.shape[:2], precision=PRECISION), hr))
    return result


def main() -> None:
    """Train, score, test and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--output", type=Path, default=Path("out/keys"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = {keys: trained(keys, options.minutes, options.output) for keys in KEYS}
    psnr = {keys: scores(*runs[keys]) for keys in KEYS}
    lines = [
        f"# Key sets of Eq. (4) after {options.minutes:g} core-minutes each",
        "",
        f"{date.today()}, one thread of {device_name(CPU)}, {PRECISION}, seed 1.",
        "PSNR in dB, whole image on bytes,",
        f"degradation B, centre crops of {LR_PX} x {LR_PX} low-resolution pixels of",
        f"{len(psnr['queries'][2.0])} validation images;",
        "difference to `queries` with its 95 % interval and the p-value of the two-sided paired t-test.",
        "",
        "| keys | steps | scale | PSNR | minus queries | 95 % interval | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for keys in KEYS:
        steps = weights.card(runs[keys][0]).budget["steps"]
        for scale in SCALES:
            ours, base = np.array(psnr[keys][scale]), np.array(psnr["queries"][scale])
            line = f"| {keys} | {steps} | x{scale:g} | {ours.mean():.3f} +- {ours.std(ddof=1):.3f} |"
            if keys == "queries":
                lines.append(line + " - | - | - |")
                continue
            test = paired_t_test(ours, base)
            lines.append(
                line + f" {test.difference:+.4f} | {test.low:+.4f} to {test.high:+.4f} | {test.p:.2g} |"
            )
    text = "\n".join(lines) + "\n"
    target = Path(__file__).parent / "results" / "keys.md"
    target.parent.mkdir(exist_ok=True)
    write_text(target, text)
    print(text)


if __name__ == "__main__":
    main()
