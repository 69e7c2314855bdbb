"""From uint8 to uint8: enlarge with a model, reduce with bicubic, in one picture's worth of memory."""

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from histoscale.imaging.arrays import pixel_reader, to_uint8
from histoscale.inference import upscale_blocks
from histoscale.workflows.upscale.engine import Engine

Progress = Callable[[int, int], None]
"""Called with output pixels done and their total."""


def enlarge(
    pixels: UInt8[np.ndarray, "h w c"],
    size: tuple[int, int],
    engine: Engine,
    progress: Progress | None = None,
) -> UInt8[np.ndarray, "H W c"]:
    """Super-resolve to ``size`` (height, width), tile by tile.

    Grey goes in as three equal channels and comes back as their mean.
    """
    h, w, channels = pixels.shape
    read = pixel_reader(np.broadcast_to(pixels, (h, w, 3)))
    output = np.empty((*size, channels), np.uint8)
    blocks = upscale_blocks(
        engine.model,
        read,
        (h, w),
        size,
        tile_px=engine.tile_px,
        precision=engine.precision,
        device=engine.device,
        progress=progress,
    )
    for rows, cols, block in blocks:
        colours = block.clamp(0, 1).mean(1, keepdim=True).expand_as(block) if channels == 1 else block
        output[rows, cols] = to_uint8(colours)[0, :channels].permute(1, 2, 0).cpu().numpy()
    return output


def resize(pixels: UInt8[np.ndarray, "h w c"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W c"]:
    """Pillow's bicubic to ``size`` (height, width), antialiased where an axis shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    resized = np.array(Image.fromarray(flat).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    return resized[..., None] if resized.ndim == 2 else resized
