"""Segment single glands: MONAI's U-Net predicts three classes, from which the glands are separated.

A class of its own for the boundary keeps touching glands apart, after the contours of DCAN (H. Chen et al.,
CVPR 2016), which won the GlaS challenge. What is left without boundaries are the glands' insides, each of
which then grows back over the boundary class.
"""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy import ndimage
from skimage.morphology import disk
from skimage.segmentation import expand_labels, find_boundaries
from torch import nn

from histoscale.experiments.downstream.training import monai_network, normalised
from histoscale.experiments.glands.config import NetworkTable
from histoscale.experiments.images import RgbImage, as_batch

BACKGROUND, INSIDE, BOUNDARY = 0, 1, 2
CLASSES = 3
BRIDGE_PX = 2
"""Radius of the opening that removes thinner bridges between two insides."""


def gland_classes(labels: Int[np.ndarray, "h w"], boundary_px: int) -> UInt8[np.ndarray, "h w"]:
    """Classify each pixel of an annotation as `BACKGROUND`, `INSIDE` or `BOUNDARY`.

    The boundary is inside the gland, up to ``boundary_px`` pixels from everything outside it; the border of
    the image is no boundary.
    """
    glands = labels > 0
    rim = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    classes = np.where(glands, INSIDE, BACKGROUND)
    if rim.any():
        near = ndimage.distance_transform_edt(~rim) < boundary_px
        classes[glands & near] = BOUNDARY
    return classes.astype(np.uint8)


def separate(
    probabilities: Float[np.ndarray, "3 h w"], boundary_px: int, smallest_px: int
) -> Int[np.ndarray, "h w"]:
    """Separate single glands by the probabilities of the three classes.

    Insides, with holes filled and opened by a disc of `BRIDGE_PX`, are numbered. Each grows into the boundary
    class that is nearer to it than to another, by at most ``boundary_px`` and one pixel. Objects smaller than
    ``smallest_px`` are dropped.
    """
    classes = probabilities.argmax(axis=0)
    inside = ndimage.binary_fill_holes(classes == INSIDE)
    # Nothing is known outside the image, so the opening must not remove glands that its border cuts.
    padded = np.pad(inside, BRIDGE_PX, mode="edge")
    disc = disk(BRIDGE_PX)  # type: ignore[no-untyped-call]
    opened = ndimage.binary_opening(padded, disc)[BRIDGE_PX:-BRIDGE_PX, BRIDGE_PX:-BRIDGE_PX]
    seeds = ndimage.label(opened)[0]
    grown = expand_labels(seeds, boundary_px + 1)  # type: ignore[no-untyped-call]
    glands = np.where(inside | (classes == BOUNDARY), grown, 0)
    return _renumbered(glands, smallest_px)


def _renumbered(labels: Int[np.ndarray, "h w"], smallest_px: int) -> Int[np.ndarray, "h w"]:
    """Number the objects that are large enough 1, 2, 3, ..."""
    keep = np.bincount(labels.ravel()) >= smallest_px
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0)
    kept: np.ndarray = numbers[labels].astype(np.int64)
    return kept


def build_unet(table: NetworkTable) -> nn.Module:
    """Build MONAI's residual U-Net (E. Kerfoot et al., STACOM 2018) with batch norm, for three classes.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    network = monai_network("unet", "UNet")(
        spatial_dims=2,
        in_channels=3,
        out_channels=CLASSES,
        channels=table.channels,
        strides=(2,) * (len(table.channels) - 1),
        num_res_units=table.residual_units,
        norm="batch",
    )
    return cast(nn.Module, network.to(memory_format=torch.channels_last))


@torch.inference_mode()
def predict(
    network: nn.Module, image: RgbImage, size: tuple[int, int], multiple_px: int
) -> Float[np.ndarray, "3 H W"]:
    """Predict the probabilities of the three classes for a whole image, resized to ``size`` (height, width).

    Args:
        network: is left in evaluation mode.
        multiple_px: the image is padded, by repeating its border, to sides that are multiples of this.
    """
    network.eval()
    height, width = image.shape[:2]
    pad = (0, -width % multiple_px, 0, -height % multiple_px)
    device = next(network.parameters()).device
    batch = nn.functional.pad(normalised(as_batch(image[None])), pad, mode="replicate").to(device)
    output = network(batch)[:, :, :height, :width].float().softmax(dim=1)
    if (height, width) != size:
        output = nn.functional.interpolate(output, size, mode="bilinear", align_corners=False)
    return cast(np.ndarray, output[0].cpu().numpy())
