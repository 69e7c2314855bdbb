"""How well segmented objects agree with the true ones: object F1, object Dice, object Hausdorff of GlaS.

The three measures of the gland segmentation challenge (K. Sirinukunwattana et al., Medical Image Analysis
35:489-502, 2017; glas.grand-challenge.org/Evaluation). Objects are labels, so that touching ones stay two.

**Convention.** Label maps hold 0 for background. An object's counterpart is the one of the other map that it
overlaps most, of two equal overlaps the one with the lower label. The challenge sums over all objects of all
images of a test part; `Agreement` thus holds sums that can be added, and an image's own figures are those of
its sums.
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
    """What the measures are made of, of one image or of several added up.

    Attributes:
        true_positives: found objects that cover more than half of their counterpart.
        false_positives: the other found objects.
        false_negatives: true objects that no true positive stands for.
        found_px, true_px: area of all found and of all true objects.
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
        """Harmonic mean of precision and recall of whole objects; 1 where there is nothing on either side."""
        objects = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / objects if objects else 1.0

    @property
    def dice(self) -> float:
        """Object Dice: both directions weighted by area; 1 where there is nothing on either side."""
        return self._both_ways(self.found_dice, self.true_dice, nothing=1.0)

    @property
    def hausdorff(self) -> float:
        """Object Hausdorff distance in pixels: both directions weighted by area; 0 where there is nothing."""
        return self._both_ways(self.found_hausdorff, self.true_hausdorff, nothing=0.0)

    def _both_ways(self, found: float, true: float, nothing: float) -> float:
        """Mean of the two directions, or the only one that has objects."""
        sides = [total / px for total, px in ((found, self.found_px), (true, self.true_px)) if px]
        return sum(sides) / len(sides) if sides else nothing


def pooled(agreements: Iterable[Agreement]) -> Agreement:
    """The agreement over the objects of many images, as the challenge reports a test part."""
    rows = list(agreements)
    return Agreement(**{f.name: sum(getattr(row, f.name) for row in rows) for f in fields(Agreement)})


def agreement(
    found: Integer[np.ndarray, "h w"], true: Integer[np.ndarray, "h w"], nothing_to_compare: float = math.inf
) -> Agreement:
    """Compare two label maps of one image.

    Args:
        found: segmented objects.
        true: objects of the annotation.
        nothing_to_compare: Hausdorff distance of an object where the other map has none at all. That of the
            challenge's code is infinite; a table over many images needs a finite one.

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
    shared = overlap[1:, 1:]
    found_px, true_px = overlap[1:].sum(axis=1), overlap[:, 1:].sum(axis=0)
    hits = len(_detected(overlap))
    of_found, of_true = _objects(found), _objects(true)
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
    """Area of each true object, in the order of the labels, and whether a true positive stands for it."""
    overlap = _overlaps(found, true)
    is_detected = np.zeros(overlap.shape[1] - 1, bool)
    is_detected[_detected(overlap)] = True
    return overlap[:, 1:].sum(axis=0), is_detected


def _overlaps(
    found: Integer[np.ndarray, "h w"], true: Integer[np.ndarray, "h w"]
) -> Int[np.ndarray, "found_and_background true_and_background"]:
    """Pixels that each found object, by row, shares with each true one; first row and column: background."""
    rows, columns = _numbered(found), _numbered(true)
    n_rows, n_columns = int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1
    counts = np.bincount((rows * n_columns + columns).ravel(), minlength=n_rows * n_columns)
    return counts.reshape(n_rows, n_columns)


def _numbered(labels: Integer[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """The same objects in the same order as 1, 2, 3, ..."""
    values, numbers = np.unique(labels, return_inverse=True)
    if values.size and values[0] < 0:
        raise InputError(f"Wanted labels of 0 for background and above for objects, got {values[0]}.")
    without_background = values.size and values[0] != 0
    return (numbers.reshape(labels.shape) + (1 if without_background else 0)).astype(np.int64)


def _detected(overlap: Int[np.ndarray, "_ _"]) -> list[int]:
    """Indices of true objects, each the counterpart of a found one that covers more than half of it.

    More than half, as in the challenge's code; by its text ("at least 50 %") two halves of one gland would
    both be true positives.
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
    """Sum over objects of area times Dice with the counterpart; 0 for one that overlaps nothing."""
    if 0 in shared.shape:
        return 0.0
    partner = shared.argmax(axis=1)
    both = np.take_along_axis(shared, partner[:, None], axis=1)[:, 0]
    return float((areas * 2 * both / (areas + other_areas[partner])).sum())


@dataclass(frozen=True)
class _Object:
    """The pixels of one object, (row, column), and which are its edge: those with a 4-neighbour outside."""

    pixels: Int[np.ndarray, "n 2"]
    is_edge: Bool[np.ndarray, " n"]

    @cached_property
    def edge(self) -> cKDTree:
        """Whoever is outside is nearest to a pixel of the edge."""
        return cKDTree(self.pixels[self.is_edge])

    @cached_property
    def box(self) -> tuple[Int[np.ndarray, "2"], Int[np.ndarray, "2"]]:
        """Lowest and highest row and column."""
        return self.pixels.min(axis=0), self.pixels.max(axis=0)

    def farthest_from(self, other: "_Object") -> float:
        """The distance to ``other`` of the pixel that is farthest from it.

        Outside the other's box, a step away from the box leads away from all of it: the farthest pixel there
        is on the edge, and others need not be looked at.
        """
        low, high = other.box
        in_box = ((self.pixels >= low) & (self.pixels <= high)).all(axis=1)
        pixels = self.pixels[self.is_edge | in_box]
        outside = pixels[~_contains(other, pixels)]
        return float(other.edge.query(outside)[0].max(initial=0.0))


def _contains(shape: _Object, pixels: Int[np.ndarray, "m 2"]) -> Bool[np.ndarray, " m"]:
    """Which pixels are the object's."""
    low, high = shape.box
    mask = np.zeros(high - low + 1, bool)
    mask[tuple((shape.pixels - low).T)] = True
    inside = np.asarray(((pixels >= low) & (pixels <= high)).all(axis=1))
    inside[inside] = mask[tuple((pixels[inside] - low).T)]
    return inside


def _objects(labels: Integer[np.ndarray, "h w"]) -> list[_Object]:
    """Every object of a label map, in the order of the labels."""
    numbers = _numbered(labels)
    objects = []
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        mask = numbers[box] == number
        # Outside its box, hence also outside the image, nothing is the object's.
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
    """Sum over objects of area times Hausdorff distance to the counterpart.

    Where an object overlaps none, its counterpart is the nearest by that distance.
    """
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
    """Between the pixel centres of two objects."""
    return max(a.farthest_from(b), b.farthest_from(a))
