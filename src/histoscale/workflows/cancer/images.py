"""The patches that a classifier is tested on: originals, made small, and made large again in every way."""

import numpy as np
import torch
from jaxtyping import UInt8

from histoscale.data.degradation import degrade, enlarge_bicubic
from histoscale.errors import ConfigError
from histoscale.imaging.arrays import to_uint8
from histoscale.inference import Precision, upscale
from histoscale.models.base import SuperResolver
from histoscale.workflows.settings import LOW, ORIGINAL

Originals = UInt8[np.ndarray, "b side side 3"]
Made = UInt8[np.ndarray, "b made made 3"]
AT_ONCE = 16
"""Patches that a model enlarges together."""


def low_side(side_px: int, scale: int) -> int:
    """Side of the low-resolution patches.

    Raises:
        ConfigError: if the scale does not divide the side.
    """
    if side_px % scale:
        raise ConfigError(f"Wanted a scale that divides the patches' {side_px} pixels, got {scale}.")
    return side_px // scale


def make_images(
    setting: str,
    originals: Originals,
    scale: int,
    model: SuperResolver | None,
    device: torch.device,
    precision: Precision,
) -> Made:
    """The patches as one setting has them; enlarged by bicubic where there is no model.

    The low-resolution patches are made by plain bicubic; all images are 8-bit, as they would be stored.
    """
    if setting == ORIGINAL:
        return originals
    side = originals.shape[1]
    lr_px = low_side(side, scale)
    low = np.stack([degrade(patch, (lr_px, lr_px), scale, "none") for patch in originals])
    if setting == LOW:
        return low
    if model is None:
        return np.stack([enlarge_bicubic(patch, (side, side)) for patch in low])
    parts = [low[i : i + AT_ONCE] for i in range(0, len(low), AT_ONCE)]
    return np.concatenate([_enlarge(part, side, model, device, precision) for part in parts])


def _enlarge(
    low: Originals, side: int, model: SuperResolver, device: torch.device, precision: Precision
) -> Made:
    batch = torch.from_numpy(low).permute(0, 3, 1, 2).float() / 255
    made = upscale(model, batch, (side, side), precision=precision, device=device)
    return to_uint8(made).permute(0, 2, 3, 1).contiguous().cpu().numpy()
