"""The degradations of the training data on batches of tensors, equal to Pillow's within two grey levels.

Pillow's Gaussian blur is three passes of an extended box filter (Gwosdz et al., Theoretical Foundations of
Gaussian Convolution by Extended Box Filtering, 2011). The border is repeated before each pass and the bytes
are rounded after it.
"""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.errors import ConfigError
from histoscale.imaging.resize import bicubic_resize

Degradation = Literal["B", "C", "D", "none"]
"""B: blur of sigma (m - 1) / 2 at high resolution, then bicubic (the official code). C: as B, sigma m / 2.
D: bicubic, then blur of sigma m / 2 at low resolution (the text of the paper). none: only bicubic."""

DEGRADATIONS: tuple[Degradation, ...] = get_args(Degradation)
PASSES = 3


def blur_sigmas(scale: float, kind: Degradation) -> tuple[float, float]:
    """Return the Gaussian sigma before and after downsampling, in high- and in low-resolution pixels.

    Raises:
        ConfigError: if ``kind`` is not one of `DEGRADATIONS`.
    """
    match kind:
        case "B":
            return (scale - 1) / 2, 0.0
        case "C":
            return scale / 2, 0.0
        case "D":
            return 0.0, scale / 2
        case "none":
            return 0.0, 0.0
    raise ConfigError(f"Expected a degradation of {', '.join(DEGRADATIONS)}, found {kind}.")


def degrade(
    hr: Float[Tensor, "b c H W"], lr_size: tuple[int, int], scale: float, kind: Degradation = "B"
) -> Float[Tensor, "b c h w"]:
    """Downsample ``hr`` in [0, 1] to ``lr_size`` (height, width) and round to the 255 steps of a byte.

    Args:
        hr: the high-resolution images.
        lr_size: height and width of the result.
        scale: the factor m that determines the blur; sigmas are in pixels of the blurred image.
        kind: the degradation.
    """
    before, after = blur_sigmas(scale, kind)
    blurred = gaussian_blur(hr, before)
    # As Pillow: resize the columns, round to bytes, then resize the rows.
    narrow = to_byte_steps(bicubic_resize(blurred, (hr.shape[2], lr_size[1])))
    return gaussian_blur(to_byte_steps(bicubic_resize(narrow, lr_size)), after)


def to_byte_steps(image: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Clip to [0, 1] and round to the 255 steps of a byte."""
    return (image.clamp(0, 1) * 255).round() / 255


def gaussian_blur(image: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """Blur as Pillow's GaussianBlur of ``sigma`` pixels, rounded to bytes after each pass."""
    if sigma <= 0:
        return image
    kernel = box_kernel(box_radius(sigma)).to(image.device)
    reach = len(kernel) // 2
    # Every colour is an image of its own, in grey levels; float64 keeps whole numbers exact.
    flat = (image.flatten(0, 1)[:, None].double() * 255).round()
    # Three passes along the columns, then three along the rows, as in Pillow.
    for shape, pad in (((1, 1, 1, -1), (reach, reach, 0, 0)), ((1, 1, -1, 1), (0, 0, reach, reach))):
        for _ in range(PASSES):
            padded = torch.nn.functional.pad(flat, pad, mode="replicate")
            flat = (torch.nn.functional.conv2d(padded, kernel.view(shape)) + 0.5).floor()
    return (flat / 255).to(image.dtype).view(image.shape)


def box_radius(sigma: float) -> float:
    """Compute the radius of the extended box whose `PASSES`-fold repetition has variance sigma squared."""
    variance = sigma * sigma / PASSES
    whole = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    # The whole part of the radius has too small a variance; the fraction adds the rest.
    rest = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return whole + rest


def box_kernel(radius: float) -> Float[Tensor, " k"]:
    """Compute a box of 2 radius + 1 pixels, in which the two outermost pixels have fractional weights."""
    whole, one = math.floor(radius), 2**24  # Pillow computes weights in float32 and stores 24-bit fractions
    inner = int(one / (2 * torch.tensor(radius, dtype=torch.float32) + 1))
    outer = (one - (2 * whole + 1) * inner) // 2
    return torch.tensor([outer, *[inner] * (2 * whole + 1), outer], dtype=torch.float64) / one
