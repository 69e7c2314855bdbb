"""Exact engine against the published layout: processor time, peak memory and difference, on one core.

    python benchmarks/engine.py [--weights NAME_OR_PATH] [--output benchmarks/results/engine.md]

A 96 x 96 low-resolution image, given as encoder features; points per call as in the paper's Table 8 (48^2,
96^2 and 192^2 of the x2 grid), and the published test's 30,000 at x4. Each line of the table is a fresh
process: time is the processor's, the smallest of its runs; memory is the peak above what it held before.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import official_layout
import torch
from PIL import Image
from torch import Tensor

from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.base import as_grid
from histoscale.models.iste.model import ISTE
from histoscale.models.local_ensemble import corners

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cmu-1.png"
LR_PX = 96
CASES = {
    "x2, 48^2 points a call": (2, 48**2, None),
    "x2, 96^2 points a call": (2, 96**2, None),
    "x2, 192^2 points a call": (2, 192**2, None),
    "x4, 30,000 points a call": (4, 30_000, 30_000),
}
"""Scale, points that are decoded together, and how many of the grid's points (None: all)."""
TRAINING = "training step, 48 x 48, 2304 points, x2.5"
REPEATS = {"published": 1, "exact fp32": 3, "exact bf16": 3}


class Setting:
    """One case: a model, the features of the example image, the points."""

    def __init__(self, case: str, weights: str | None):
        self.model = load(weights)
        self.branches = self.model.branches
        if case == TRAINING:
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
            self.features = self.model.encoder(bicubic_resize(high, (side, side)) * 2 - 1)

    def answer(self, engine: str) -> Tensor:
        """RGB at the points."""
        if engine == "published":
            return official_layout.decode(self.branches, self.features, self.positions, self.cell, self.chunk)
        with torch.autocast("cpu", torch.bfloat16, enabled=engine.endswith("bf16")):
            maps = self.branches(self.features)
            parts = self.positions.split(self.chunk, dim=1)
            return torch.cat([self.branches.decode(maps, part, self.cell).float() for part in parts], dim=1)

    def step(self, engine: str) -> list[Tensor]:
        """Gradients of the L1 loss."""
        self.branches.zero_grad()
        (self.answer(engine) - (self.target if self.chunk != 2304 else 0)).abs().mean().backward()
        return [p.grad for p in self.branches.parameters()]

    @torch.no_grad()
    def near_ties(self) -> Tensor:
        """Points where, in some corner, the two best similarities differ by at most 1e-6."""
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
    """The model measured: given weights, or ISTE with EDSR-baseline as it is born."""
    torch.manual_seed(0)
    if weights is None:
        return ISTE("edsr").eval()
    from histoscale.weights import load as load_weights  # noqa: PLC0415

    model = load_weights(weights)
    if not isinstance(model, ISTE):
        raise SystemExit(f"{weights} is not an ISTE.")
    return model.eval()


def crop(side_px: int) -> Tensor:
    """The top left of the example picture, continued by reflection where it is too small, in [0, 1]."""
    pixels = np.asarray(Image.open(EXAMPLE).convert("RGB"))
    missing = [(0, max(0, side_px - n)) for n in pixels.shape[:2]]
    pixels = np.pad(pixels, [*missing, (0, 0)], mode="reflect")[:side_px, :side_px]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


def peak_mib(start: bool = False) -> float:
    """Memory held now, after forgetting earlier peaks; or the highest since."""
    if start:
        Path("/proc/self/clear_refs").write_text("5")
    key = "VmRSS" if start else "VmHWM"
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return int(line.split()[1]) / 1024


def worker(case: str, engine: str, weights: str | None, output: Path) -> None:
    """Measure one cell of the table, and keep its result."""
    torch.set_num_threads(1)
    setting = Setting(case, weights)
    training = case == TRAINING
    run: Any = setting.step if training else torch.no_grad()(setting.answer)
    small, setting.positions = setting.positions, setting.positions[:, :64]
    if not training:
        run(engine)  # loads the kernels
    setting.positions = small
    before = peak_mib(start=True)
    times = []
    for _ in range(REPEATS[engine]):
        start = time.process_time()
        result = run(engine)
        times.append(time.process_time() - start)
    memory = peak_mib() - before
    torch.save({"seconds": min(times), "mib": memory, "result": result}, output)


def measure(case: str, engine: str, weights: str | None) -> dict[str, Any]:
    """A cell of the table, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.pt"
        command = [sys.executable, __file__, "--worker", case, engine, str(output)]
        subprocess.run(command + (["--weights", weights] if weights else []), check=True)
        return torch.load(output, weights_only=True)


def psnr(setting: Setting, result: Tensor) -> float:
    """Against the example picture itself, dB."""
    return float(-10 * torch.log10(((result / 2 + 0.5).clamp(0, 1) - setting.target).square().mean()))


def rows(weights: str | None) -> list[str]:
    """The table, line by line."""
    lines = [
        "| case | engine | processor s | ratio | peak MiB | ratio | largest difference | left out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in [*CASES, TRAINING]:
        setting = Setting(case, weights)
        published = measure(case, "published", weights)
        lines.append(
            f"| {case} | published | {published['seconds']:.2f} | 1 | {published['mib']:.0f} | 1 | | |"
        )
        tied = setting.near_ties()
        for engine in ("exact fp32", "exact bf16"):
            found = measure(case, engine, weights)
            if case == TRAINING:
                pairs = zip(found["result"], published["result"], strict=True)
                difference = f"{max(float((a - b).abs().max()) for a, b in pairs):.1e} (gradients)"
            else:
                error = (found["result"] - published["result"])[0].abs().amax(dim=1)
                difference = f"{float(error[~tied].max()):.1e}"
            if engine.endswith("bf16") and case != TRAINING:
                lost = psnr(setting, published["result"]) - psnr(setting, found["result"])
                difference += f" ({lost:+.3f} dB lost)"
            lines.append(
                f"| | {engine} | {found['seconds']:.2f} | {published['seconds'] / found['seconds']:.1f} "
                f"| {found['mib']:.0f} | {published['mib'] / max(found['mib'], 1):.1f} | {difference} "
                f"| {float(tied.float().mean()):.2%} |"
            )
            print("\n".join(lines[-2:]), flush=True)
    return lines


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="an ISTE's weights; fresh ones by default")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "engine.md")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        case, engine, output = arguments.worker
        worker(case, engine, arguments.weights, Path(output))
        return
    head = (
        f"Exact engine against the published layout, {date.today().isoformat()}, one core of "
        f"{platform.processor() or platform.machine()} ({cpu_name()}), torch {torch.__version__}, weights: "
        f"{arguments.weights or 'fresh'}.\n`python benchmarks/engine.py`; left out of the difference: points "
        "whose two best similarities differ by 1e-6 at most.\n"
    )
    table = "\n".join([head, *rows(arguments.weights)]) + "\n"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(table, encoding="utf-8")
    print(table)


def cpu_name() -> str:
    """The processor's model."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
