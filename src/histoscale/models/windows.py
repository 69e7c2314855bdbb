"""Apply a network to windows of one size and blend them: for networks that depend on the input's size.

With a mean over the whole map, or a resize with aligned corners, every pixel depends on how much of the image
is given: a tile would not get the pixels of the whole image, and an image would not be treated like the
patches of the training. Li et al. (2021) test in windows of 224 pixels, one every 192, and fade linearly
from each to the next. Windows start at multiples of their stride; tiles that start there have the same ones.
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
    """Apply ``network`` to windows of ``image``, or to the image itself if it fits one window.

    Args:
        network: a map in, RGB of ``scale`` times its size out.
        window_px, overlap_px: side of a window, and what it shares with the next, in pixels of ``image``.
        scale: output pixels per pixel of ``image``.
        multiple_px: each window is continued by reflection to a multiple of this.
    """
    h, w = image.shape[-2:]
    blended: Tensor | None = None
    for rows in spans(h, window_px, overlap_px):
        for cols in spans(w, window_px, overlap_px):
            # Network and output are larger than the window where it was continued: crop.
            window = continued(image[..., rows, cols], multiple_px)
            made = network(window)[..., : extent(rows) * scale, : extent(cols) * scale]
            if extent(rows) == h and extent(cols) == w:
                return made
            if blended is None:
                blended = made.new_zeros(*made.shape[:2], h * scale, w * scale, dtype=image.dtype)
            # The weight of a window is the product of one ramp per axis.
            share = fade(rows, h, overlap_px, scale)[:, None] * fade(cols, w, overlap_px, scale)
            blended[..., output_span(rows, scale), output_span(cols, scale)] += made * share.to(made)
    if blended is None:
        raise ValueError("an image of no pixels has no windows")
    return blended


def spans(n: int, window_px: int, overlap_px: int) -> Iterator[slice]:
    """Yield windows along an axis of ``n`` pixels; the last is cut at the border, longer than the overlap."""
    for start in range(0, max(n - overlap_px, 1), window_px - overlap_px):
        yield slice(start, min(start + window_px, n))


def fade(span: slice, n: int, overlap_px: int, scale: int) -> Float[Tensor, " k"]:
    """Weight the output pixels of a window: a ramp towards each neighbour, else 1. Weights sum to 1."""
    overlap = overlap_px * scale
    ramp = (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap
    share = torch.ones(extent(span) * scale, dtype=torch.float64)
    if span.start > 0:
        share[:overlap] *= ramp
    if span.stop < n:
        share[-overlap:] *= ramp.flip(0)
    return share


def continued(image: Float[Tensor, "b c h w"], multiple_px: int) -> Float[Tensor, "b c H W"]:
    """Continue ``image`` by reflection at the bottom and right to a multiple of ``multiple_px``."""
    for axis in (2, 3):
        n = image.shape[axis]
        padded = -(-n // multiple_px) * multiple_px
        if padded != n:
            image = image.index_select(axis, mirrored_index(n, padded, image.device))
    return image


def extent(span: slice) -> int:
    """Pixels of a span."""
    return int(span.stop - span.start)


def output_span(span: slice, scale: int) -> slice:
    """The output pixels of a span."""
    return slice(span.start * scale, span.stop * scale)
