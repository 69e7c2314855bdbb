"""Upscale a slide with iste-fast in one process with several threads, for comparison with several processes.

python benchmarks/one_process.py SOURCE TARGET SCALE THREADS
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from histoscale.upscaling.engine import Engine
from histoscale.upscaling.executors import ThisProcess, keep_freed_memory
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import TileJob, TileResult
from histoscale.upscaling.slide import upscale_slide
from histoscale.upscaling.tile import compute_tile


class Threads(ThisProcess):
    """Compute one tile after the other, each with all threads of torch."""

    def run(self, job: TileJob, tiles: Sequence[int]) -> Iterator[TileResult]:
        """Compute a tile when the next result is requested."""
        for tile in tiles:
            yield compute_tile(job, tile)


def main(source: str, target: str, scale: str, threads: str) -> None:
    """Upscale with the memory settings of a worker."""
    keep_freed_memory()
    torch.set_num_threads(int(threads))
    options = Options(float(scale), overwrite=True)
    with Threads() as executor:
        upscale_slide(Path(source), Path(target), options, Engine("iste-fast"), executor)


if __name__ == "__main__":
    main(*sys.argv[1:])
