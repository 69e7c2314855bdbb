"""Apply a network to overlapping windows of an image and blend the results.

Some networks take a mean over the whole map, or resize it with aligned corners. Each of their pixels depends
on the size of the input: a tile would differ from the whole image, and a whole image from the patches of the
training. Li et al. (2021) therefore test in windows of 224 pixels with a stride of 192 pixels, and blend each
window linearly into the next. Windows start at multiples of the stride, so a tile that starts at such a
multiple has the same windows as the whole image.
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
    """Apply ``network`` to windows of ``image``, or to the whole image if it fits one window.

    Args:
        network: takes a map and returns RGB of ``scale`` times its size.
        window_px, overlap_px: side of a window and its overlap with the next, in pixels of ``image``.
        scale: output pixels per pixel of ``image``.
        multiple_px: extend each window by reflection to a multiple of this.
    """
    h, w = image.shape[-2:]
    blended: Tensor | None = None
    for rows in spans(h, window_px, overlap_px):
        for cols in spans(w, window_px, overlap_px):
            # The network needs sides that are multiples of `multiple_px`: extend, then crop its output.
            window = continued(image[..., rows, cols], multiple_px)
            made = network(window)[..., : extent(rows) * scale, : extent(cols) * scale]
            # A single window covers the image: there is nothing to blend.
            if extent(rows) == h and extent(cols) == w:
                return made
            if blended is None:
                blended = made.new_zeros(*made.shape[:2], h * scale, w * scale, dtype=image.dtype)
            # The weights of a window, [rows, cols], are the product of one ramp per axis.
            share = fade(rows, h, overlap_px, scale)[:, None] * fade(cols, w, overlap_px, scale)
            blended[..., output_span(rows, scale), output_span(cols, scale)] += made * share.to(made)
    if blended is None:
        raise ValueError("an image without pixels has no windows")
    return blended


def spans(n: int, window_px: int, overlap_px: int) -> Iterator[slice]:
    """Yield the windows along an axis of ``n`` pixels; the last one ends at the border."""
    # A window starts only where more than the overlap is left, so the last one is longer than the overlap.
    for start in range(0, max(n - overlap_px, 1), window_px - overlap_px):
        yield slice(start, min(start + window_px, n))


def fade(span: slice, n: int, overlap_px: int, scale: int) -> Float[Tensor, " k"]:
    """Compute the weights of the output pixels of a window: a ramp in each overlap, 1 elsewhere."""
    overlap = overlap_px * scale
    # Rising here and falling in the neighbour: the two weights of a pixel in an overlap sum to 1.
    ramp = (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap
    share = torch.ones(extent(span) * scale, dtype=torch.float64)
    if span.start > 0:
        share[:overlap] *= ramp
    if span.stop < n:
        share[-overlap:] *= ramp.flip(0)
    return share


def continued(image: Float[Tensor, "b c h w"], multiple_px: int) -> Float[Tensor, "b c H W"]:
    """Extend ``image`` by reflection at the bottom and right to a multiple of ``multiple_px``."""
    for axis in (2, 3):
        n = image.shape[axis]
        padded = -(-n // multiple_px) * multiple_px
        if padded != n:
            image = image.index_select(axis, mirrored_index(n, padded, image.device))
    return image


def extent(span: slice) -> int:
    """Count the pixels of a span."""
    return int(span.stop - span.start)


def output_span(span: slice, scale: int) -> slice:
    """Convert a span of pixels to output pixels."""
    return slice(span.start * scale, span.stop * scale)
