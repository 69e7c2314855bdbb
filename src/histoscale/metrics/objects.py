"""Agreement of segmented objects with the ground truth: object F1, object Dice and object Hausdorff of GlaS.

These are the three measures of the gland segmentation challenge (K. Sirinukunwattana et al., Medical Image
Analysis 35:489-502, 2017; glas.grand-challenge.org/Evaluation). Objects are labels, so that touching objects
stay separate.

**Convention.** Label maps hold 0 for background. The counterpart of an object is the object of the other map
that it overlaps most; of two equal overlaps the one with the lower label. The challenge sums over all objects
of all images of a test part. `Agreement` therefore holds sums, which can be added over images; the measures
of one image are computed from its own sums.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, Integer
from scipy import ndimage
from scipy.spatial import cKDTree

from histoscale.errors import InputError


@dataclass(frozen=True)
class Agreement:
    """The sums of the measures, of one image or of several images together.

    Attributes:
        true_positives: found objects that cover more than half of their counterpart.
        false_positives: the other found objects.
        false_negatives: true objects that are not the counterpart of a true positive.
        found_px, true_px: total area of the found and of the true objects in pixels.
        found_dice, true_dice: sum over the found or true objects of area times Dice with the counterpart.
        found_hausdorff, true_hausdorff: the same with the Hausdorff distance, in pixels.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    found_px: int = 0
    true_px: int = 0
    found_dice: float = 0.0
    true_dice: float = 0.0
    found_hausdorff: float = 0.0
    true_hausdorff: float = 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of objects; 1 if both maps are empty."""
        objects = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / objects if objects else 1.0

    @property
    def dice(self) -> float:
        """Object Dice: mean of both directions, weighted by area; 1 if both maps are empty."""
        return self._both_ways(self.found_dice, self.true_dice, nothing=1.0)

    @property
    def hausdorff(self) -> float:
        """Object Hausdorff distance in pixels: mean of both directions by area; 0 if both maps are empty."""
        return self._both_ways(self.found_hausdorff, self.true_hausdorff, nothing=0.0)

    def _both_ways(self, found: float, true: float, nothing: float) -> float:
        """Compute the mean of the two directions, or the value of the only map that has objects."""
        sides = [total / px for total, px in ((found, self.found_px), (true, self.true_px)) if px]
        return sum(sides) / len(sides) if sides else nothing


def pooled(agreements: Iterable[Agreement]) -> Agreement:
    """Sum the agreement over the objects of many images, as the challenge does for a test part."""
    rows = list(agreements)
    return Agreement(**{f.name: sum(getattr(row, f.name) for row in rows) for f in fields(Agreement)})


def agreement(
    found: Integer[np.ndarray, "h w"], true: Integer[np.ndarray, "h w"], nothing_to_compare: float = math.inf
) -> Agreement:
    """Compare two label maps of one image.

    Args:
        found: segmented objects.
        true: objects of the annotation.
        nothing_to_compare: Hausdorff distance of an object if the other map has no objects. It is infinite in
            the challenge's code; a table over many images needs a finite value.

    Raises:
        InputError: if a label is negative.

    Example:
        >>> import numpy as np
        >>> true = np.array([[1, 1, 0, 2, 2]])
        >>> found = np.array([[1, 1, 1, 1, 0]])
        >>> agreement(found, true).f1  # one object merges two glands: one found, one missed
        0.6666666666666666
    """
    overlap = _overlaps(found, true)
    # Without the row and the column of the background: pixels that pairs of objects share.
    shared = overlap[1:, 1:]
    found_px, true_px = overlap[1:].sum(axis=1), overlap[:, 1:].sum(axis=0)
    # Every found object is a true or a false positive, every true object found or missed.
    hits = len(_detected(overlap))
    of_found, of_true = _objects(found), _objects(true)
    # Dice and Hausdorff are summed in both directions: found to true, and with `shared.T` true to found.
    return Agreement(
        true_positives=hits,
        false_positives=len(found_px) - hits,
        false_negatives=len(true_px) - hits,
        found_px=int(found_px.sum()),
        true_px=int(true_px.sum()),
        found_dice=_dice(shared, found_px, true_px),
        true_dice=_dice(shared.T, true_px, found_px),
        found_hausdorff=_hausdorff(shared, of_found, of_true, nothing_to_compare),
        true_hausdorff=_hausdorff(shared.T, of_true, of_found, nothing_to_compare),
    )


def detected(
    found: Integer[np.ndarray, "h w"], true: Integer[np.ndarray, "h w"]
) -> tuple[Int[np.ndarray, " objects"], Bool[np.ndarray, " objects"]]:
    """Return the area of each true object, in the order of labels, and whether it was detected."""
    overlap = _overlaps(found, true)
    is_detected = np.zeros(overlap.shape[1] - 1, bool)
    is_detected[_detected(overlap)] = True
    return overlap[:, 1:].sum(axis=0), is_detected


def _overlaps(
    found: Integer[np.ndarray, "h w"], true: Integer[np.ndarray, "h w"]
) -> Int[np.ndarray, "found_and_background true_and_background"]:
    """Count the pixels that each found object (row) shares with each true object (column).

    The first row and the first column are the background.
    """
    rows, columns = _numbered(found), _numbered(true)
    n_rows, n_columns = int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1
    # A two-dimensional histogram: each pair of numbers is one bin.
    counts = np.bincount((rows * n_columns + columns).ravel(), minlength=n_rows * n_columns)
    return counts.reshape(n_rows, n_columns)


def _numbered(labels: Integer[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Renumber objects as 1, 2, 3, ... in the order of their labels."""
    values, numbers = np.unique(labels, return_inverse=True)
    if values.size and values[0] < 0:
        raise InputError(f"Expected labels of 0 for background and above for objects, found {values[0]}.")
    # Numbers start at 0, which is right only if a background exists.
    without_background = values.size and values[0] != 0
    return (numbers.reshape(labels.shape) + (1 if without_background else 0)).astype(np.int64)


def _detected(overlap: Int[np.ndarray, "_ _"]) -> list[int]:
    """Return the indices of true objects of which more than half is covered by a found object.

    More than half as in the challenge's code. By its text ("at least 50 %") both halves of a gland would be
    true positives.
    """
    shared, true_px = overlap[1:, 1:], overlap[:, 1:].sum(axis=0)
    if 0 in shared.shape:
        return []
    return [int(j) for i, j in enumerate(shared.argmax(axis=1)) if 2 * shared[i, j] > true_px[j]]


def _dice(
    shared: Int[np.ndarray, "objects others"],
    areas: Int[np.ndarray, " objects"],
    other_areas: Int[np.ndarray, " others"],
) -> float:
    """Sum area times Dice with the counterpart over objects; Dice is 0 without an overlap."""
    if 0 in shared.shape:
        return 0.0
    partner = shared.argmax(axis=1)
    # Area times Dice: |A| * 2 |A & B| / (|A| + |B|). Without an overlap |A & B| is 0.
    both = np.take_along_axis(shared, partner[:, None], axis=1)[:, 0]
    return float((areas * 2 * both / (areas + other_areas[partner])).sum())


@dataclass(frozen=True)
class _Object:
    """The pixels (row, column) of one object, and which of them have a 4-neighbour outside it."""

    pixels: Int[np.ndarray, "n 2"]
    is_edge: Bool[np.ndarray, " n"]

    @cached_property
    def edge(self) -> cKDTree:
        """Search tree of the edge: for a point outside the object the nearest pixel is on the edge."""
        return cKDTree(self.pixels[self.is_edge])

    @cached_property
    def box(self) -> tuple[Int[np.ndarray, "2"], Int[np.ndarray, "2"]]:
        """Bounding box: lowest and highest (row, column)."""
        return self.pixels.min(axis=0), self.pixels.max(axis=0)

    def farthest_from(self, other: "_Object") -> float:
        """Compute the largest distance of a pixel to ``other``.

        Outside the bounding box of ``other``, a step away from the box increases the distance to all of its
        pixels. The farthest pixel there is thus on the edge, and inner pixels are skipped.
        """
        low, high = other.box
        in_box = ((self.pixels >= low) & (self.pixels <= high)).all(axis=1)
        pixels = self.pixels[self.is_edge | in_box]
        # Pixels inside `other` have distance 0; for the others the nearest pixel is on its edge.
        outside = pixels[~_contains(other, pixels)]
        return float(other.edge.query(outside)[0].max(initial=0.0))


def _contains(shape: _Object, pixels: Int[np.ndarray, "m 2"]) -> Bool[np.ndarray, " m"]:
    """Tell which pixels belong to the object."""
    low, high = shape.box
    # A mask of the bounding box; pixels outside the box are outside the object.
    mask = np.zeros(high - low + 1, bool)
    mask[tuple((shape.pixels - low).T)] = True
    inside = np.asarray(((pixels >= low) & (pixels <= high)).all(axis=1))
    inside[inside] = mask[tuple((pixels[inside] - low).T)]
    return inside


def _objects(labels: Integer[np.ndarray, "h w"]) -> list[_Object]:
    """Return the objects of a label map in the order of labels."""
    numbers = _numbered(labels)
    objects = []
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        mask = numbers[box] == number
        # The border of the image is an edge: outside, nothing belongs to the object.
        edge = mask & ~ndimage.binary_erosion(mask, border_value=0)
        pixels = np.argwhere(mask) + [side.start for side in box]
        objects.append(_Object(pixels.astype(np.int64), edge[mask]))
    return objects


def _hausdorff(
    shared: Int[np.ndarray, "objects others"],
    objects: list[_Object],
    others: list[_Object],
    nothing_to_compare: float,
) -> float:
    """Sum area times Hausdorff distance to the counterpart over objects.

    The counterpart of an object without an overlap is the nearest object by that distance.
    """
    # One row of `shared` per object: pixels that it shares with each object of the other map.
    total = 0.0
    for row, one in zip(shared, objects, strict=True):
        if not others:
            distance = nothing_to_compare
        elif row.any():
            distance = _hausdorff_distance(one, others[int(row.argmax())])
        else:
            distance = min(_hausdorff_distance(one, other) for other in others)
        total += len(one.pixels) * distance
    return total


def _hausdorff_distance(a: _Object, b: _Object) -> float:
    """Compute the Hausdorff distance of two objects between pixel centres."""
    return max(a.farthest_from(b), b.farthest_from(a))
