"""Measure, in a worker, the memory that a model needs, and describe the model and its processor.

This runs in a worker because the coordinator imports no torch: that would cost as much memory as half a tile.
"""

import platform
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from histoscale import resources
from histoscale.inference import as_input, computing, evaluating
from histoscale.models.base import CoordinateSuperResolver
from histoscale.upscaling.engine import Engine
from histoscale.upscaling.memory import MemoryNeed, WorkerReport
from histoscale.upscaling.plan import ModelSetting

PROBE_PX = 48
"""Side of the image that is upscaled to measure the memory for each pixel."""
PROBE_SCALE = 2.0
"""At most; it decides little about the memory and much about the time of slow models."""
LARGEST_RESIDENT_BYTES = 400 * 2**20
"""What libraries and a model take; a process that holds more, such as a notebook, held it before us."""


def report_worker(engine: Engine, scale: tuple[float, float]) -> WorkerReport:
    """Load the model and measure its memory on a small image.

    Args:
        scale: down and across.

    Raises:
        HistoscaleError: if the weights are missing or damaged, the device is absent, or the model cannot make
            that scale.
    """
    model, card = engine.model, engine.card
    setting = ModelSetting(
        name=engine.model_name,
        sha256=card.sha256,
        device=str(engine.device),
        processor=processor_name(engine.device),
        precision=engine.precision,
        halo_px=model.halo_px,
        alignment_px=model.alignment_px,
        card_name=card.name,
        scales=card.scales,
        through=engine.through,
    )
    is_slow = engine.precision == "bf16" and resources.emulates_bf16(engine.device)
    return WorkerReport(setting, measure_memory(engine, scale), is_slow)


def measure_memory(engine: Engine, scale: tuple[float, float]) -> MemoryNeed:
    """The memory that a worker needs, from the live bytes while a small image is upscaled."""
    model, image = engine.model, as_input(torch.full((1, 3, PROBE_PX, PROBE_PX), 0.5), engine.device)
    pixels = PROBE_PX**2
    with evaluating(model), computing(engine.device, engine.precision), _LiveBytes() as live:
        if not isinstance(model, CoordinateSuperResolver):
            model(image, (round(PROBE_PX * scale[0]), round(PROBE_PX * scale[1])))
            return MemoryNeed(resident_bytes(), live.peak / pixels, live.peak / pixels, 0, 0)
        features = model.encode(image)
        encoding, kept = live.peak, live.now
        cell = 1 / min(scale[0], PROBE_SCALE), 1 / min(scale[1], PROBE_SCALE)
        peaks = []
        for side in (PROBE_PX // 2, PROBE_PX):
            live.peak = live.now
            rows, cols = (
                (torch.arange(side / step, device=engine.device) + 0.5) * step - 0.5 for step in cell
            )
            model.render(features, rows, cols, cell)
            peaks.append(live.peak - kept)
    per_block_px = (peaks[1] - peaks[0]) / (pixels * 3 / 4)  # the half has a quarter of the pixels
    fixed = max(peaks[1] - per_block_px * pixels, 0)
    return MemoryNeed(resident_bytes(), encoding / pixels, kept / pixels, per_block_px, int(fixed))


def processor_name(device: torch.device) -> str:
    """The kind of processor, which decides how numbers are rounded."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def resident_bytes() -> int:
    """Memory that this process holds before it computes a tile."""
    return min(resources.resident_bytes(), LARGEST_RESIDENT_BYTES)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made in its block that are still alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and to skip it torch would import it, 70 MiB that a worker keeps."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
