"""One image, made small and enlarged again by every model: the unit of work of every comparison.

The low-resolution image is made from the whole high-resolution one by Pillow: sides ``floor(side / scale)``,
the truth cropped at its top left to what these sides enlarge to. Two protocols stand side by side: the
official code's (floats, border shaved) and the equations' (bytes, whole image). Bicubic is treated
as models are.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from histoscale.data.manifest import ImageRecord, centre_crop, read_rgb, read_size
from histoscale.data.pillow_degradation import degrade, enlarge_bicubic
from histoscale.errors import ConfigError, DataError, InputError, ScaleError
from histoscale.experiments.methods import LOW, ORIGINAL
from histoscale.experiments.scores import BICUBIC, Score
from histoscale.imaging.arrays import to_uint8
from histoscale.imaging.coords import rounded_size
from histoscale.imaging.degrade import DEGRADATIONS, Degradation
from histoscale.imaging.resize import bicubic_resize
from histoscale.inference import Precision, upscale
from histoscale.metrics.psnr import psnr_shaved, psnr_whole, shave_px
from histoscale.metrics.ssim import ssim, ssim_gaussian
from histoscale.models.base import SuperResolver

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class Case:
    """One image, or its middle ``crop_px`` pixels, to be made small by one degradation and enlarged again."""

    record: ImageRecord
    degradation: Degradation
    scale: float
    crop_px: int | None = None


def plan(
    records: Sequence[ImageRecord],
    scales: Sequence[float],
    degradations: Sequence[str],
    crop_px: int | None = None,
) -> list[Case]:
    """Every image, or its middle ``crop_px`` pixels, by every degradation at every scale.

    Raises:
        ScaleError: if a scale is below 1 or no number.
        ConfigError: if a degradation is unknown.
        DataError: if two images of one set share a name.
    """
    for scale in scales:
        if not (math.isfinite(scale) and scale >= 1):
            raise ScaleError(f"Wanted scales of at least 1, got {scale:g}.")
    seen: dict[tuple[str, str], ImageRecord] = {}
    for record in records:
        twin = seen.setdefault((record.set, record.id), record)
        if twin is not record:
            raise DataError(f"Wanted a name of its own for each image, got {twin.path} and {record.path}.")
    pairs = [
        (kind, float(scale))
        for kind in map(_known, dict.fromkeys(degradations))
        for scale in dict.fromkeys(scales)
    ]
    return [Case(record, kind, scale, crop_px) for record in records for kind, scale in pairs]


def check_sizes(cases: Sequence[Case]) -> None:
    """Find images that are too small to be scored before the hours of work, not in between.

    Raises:
        DataError: if an image cannot be read.
        InputError: naming the image, the scale and the size.
    """
    sizes = {path: read_size(path) for path in dict.fromkeys(case.record.path for case in cases)}
    for case in cases:
        height, width = (min(side, case.crop_px or side) for side in sizes[case.record.path])
        _, kept = pair_sizes((height, width), case.scale)
        if min(kept) <= 2 * shave_px(case.scale):
            raise InputError(
                f"{case.record.path} cannot be scored at x{case.scale:g}: wanted more than "
                f"{2 * shave_px(case.scale)} pixels a side, got {height} x {width}."
            )


def spread(records: Sequence[ImageRecord], limit: int | None) -> list[ImageRecord]:
    """At most ``limit`` images of each set, evenly spread over it; all where ``limit`` is None."""
    chosen = []
    for name in dict.fromkeys(record.set for record in records):
        members = [record for record in records if record.set == name]
        n = len(members) if limit is None else min(limit, len(members))
        chosen += [members[index * len(members) // n] for index in range(n)]
    return chosen


def pair_sizes(size: tuple[int, int], scale: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the low-resolution image, and of what it enlarges to."""
    height, width = (math.floor(side / scale + 1e-9) for side in size)
    return (height, width), (rounded_size(height, scale), rounded_size(width, scale))


def make_pair(image: Picture, scale: float, degradation: Degradation) -> tuple[Picture, Picture]:
    """The low-resolution image and the truth it is to be enlarged to.

    Raises:
        InputError: if no pixel is left at this scale.
    """
    lr_size, (height, width) = pair_sizes((image.shape[0], image.shape[1]), scale)
    if min(lr_size) < 1:
        raise InputError(
            f"Wanted at least {math.ceil(scale)} pixels a side, got {image.shape[0]} x {image.shape[1]}."
        )
    truth = np.ascontiguousarray(image[:height, :width])
    return degrade(truth, lr_size, scale, degradation), truth


def score_case(
    case: Case,
    models: Mapping[str, SuperResolver],
    precision: Precision = "fp32",
    device: str = "cpu",
    watch: "Watch | None" = None,
) -> list[Score]:
    """Scores of bicubic and then of each model on one case; NaN where a model cannot make the size.

    Args:
        watch: given the truth and what is made of the case; passes the latter on.

    Raises:
        DataError: if the image cannot be read.
        InputError: if the image is too small to be scored.
    """
    image = read_rgb(case.record.path)
    if case.crop_px is not None:
        image = centre_crop(image, case.crop_px)
    try:
        lr, truth = make_pair(image, case.scale, case.degradation)
        made = enlarge(lr, (truth.shape[0], truth.shape[1]), models, precision, device)
        return [_score(case, truth, one) for one in (watch(truth, made) if watch else made)]
    except InputError as error:
        raise InputError(f"{case.record.path} cannot be scored at x{case.scale:g}: {error}") from None


class Enlarged(NamedTuple):
    """What a model made: floats (not clipped) for one protocol, bytes for the other; None where it cannot."""

    model: str
    floats: Float[np.ndarray, "H W 3"] | None
    bytes: Picture | None


Watch: TypeAlias = Callable[[Picture, Iterator[Enlarged]], Iterator[Enlarged]]
"""A stage that what is made of a case passes through on its way to be scored."""


def enlarge(
    lr: Picture,
    size: tuple[int, int],
    models: Mapping[str, SuperResolver],
    precision: Precision = "fp32",
    device: str = "cpu",
) -> Iterator[Enlarged]:
    """Bicubic's and then each model's enlargement of ``lr`` to ``size`` (height, width)."""
    image = torch.from_numpy(lr.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()
    # Bytes of bicubic are Pillow's, which rounds between its two passes as well; floats are ours.
    yield Enlarged(BICUBIC, _channels_last(bicubic_resize(image, size)), enlarge_bicubic(lr, size))
    for name, model in models.items():
        try:
            pixels = upscale(model, image, size, precision=precision, device=device)
        except ScaleError:
            yield Enlarged(name, None, None)
        else:
            yield Enlarged(name, _channels_last(pixels), _channels_last(to_uint8(pixels)))


def _known(kind: str) -> Degradation:
    for known in DEGRADATIONS:
        if kind == known:
            return known
    raise ConfigError(f"Wanted a degradation of {', '.join(DEGRADATIONS)}, got {kind}.")


def _channels_last(pixels: Shaped[Tensor, "1 3 H W"]) -> Shaped[np.ndarray, "H W 3"]:
    return pixels[0].permute(1, 2, 0).contiguous().numpy()


def _score(case: Case, truth: Picture, enlarged: Enlarged) -> Score:
    about = (case.record.set, case.record.prep, case.record.id, case.degradation, case.scale, enlarged.model)
    if enlarged.floats is None or enlarged.bytes is None:
        return Score(*about, math.nan, math.nan, math.nan, math.nan)
    return Score(
        *about,
        psnr_shaved=psnr_shaved(enlarged.floats, truth.astype(np.float32) / 255, case.scale),
        psnr_whole=psnr_whole(enlarged.bytes, truth),
        ssim=ssim(enlarged.bytes, truth),
        ssim_gaussian=ssim_gaussian(enlarged.bytes, truth),
    )


# The patches that a classifier is tested on: originals, made small, and made large again in every way.


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
