"""The batches of a super-resolution training; each process has its own part of every batch."""

from collections.abc import Iterator, Sequence

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from histoscale.config import Run
from histoscale.data.gpu_pairs import DevicePairs
from histoscale.data.pairs import ImageArray, Pair, PairDataset


def endless_batches(
    run: Run, images: Sequence[ImageArray], first: int, accelerator: Accelerator
) -> Iterator[Pair]:
    """Batches from number ``first`` on; a batch depends on the seed and its number alone.

    Args:
        run: says how pairs are made, and how many are a batch of one process.
        images: high-resolution images.
        first: number of the first batch.
        accelerator: knows the device, and which process this is.
    """
    table, world, rank = run.training, accelerator.num_processes, accelerator.process_index
    recipe = run.data.recipe()
    if run.data.on_device:
        pairs = DevicePairs(images, recipe, table.batch, run.seed * 1000 + rank, accelerator.device)
        yield from pairs.batches(first)
    dataset = PairDataset(images, recipe, table.batch * world, run.seed)
    numbers = (
        [(step * world + rank) * table.batch + i for i in range(table.batch)]
        for step in range(first, table.steps or 10**9)
    )
    own = torch.Generator()  # else a loader draws from the random numbers that a resumed run continues
    loader: DataLoader[Pair] = DataLoader(
        dataset, batch_sampler=numbers, num_workers=table.workers, generator=own
    )
    for pair in loader:
        yield Pair(*(tensor.to(accelerator.device) for tensor in pair))
