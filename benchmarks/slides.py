"""Measure upscaling slides by 4: memory, speed, time of each kind of work, and the effect of background.

    python benchmarks/slides.py [--blocks 20] [--workers 2] [--output benchmarks/results/slides.md]
    python benchmarks/slides.py --blocks 2 --compare 1 --background 2 --exact 0 --threads 1    # a short run

Synthetic slides (see `synthetic_slide`), whose blocks have sides of 2000 output pixels, are upscaled by the
command line in a new process, from file to verified pyramid. Memory is the resident size of all processes
together, sampled. Each section is written when it is done; sections that are not measured stay in the file.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import synthetic_slide
import torch
from jaxtyping import Bool
from synthetic_slide import BLOCK_PX, Mosaic, with_margin

from histoscale import weights
from histoscale.files import write_text
from histoscale.io.formats import open_slide
from histoscale.models.catalog import build
from histoscale.resources import device_name

SCALE = 4
SAMPLE_S = 0.1
STORED_TILE_PX = 512
KINDS = "reading", "model", "interpolation", "encoding"
"""Kinds of work in the report."""
STRIP_PX = 48
"""Input rows of the slide for `iste`, which takes minutes for the work of a second of iste-fast."""
VIPS = """
import sys, pyvips
slide = pyvips.Image.new_from_file(sys.argv[1], access="sequential")
large = slide[:3].resize(float(sys.argv[3]), kernel="cubic")
side = int(sys.argv[4])
options = dict(tile=True, tile_width=side, tile_height=side, pyramid=True, subifd=True, bigtiff=True)
large.tiffsave(sys.argv[2], compression="jpeg", Q=90, **options)
"""
REPETITIONS = 2
ONE_PROCESS = Path(__file__).with_name("one_process.py")


class Run(NamedTuple):
    """Time and memory of a command.

    Attributes:
        pixels: output pixels.
        seconds: by the clock.
        peak_mib: peak memory of all processes.
        record: the record of the slide in the report; empty without a report.
    """

    pixels: int
    seconds: float
    peak_mib: float
    record: dict[str, Any]

    @property
    def megapixels_per_second(self) -> float:
        """Megapixels of output per second."""
        return self.pixels / 1e6 / self.seconds

    def spent(self, kind: str) -> dict[str, float]:
        """Return seconds and share of one of `KINDS`."""
        return self.record["work"][kind]


class Bench:
    """Make slides and run commands in one folder."""

    def __init__(self, data: Path, folder: Path, workers: int) -> None:
        self.data, self.folder, self.workers = data, folder, workers

    def slide(self, name: str, layout: Bool[np.ndarray, "rows cols"]) -> Path:
        """Return a synthetic slide; write it if it does not exist."""
        path = self.folder / f"{name}.svs"
        if not path.exists():
            synthetic_slide.write(path, Mosaic(self.data, layout))
        return path

    def upscale(self, source: Path, target: Path, *options: str) -> Run:
        """Measure ``histoscale upscale`` at x4."""
        command = [sys.executable, "-m", "histoscale.cli", "upscale", str(source), "-o", str(target)]
        settings = ["--scale", str(SCALE), "--workers", str(self.workers), "--overwrite", *options]
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            run = self._measured(source, [*command, *settings, "--report", folder])
            (report,) = Path(folder).glob("*.json")
            return run._replace(record=json.loads(report.read_text(encoding="utf-8"))["slides"][0])

    def one_process(self, source: Path, target: Path, threads: int) -> Run:
        """Measure the same pipeline with the model in one process of ``threads`` threads."""
        command = [sys.executable, str(ONE_PROCESS), str(source), str(target), str(SCALE), str(threads)]
        return self._measured(source, command)

    def vips(self, source: Path, target: Path) -> Run:
        """Measure bicubic interpolation by libvips."""
        arguments = [str(source), str(target), str(SCALE), str(STORED_TILE_PX)]
        return self._measured(source, [sys.executable, "-c", VIPS, *arguments])

    def _measured(self, source: Path, command: list[str]) -> Run:
        """Run a command and sample the memory of its processes."""
        environment = os.environ | {"VIPS_CONCURRENCY": str(self.workers)}
        log = self.folder / "log"
        start = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
            peak = 0
            while process.poll() is None:
                peak = max(peak, resident_bytes(process.pid))
                time.sleep(SAMPLE_S)
        if process.returncode:
            raise SystemExit(f"{shlex.join(command)} failed:\n{log.read_text()}")
        with open_slide(source) as slide:
            width, height = slide.levels_xy[0]
        seconds = time.perf_counter() - start
        return Run(width * height * SCALE**2, seconds, peak / 2**20, {})


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and its children; shared pages count in each."""
    total = 0
    try:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # the process has ended
            continue
    return total


def memory_and_speed(bench: Bench, blocks: int) -> Iterator[str]:
    """Measure the large slide, one of a quarter of its area, and one without background."""
    heads = "output px", "tissue", "tile", "seconds", "MP/s", "peak MiB", *KINDS
    yield f"| {' | '.join(heads)} |"
    yield "|---" * 10 + "|"
    layouts = {"quarter": with_margin(blocks // 2), "whole": with_margin(blocks)}
    layouts["dense"] = np.ones((blocks // 2, blocks // 2), bool)
    runs = {}
    for name, layout in layouts.items():
        target = bench.folder / f"{name}.ome.tiff"
        run = runs[name] = bench.upscale(bench.slide(name, layout), target)
        target.unlink()
        shares = " | ".join(f"{100 * run.spent(kind)['share']:.0f} %" for kind in KINDS)
        height, width = (n * BLOCK_PX * SCALE for n in layout.shape)
        yield (
            f"| {width} x {height} | {100 * layout.mean():.0f} % | {run.record['tile_px']} | "
            f"{run.seconds:.0f} | {run.megapixels_per_second:.2f} | {run.peak_mib:.0f} | {shares} |"
        )
    whole, quarter = runs["whole"], runs["quarter"]
    yield (
        f"\nPeak memory at four times the area: {whole.peak_mib / quarter.peak_mib:.3f} times. A gigapixel "
        f"takes {1000 / whole.megapixels_per_second / 60:.1f} min with the margin of background, "
        f"{1000 / runs['dense'].megapixels_per_second / 60:.1f} min without. Shares are of the seconds that "
        "all processes spent in these kinds of work, which overlap."
    )


def comparison(bench: Bench, blocks: int) -> Iterator[str]:
    """Measure the same slide with EDSR-baseline and with libvips' bicubic."""
    yield "| by | seconds | MP/s | peak MiB | iste-fast is faster by |"
    yield "|---" * 5 + "|"
    source = bench.slide("compared", np.ones((blocks, blocks), bool))
    target, edsr = bench.folder / "compared.ome.tiff", bench.folder / "edsr.safetensors"
    torch.manual_seed(0)
    weights.save(edsr, build("edsr", scale=SCALE), edsr_card())
    runs = {
        "iste-fast": bench.upscale(source, target),
        "EDSR-baseline x4, random weights": bench.upscale(source, target, "--model", str(edsr)),
        "libvips, bicubic, tiled JPEG pyramid": bench.vips(source, target),
    }
    target.unlink()
    for name, run in runs.items():
        ratio = run.seconds / runs["iste-fast"].seconds
        yield (
            f"| {name} | {run.seconds:.1f} | {run.megapixels_per_second:.2f} | {run.peak_mib:.0f} | "
            f"{ratio:.2f} |"
        )


def edsr_card() -> dict[str, Any]:
    """Return the fields of a card that loading needs."""
    architecture = {"name": "edsr", "arguments": {"scale": SCALE}}
    return {"architecture": architecture, "scales": (SCALE, SCALE), "data": ()}


def half_background(bench: Bench, blocks: int) -> Iterator[str]:
    """Measure a slide whose right half is background with iste-fast, with a mask and without."""
    yield from _half_background(bench, "iste-fast", (blocks, blocks))


def half_background_exact(bench: Bench, blocks: int) -> Iterator[str]:
    """Measure a strip of such a slide with iste."""
    region = f"0,0,{blocks * BLOCK_PX},{STRIP_PX}"
    yield from _half_background(bench, "iste", (1, blocks), "--region", region)


def _half_background(bench: Bench, model: str, shape: tuple[int, int], *options: str) -> Iterator[str]:
    """Upscale with and without a mask of the tissue, and compare time and pixels."""
    yield "| output px | tile | `--tissue` | seconds | model's | end to end | model alone | differing |"
    yield "|---" * 8 + "|"
    layout = np.zeros(shape, bool)
    layout[:, : shape[1] // 2] = True
    source = bench.slide(f"half-{model}", layout)
    runs, targets = {}, {}
    for tissue in ("all", "mask"):
        targets[tissue] = bench.folder / f"half-{tissue}.ome.tiff"
        arguments = "--model", model, "--tissue", tissue, *options
        runs[tissue] = bench.upscale(source, targets[tissue], *arguments)
    differing = differing_pixels(*targets.values(), shape[1] // 2 * BLOCK_PX * SCALE)
    for tissue, run in runs.items():
        saved = runs["all"].seconds / run.seconds
        model_s = run.spent("model")["seconds"]
        model_saved = runs["all"].spent("model")["seconds"] / model_s
        width, height = run.record["target_size_px"]
        yield (
            f"| {width} x {height} | {run.record['tile_px']} | {tissue} | {run.seconds:.1f} | "
            f"{model_s:.1f} | {saved:.2f} times | {model_saved:.2f} times | {differing} |"
        )
    yield (
        "\nThe model's seconds are summed over processes. Differing is the number of tissue pixels that "
        "differ in the two decoded outputs."
    )


def processes_and_threads(bench: Bench, blocks: int) -> Iterator[str]:
    """Measure the same slide with processes of one thread, and with one process of as many threads."""
    yield "| processes | threads in each | seconds | MP/s | peak MiB | times as fast as one thread |"
    yield "|---" * 6 + "|"
    source = bench.slide("threads", np.ones((blocks, blocks), bool))
    target, workers = bench.folder / "threads.ome.tiff", bench.workers
    best: dict[tuple[int, int], Run] = {}
    for _ in range(REPETITIONS):
        for kind in ((1, 1), (1, workers), (workers, 1)):
            processes, threads = kind
            is_one = processes == 1
            run = bench.one_process(source, target, threads) if is_one else bench.upscale(source, target)
            best[kind] = min(run, best.get(kind, run), key=lambda run: run.seconds)
    target.unlink()
    for (processes, threads), run in best.items():
        times = best[1, 1].seconds / run.seconds
        yield (
            f"| {processes} | {threads} | {run.seconds:.1f} | {run.megapixels_per_second:.2f} | "
            f"{run.peak_mib:.0f} | {times:.2f} |"
        )
    ratio = best[1, workers].seconds / best[workers, 1].seconds
    yield (
        f"\nThe fastest of {REPETITIONS} alternating repetitions. {workers} processes are {ratio:.2f} times "
        f"as fast as {workers} threads."
    )


def differing_pixels(one: Path, other: Path, width: int) -> int:
    """Count the differing pixels left of ``width``, except in the last stored tile, which may mix."""
    width -= width % STORED_TILE_PX
    count = 0
    with open_slide(one) as a, open_slide(other) as b:
        for top in range(0, a.levels_xy[0][1], STORED_TILE_PX):
            strip = (0, top), (width, min(STORED_TILE_PX, a.levels_xy[0][1] - top))
            count += int((a.read_region(0, *strip) != b.read_region(0, *strip)).any(axis=2).sum())
    return count


Section = Callable[[Bench, int], Iterator[str]]


class Results:
    """A file of sections; sections that are not measured are kept.

    Args:
        path: the file.
        titles: titles of the sections in the order of the file.
    """

    def __init__(self, path: Path, titles: tuple[str, ...]) -> None:
        self._path, self._titles = path, titles

    def put(self, title: str, lines: list[str]) -> None:
        """Write a finished section."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        _, *known = text.split("\n## ")
        sections = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in known}
        sections[title] = "\n".join(lines).strip()
        shown = (f"## {name}\n\n{sections[name]}" for name in self._titles if name in sections)
        write_text(self._path, "\n\n".join(("# Slides", *shown)) + "\n")


def circumstances(workers: int, arguments: list[str]) -> str:
    """Describe date, machine and command of a section."""
    command = shlex.join(["python", "benchmarks/slides.py", *arguments])
    return (
        f"{date.today().isoformat()}, {workers} workers on {device_name(torch.device('cpu'))}, "
        f"torch {torch.__version__}, `{command}`. Seconds by the clock include the start of Python and "
        "verification; MP/s are megapixels of output per second; JPEG of quality 90 in tiles of 512.\n"
    )


SECTIONS: dict[str, tuple[str, Section]] = {
    "blocks": ("Memory and speed: iste-fast", memory_and_speed),
    "compare": ("Against others: the same slide, without background", comparison),
    "background": ("Half the slide background: iste-fast", half_background),
    "threads": ("Processes and threads: iste-fast", processes_and_threads),
    "exact": ("Half the slide background: iste", half_background_exact),
}


def main() -> None:
    """Measure and write the sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCALE_DATA"))
    parser.add_argument("--folder", type=Path, help="folder for slides and stores; default: temporary")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "slides.md")
    sizes = parser.add_argument_group("blocks along a side; 0 omits the section")
    sizes.add_argument("--blocks", type=int, default=20, help="of the large slide")
    sizes.add_argument("--compare", type=int, default=4, help="of the slide compared")
    sizes.add_argument("--background", type=int, default=12, help="of the slide that is half background")
    sizes.add_argument("--threads", type=int, default=4, help="of the slide for processes and threads")
    sizes.add_argument("--exact", type=int, default=20, help="of the half background strip for iste")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data, or set $HISTOSCALE_DATA.")
    results = Results(arguments.output, tuple(title for title, _ in SECTIONS.values()))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench = Bench(arguments.data, Path(folder), arguments.workers)
        for option, (title, section) in SECTIONS.items():
            size = getattr(arguments, option)
            if not size:
                continue
            used = [f"--workers={arguments.workers}", f"--{option}={size}"]
            lines = [circumstances(arguments.workers, used)]
            for line in section(bench, size):
                lines.append(line)
                print(line, flush=True)
            results.put(title, lines)


if __name__ == "__main__":
    main()
