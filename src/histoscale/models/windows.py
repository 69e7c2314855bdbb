"""Networks to which the extent of their input matters are shown windows of one size, blended where they meet.

A mean over the whole map, or a resize that pins the corners, makes every pixel depend on how much image is
given: a tile would not get the pixels of the whole image, and an image would be treated unlike the patches
of the training. Li et al. (2021) test in windows of 224 pixels, one every 192, and fade linearly from each to
the next. Windows lie at multiples of their stride, so tiles that start there too find the same windows.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from histoscale.models.encoders.swinir import mirrored_index

Network = Callable[[Tensor], Tensor]


def in_windows(
    network: Network,
    image: Float[Tensor, "b c h w"],
    window_px: int,
    overlap_px: int,
    *,
    scale: int = 1,
    multiple_px: int = 1,
) -> Float[Tensor, "b 3 H W"]:
    """``network`` applied to windows of ``image``; to the image itself where one window holds it.

    Args:
        network: a map in, RGB of ``scale`` times its size out.
        window_px, overlap_px: side of a window, and what it shares with the next, in pixels of ``image``.
        multiple_px: each window is continued by reflection to a multiple of this.
    """
    h, w = image.shape[-2:]
    blended: Tensor | None = None
    for rows in spans(h, window_px, overlap_px):
        for cols in spans(w, window_px, overlap_px):
            window = continued(image[..., rows, cols], multiple_px)
            made = network(window)[..., : extent(rows) * scale, : extent(cols) * scale]
            if extent(rows) == h and extent(cols) == w:
                return made
            if blended is None:
                blended = made.new_zeros(*made.shape[:2], h * scale, w * scale, dtype=image.dtype)
            share = fade(rows, h, overlap_px, scale)[:, None] * fade(cols, w, overlap_px, scale)
            blended[..., enlarged(rows, scale), enlarged(cols, scale)] += made * share.to(made)
    if blended is None:
        raise ValueError("an image of no pixels has no windows")
    return blended


def spans(n: int, window_px: int, overlap_px: int) -> Iterator[slice]:
    """Windows along an axis of ``n`` pixels; the last is cut at the border and longer than the overlap."""
    for start in range(0, max(n - overlap_px, 1), window_px - overlap_px):
        yield slice(start, min(start + window_px, n))


def fade(span: slice, n: int, overlap_px: int, scale: int) -> Float[Tensor, " k"]:
    """Share of a window in its output pixels: ramps where it has a neighbour, else 1. Shares sum to 1."""
    overlap = overlap_px * scale
    ramp = (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap
    share = torch.ones(extent(span) * scale, dtype=torch.float64)
    if span.start > 0:
        share[:overlap] *= ramp
    if span.stop < n:
        share[-overlap:] *= ramp.flip(0)
    return share


def continued(image: Float[Tensor, "b c h w"], multiple_px: int) -> Float[Tensor, "b c H W"]:
    """``image`` continued by reflection at the bottom and right to a multiple of ``multiple_px``."""
    for axis in (2, 3):
        n = image.shape[axis]
        padded = -(-n // multiple_px) * multiple_px
        if padded != n:
            image = image.index_select(axis, mirrored_index(n, padded, image.device))
    return image


def extent(span: slice) -> int:
    """Pixels of a span."""
    return int(span.stop - span.start)


def enlarged(span: slice, scale: int) -> slice:
    """The output pixels over a span."""
    return slice(span.start * scale, span.stop * scale)
