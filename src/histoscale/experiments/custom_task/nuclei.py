"""The shipped task: find nuclei without a network, and compare their number, area and pixels.

Colour deconvolution (A. Ruifrok, D. Johnston, Anal. Quant. Cytol. Histol. 23, 2001), Otsu's threshold of the
haematoxylin channel, and a watershed from the peaks of the distance to the background. The steps are the same
at every resolution. Lengths are in pixels of the original at 0.25 um per pixel; they were chosen on training
images of MoNuSeg.
"""
# mypy: allow-untyped-calls

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, UInt8
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from histoscale.errors import DataError
from histoscale.experiments.custom_task.sample import Sample, resize_labels

SMOOTHING_PX = 2.5
SMALLEST_PX = 30
"""Area of the smallest nucleus."""
APART_PX = 10
"""Least distance between the centres of two nuclei."""


def predict(image: UInt8[np.ndarray, "h w 3"], sample: Sample) -> dict[str, float]:
    """Score nuclear pixels by Dice and area; if the mask labels nuclei one by one, also number and mean area.

    Raises:
        DataError: if the image has no mask.
    """
    if sample.mask is None:
        raise DataError(f"The task nuclei needs a mask, but the manifest names none for {sample.path}.")
    found = find_nuclei(image, sample.scale)
    whole = resize_labels(found, sample.mask.shape)
    here, there = whole > 0, sample.mask > 0
    scores = {
        "dice": 2 * float((here & there).sum()) / max(1.0, float(here.sum() + there.sum())),
        "area error": abs(float(here.sum()) / max(1.0, float(there.sum())) - 1),
    }
    if "binary" not in sample.facts.get("mask_kind", ""):
        scores |= compare_nuclei(whole, sample.mask)
    return scores


def find_nuclei(image: UInt8[np.ndarray, "h w 3"], scale: float = 1.0) -> Int[np.ndarray, "h w"]:
    """Segment nuclei.

    Args:
        scale: pixels of the original per pixel of the image.
    """
    stain = gaussian(rgb2hed(image)[..., 0], SMOOTHING_PX / scale)
    if stain.min() == stain.max():
        return np.zeros(stain.shape, np.int64)
    regions = label(ndimage.binary_fill_holes(stain > threshold_otsu(stain)))
    areas = np.bincount(regions.ravel())
    mask = (regions > 0) & (areas[regions] >= SMALLEST_PX / scale**2)
    # Lengths shrink with the image: divided by the scale, areas by its square.
    return split_touching(mask, max(1, round(APART_PX / scale)))


def split_touching(mask: Bool[np.ndarray, "h w"], apart_px: int) -> Int[np.ndarray, "h w"]:
    """Separate touching nuclei by a watershed from the points farthest from the background."""
    distance: Float[np.ndarray, "h w"] = gaussian(ndimage.distance_transform_edt(mask), 1.0)
    peaks = peak_local_max(distance, min_distance=apart_px, labels=label(mask), exclude_border=False)
    seeds = np.zeros(mask.shape, np.int64)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-distance, seeds, mask=mask), dtype=np.int64)


def compare_nuclei(found: Integer[np.ndarray, "h w"], truth: Integer[np.ndarray, "h w"]) -> dict[str, float]:
    """Compute the relative errors of the number of nuclei and of their mean area."""
    (n, area), (true_n, true_area) = _count(found), _count(truth)
    if not true_n:
        return {}
    return {"count error": abs(n / true_n - 1), "mean area error": abs(area / true_area - 1)}


def _count(labels: Integer[np.ndarray, "h w"]) -> tuple[int, float]:
    """Count the nuclei, and compute their mean area in pixels."""
    n = len(np.unique(labels[labels > 0]))
    return n, float((labels > 0).sum()) / max(1, n)
