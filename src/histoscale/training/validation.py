"""PSNR on centre crops during a training, and that of bicubic interpolation."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from histoscale.config import ValidationTable
from histoscale.data.manifest import ImageRecord, centre_crop
from histoscale.data.pillow_degradation import degrade, upscale_bicubic
from histoscale.imaging.arrays import to_uint8
from histoscale.io.image_reader import read_rgb
from histoscale.metrics.psnr import psnr_whole
from histoscale.models.base import SuperResolver

Pixels = UInt8[np.ndarray, "_ _ 3"]


def choose_images(records: Sequence[ImageRecord], per_set: int) -> list[ImageRecord]:
    """Evenly spaced images of every set, in a fixed order."""
    chosen = []
    for name in sorted({r.set for r in records}):
        of_set = [r for r in records if r.set == name]
        chosen += of_set[:: max(1, len(of_set) // per_set)][:per_set]
    return chosen


class Validation:
    """A fixed set of pairs, made once.

    Args:
        table: what to measure.
        records: the images to take crops of.

    Attributes:
        bicubic: mean PSNR of bicubic interpolation, per set and scale.
    """

    def __init__(self, table: ValidationTable, records: Sequence[ImageRecord]):
        self.pairs: list[tuple[str, float, Pixels, Pixels]] = []
        for record in choose_images(records, table.images_per_set):
            image = read_rgb(record.path)
            for scale in table.scales:
                # The HR crop follows from whole LR pixels, so that both cover the same extent.
                lr_px = int(min(table.crop_px, *image.shape[:2]) / scale)
                hr = np.ascontiguousarray(centre_crop(image, round(lr_px * scale)))
                lr = degrade(hr, (lr_px, lr_px), scale, table.degradation)
                self.pairs.append((record.set, scale, hr, lr))
        upscaled = [psnr_whole(upscale_bicubic(lr, hr.shape[:2]), hr) for _, _, hr, lr in self.pairs]
        self.bicubic = self._means(upscaled)

    @torch.inference_mode()
    def measure(self, model: SuperResolver, device: torch.device) -> dict[str, float]:
        """Mean PSNR of a model, per set and scale."""
        model.eval()
        scores = []
        for _, _, hr, lr in self.pairs:
            image = torch.from_numpy(lr.copy()).to(device).permute(2, 0, 1)[None] / 255
            made = to_uint8(model(image, hr.shape[:2]).float())[0].permute(1, 2, 0).cpu().numpy()
            scores.append(psnr_whole(made, hr))
        model.train()
        return self._means(scores)

    def _means(self, scores: Sequence[float]) -> dict[str, float]:
        grouped: dict[str, list[float]] = {}
        for (name, scale, _, _), score in zip(self.pairs, scores, strict=True):
            grouped.setdefault(f"{name} x{scale:g}", []).append(score)
        return {key: float(np.mean(values)) for key, values in grouped.items()}
