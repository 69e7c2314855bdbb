"""Compare the exact engine with the published layout: processor time, memory and difference, on one core.

    python benchmarks/engine.py [--weights NAME_OR_PATH] [--output benchmarks/results/engine.md]

The input is the encoder features of a 96 x 96 low-resolution image. Points per call are those of the paper's
Table 8 (48^2, 96^2 and 192^2 of the x2 grid) and the 30,000 at x4 of the published test. Each line of the
table is measured in a new process. Time is processor time, the fastest of the repetitions; memory is the peak
above the memory before the call.
"""

import argparse
import ctypes
import tempfile
import time
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import official_layout
import torch
from PIL import Image
from torch import Tensor

from histoscale.files import write_text
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.base import as_grid
from histoscale.models.iste.decoding import decode_points
from histoscale.models.iste.model import ISTE
from histoscale.models.local_ensemble import corners
from histoscale.resources import device_name

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cmu-1.png"
LR_PX = 96
CASES = {
    "x4, 30,000 points a call": (4, 30_000, 30_000),
    "x2, 48^2 points a call": (2, 48**2, None),
    "x2, 96^2 points a call": (2, 96**2, None),
    "x2, 192^2 points a call": (2, 192**2, None),
}
"""Scale, points per call, and the number of points of the grid (None: all)."""
TRAINING = "training step, 48 x 48, 2304 points, x2.5"
REPEATS = {"published": 1, "exact fp32": 2, "exact bf16": 2}


class Setting:
    """One case: a model, the features of the example image and the points."""

    def __init__(self, case: str, weights: str | None):
        self.training = case == TRAINING
        self.model = load(weights)
        self.branches = self.model.branches
        if self.training:
            side, self.chunk = 48, 2304
            scale: float = 2.5
            positions = as_grid(*[output_positions(120, 48)] * 2)
            self.positions = positions[torch.randperm(len(positions))[: self.chunk]][None]
        else:
            side = LR_PX
            scale, self.chunk, count = CASES[case]
            self.positions = as_grid(*[output_positions(side * scale, side)] * 2)[:count][None]
        self.cell = torch.full((1, 2), 1 / scale, dtype=torch.float64)
        high = crop(round(side * scale))
        self.target = high.flatten(2).transpose(1, 2)[:, : self.positions.shape[1]]
        with torch.no_grad():
            self.features = self.model.encoder(bicubic_resize(high, (side, side)) * 2 - 1).clone()

    def decode(self, engine: str) -> Tensor:
        """Compute RGB at the points."""
        if engine == "published":
            return official_layout.decode(self.branches, self.features, self.positions, self.cell, self.chunk)
        with torch.autocast("cpu", torch.bfloat16, enabled=engine.endswith("bf16")):
            maps = self.branches(self.features)
            parts = self.positions.split(self.chunk, dim=1)
            colours = [decode_points(self.branches, maps, part, self.cell).float() for part in parts]
            return torch.cat(colours, dim=1)

    def step(self, engine: str) -> list[Tensor]:
        """Compute the gradients of the L1 loss."""
        self.branches.zero_grad()
        self.decode(engine).abs().mean().backward()
        return [p.grad for p in self.branches.parameters()]

    @torch.no_grad()
    def near_ties(self) -> Tensor:
        """Find points whose two best similarities differ by at most 1e-6 in at least one corner."""
        maps = self.branches(self.features)
        tied = []
        for part in self.positions.split(self.chunk, dim=1):
            close = torch.zeros(part.shape[1], dtype=torch.bool)
            for corner in corners(part, maps.size):
                c = 2 * self.cell.float()
                keys = self.branches.learner.texture(maps.spectrum[:, corner.cell[0]], corner.offset, c)[0]
                cells, row = corner.cell[0].unique(return_inverse=True)
                queries = torch.nn.functional.normalize(maps.queries[0, cells], dim=1)
                keys = torch.nn.functional.normalize(keys, dim=1)
                best = torch.cat([(q @ keys.T).topk(2, dim=1).values for q in queries.split(256)])
                close |= (best[:, 0] - best[:, 1] <= 1e-6)[row]
            tied.append(close)
        return torch.cat(tied)


def load(weights: str | None) -> ISTE:
    """Load the given weights, or build an untrained ISTE with EDSR-baseline."""
    torch.manual_seed(0)
    if weights is None:
        return ISTE("edsr").eval()
    from histoscale.weights import load as load_weights  # noqa: PLC0415

    model = load_weights(weights)
    if not isinstance(model, ISTE):
        raise SystemExit(f"{weights} is not an ISTE: give weights of an ISTE.")
    return model.eval()


def crop(side_px: int) -> Tensor:
    """Crop the upper left of the example image, extended by reflection if necessary, in [0, 1]."""
    pixels = np.asarray(Image.open(EXAMPLE).convert("RGB"))
    missing = [(0, max(0, side_px - n)) for n in pixels.shape[:2]]
    pixels = np.pad(pixels, [*missing, (0, 0)], mode="reflect")[:side_px, :side_px]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


def peak_mib(start: bool = False) -> float:
    """Return the peak memory since the last ``start``; with ``start``, reset it and return the memory now."""
    if start:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    key = "VmRSS" if start else "VmHWM"
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return int(line.split()[1]) / 1024


def worker(setting: Setting, engine: str, output: Path) -> None:
    """Measure one line of the table and save its result."""
    run: Any = setting.step if setting.training else torch.no_grad()(setting.decode)
    before = peak_mib(start=True)
    times = []
    for _ in range(REPEATS[engine]):
        start = time.process_time()
        result = run(engine)
        times.append(time.process_time() - start)
    memory = peak_mib() - before
    torch.save({"seconds": min(times), "mib": memory, "result": result}, output)


def measure(setting: Setting, engine: str) -> dict[str, Any]:
    """Measure a line of the table in a new process."""
    # This process allocates little, so the new one inherits little memory.
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.pt"
        process = get_context("fork").Process(target=worker, args=(setting, engine, output))
        process.start()
        process.join()
        return torch.load(output, weights_only=True)


def near_ties(setting: Setting) -> Tensor:
    """Compute `Setting.near_ties` in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "ties.pt"
        process = get_context("fork").Process(target=lambda: torch.save(setting.near_ties(), output))
        process.start()
        process.join()
        return torch.load(output, weights_only=True)


def psnr(setting: Setting, result: Tensor) -> float:
    """Compute PSNR against the example image in dB."""
    return float(-10 * torch.log10(((result / 2 + 0.5).clamp(0, 1) - setting.target).square().mean()))


def table(weights: str | None, only: str) -> list[str]:
    """Measure all cases and return the table; print each case when it is done."""
    lines = [
        "| case | engine | processor s | ratio | peak MiB | ratio | largest difference | left out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in (case for case in [TRAINING, *CASES] if only in case):
        setting = Setting(case, weights)
        published = measure(setting, "published")
        lines.append(
            f"| {case} | published | {published['seconds']:.2f} | 1 | {published['mib']:.0f} | 1 | | |"
        )
        tied = near_ties(setting)
        for engine in ("exact fp32", "exact bf16"):
            found = measure(setting, engine)
            lines.append(
                f"| | {engine} | {found['seconds']:.2f} | {published['seconds'] / found['seconds']:.1f} "
                f"| {found['mib']:.0f} | {published['mib'] / max(found['mib'], 1):.1f} "
                f"| {difference(setting, engine, found['result'], published['result'], tied)} "
                f"| {float(tied.float().mean()):.2%} |"
            )
        print("\n".join(lines[-3:]), flush=True)
    return lines


def difference(setting: Setting, engine: str, found: Any, published: Any, tied: Tensor) -> str:
    """Compute the largest difference of two results."""
    if setting.training:
        pairs = zip(found, published, strict=True)
        return f"{max(float((a - b).abs().max()) for a, b in pairs):.1e} (gradients)"
    text = f"{float((found - published)[0].abs().amax(dim=1)[~tied].max()):.1e}"
    if engine.endswith("bf16"):
        text += f" ({psnr(setting, published) - psnr(setting, found):+.3f} dB lost)"
    return text


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="weights of an ISTE; default: untrained")
    parser.add_argument("--only", default="", help="measure only cases whose name contains this text")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "engine.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = (
        "# Exact engine against the published layout\n\n"
        f"{date.today().isoformat()}, one core of {device_name(torch.device('cpu'))}, "
        f"torch {torch.__version__}, weights: "
        f"{arguments.weights or 'untrained'}. `python benchmarks/engine.py`\n\n"
        "The largest difference is that of RGB values in [-1, 1]. Points whose two best similarities differ "
        "by at most 1e-6 are left out of it.\n"
    )
    text = "\n".join([head, *table(arguments.weights, arguments.only)]) + "\n"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.output, text)


if __name__ == "__main__":
    main()
