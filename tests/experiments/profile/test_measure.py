"""Memory and time are those of the work, measured in a process of its own."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from histoscale.errors import HistoscaleError
from histoscale.experiments.profile.measure import Call, decode, measure, run
from histoscale.models.base import CoordinateSuperResolver
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.catalog import build

ALLOCATED_MIB = 64
TINY = partial(build, "liif", blocks=1, channels=6)


class Hungry(Bicubic):
    """Takes memory for each query in proportion to its points, gives it back, and works hard."""

    def decode(self, features: Tensor, positions: Tensor, cell: Tensor) -> Tensor:
        kept = torch.ones(ALLOCATED_MIB * positions.shape[1], 2**10 // 4)
        for _ in range(20 if positions.shape[1] > 100 else 0):
            kept.mul_(1.5)
        return super().decode(features, positions, cell)


class OutOfMemory(Bicubic):
    def encode(self, image: Tensor) -> Any:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")


@pytest.mark.parametrize("points", [64, None], ids=["queries", "grid"])
def test_every_pixel_is_decoded_once(points: int | None) -> None:
    model = TINY().double().eval()
    assert isinstance(model, CoordinateSuperResolver)
    image = torch.rand(1, 3, 5, 5, dtype=torch.float64)
    axis = (torch.arange(10, dtype=torch.float64) + 0.5) / 2 - 0.5
    with torch.no_grad():
        parts = decode(model, model.encode(image), axis, 0.5, points)
        whole = model(image, (10, 10))
    found = parts[0] if points is None else torch.cat(parts, dim=1).transpose(1, 2).reshape(1, 3, 10, 10)
    assert len(parts) == (1 if points is None else 2)
    torch.testing.assert_close(found, whole)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_the_peak_and_time_the_work() -> None:
    """1024 points take 64 KiB each: 64 MiB; 256 at a time a quarter of that."""
    whole = measure(Call(Hungry, 1024, lr_px=16))
    parts = run(Call(Hungry, 256, lr_px=16))
    assert whole.peak_mib is not None
    assert parts.peak_mib is not None
    assert whole.peak_mib == pytest.approx(ALLOCATED_MIB, rel=0.25)
    assert parts.peak_mib == pytest.approx(ALLOCATED_MIB / 4, rel=0.5)
    assert whole.decode.processor_s > 5 * whole.encode.processor_s


def test_what_cannot_be_measured_says_why() -> None:
    with pytest.raises(HistoscaleError, match="CUDA out of memory"):
        measure(Call(OutOfMemory, 1024, lr_px=24))
