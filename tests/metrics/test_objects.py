"""The measures of the GlaS challenge by hand, on the cases they are known for, and against another form."""

import math

import numpy as np
import pytest
from jaxtyping import Int
from skimage.metrics import hausdorff_distance

from histoscale.errors import InputError
from histoscale.metrics.objects import Agreement, agreement, detected, pooled

Labels = Int[np.ndarray, "h w"]


def boxes(*places: tuple[int, int, int, int], size: tuple[int, int] = (40, 60)) -> Labels:
    """A label map of rectangles: first row, row after the last, first column, column after the last."""
    labels = np.zeros(size, np.int64)
    for label, (top, bottom, left, right) in enumerate(places, start=1):
        labels[top:bottom, left:right] = label
    return labels


def literal(found: Labels, true: Labels) -> tuple[float, float, float]:
    """F1, object Dice and object Hausdorff as the challenge's page writes them; neither map may be empty."""
    s = {k: {tuple(p) for p in np.argwhere(found == k)} for k in np.unique(found) if k}
    g = {k: {tuple(p) for p in np.argwhere(true == k)} for k in np.unique(true) if k}

    def most(one: set[tuple[int, ...]], others: dict[int, set[tuple[int, ...]]]) -> set[tuple[int, ...]]:
        best = max(others, key=lambda k: (len(one & others[k]), -k))
        return others[best] if one & others[best] else set()

    def distance(a: set[tuple[int, ...]], b: set[tuple[int, ...]]) -> float:
        mine, theirs = np.array(sorted(a)), np.array(sorted(b))
        between = np.sqrt(((mine[:, None] - theirs[None]) ** 2).sum(axis=2))
        return float(max(between.min(axis=1).max(), between.min(axis=0).max()))

    def one_way(
        ones: dict[int, set[tuple[int, ...]]], others: dict[int, set[tuple[int, ...]]]
    ) -> tuple[float, float]:
        area = sum(map(len, ones.values()))
        dice = hausdorff = 0.0
        for one in ones.values():
            other = most(one, others)
            dice += len(one) / area * 2 * len(one & other) / (len(one) + len(other))
            nearest = other or min(others.values(), key=lambda candidate: distance(one, candidate))
            hausdorff += len(one) / area * distance(one, nearest)
        return dice, hausdorff

    tp = sum(bool(o := most(one, g)) and len(one & o) / len(o) > 0.5 for one in s.values())
    precision, recall = tp / len(s), tp / len(g)
    f1 = 2 * precision * recall / (precision + recall) if tp else 0.0
    there, back = one_way(s, g), one_way(g, s)
    return f1, (there[0] + back[0]) / 2, (there[1] + back[1]) / 2


def figures(found: Labels, true: Labels) -> tuple[float, float, float]:
    result = agreement(found, true)
    return result.f1, result.dice, result.hausdorff


def test_the_same_objects_agree_with_any_labels() -> None:
    true = boxes((2, 10, 2, 10), (20, 30, 20, 50))
    renamed = np.where(true == 1, 907, np.where(true == 2, 5, 0))
    assert figures(renamed, true) == (1.0, 1.0, 0.0)
    assert agreement(renamed, true).true_positives == 2


def test_by_hand() -> None:
    """Glands of 100 and 300 pixels; the first found 10 x 12 around it, the second missed, one too many."""
    true = boxes((0, 10, 0, 10), (20, 30, 20, 50))
    found = boxes((0, 10, 0, 12), (35, 40, 20, 30))
    result = agreement(found, true)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (1, 1, 1)
    assert result.f1 == 0.5
    found_way = (120 * 200 / 220 + 50 * 0) / 170
    true_way = (100 * 200 / 220 + 300 * 0) / 400
    assert result.dice == pytest.approx((found_way + true_way) / 2)
    # The two unmatched lie apart: (20, 49) to (35, 29) from the gland, (39, 20) to (29, 20) the other way.
    far = math.hypot(15, 20)
    assert result.hausdorff == pytest.approx(((120 * 2 + 50 * far) / 170 + (100 * 2 + 300 * far) / 400) / 2)


def test_nothing_on_both_sides() -> None:
    empty = boxes()
    result = agreement(empty, empty)
    assert (result.f1, result.dice, result.hausdorff) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("swap", [False, True])
def test_nothing_on_one_side(swap: bool) -> None:
    pair = (boxes(), boxes((2, 10, 2, 10)))
    found, true = pair[::-1] if swap else pair
    result = agreement(found, true)
    assert (result.f1, result.dice, result.hausdorff) == (0.0, 0.0, math.inf)
    assert agreement(found, true, nothing_to_compare=72.0).hausdorff == 72.0


def test_two_touching_glands_merged_into_one() -> None:
    true = boxes((10, 20, 10, 20), (10, 20, 20, 30))
    merged = boxes((10, 20, 10, 30))
    result = agreement(merged, true)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (1, 0, 1)
    assert result.f1 == pytest.approx(2 / 3)
    assert result.dice == pytest.approx(2 / 3)
    assert result.hausdorff == 10.0
    assert detected(merged, true)[1].tolist() == [True, False]


def test_touching_glands_kept_apart_are_two() -> None:
    true = boxes((10, 20, 10, 20), (10, 20, 20, 30))
    assert figures(true.copy(), true) == (1.0, 1.0, 0.0)


def test_a_gland_split_into_halves_is_found_by_neither() -> None:
    true, halves = boxes((10, 20, 10, 30)), boxes((10, 20, 10, 20), (10, 20, 20, 30))
    result = agreement(halves, true)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (0, 2, 1)
    assert (result.f1, result.hausdorff) == (0.0, 10.0)
    assert result.dice == pytest.approx(2 / 3)


def test_a_gland_split_unevenly_is_found_by_the_larger_part() -> None:
    true, parts = boxes((10, 20, 10, 30)), boxes((10, 20, 10, 21), (10, 20, 21, 30))
    result = agreement(parts, true)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (1, 1, 0)


def test_one_object_over_the_whole_image_finds_one_gland() -> None:
    true = boxes((0, 10, 0, 10), (20, 30, 20, 40))
    result = agreement(np.ones_like(true), true)
    assert (result.true_positives, result.false_positives, result.false_negatives) == (1, 0, 1)
    assert result.found_px == true.size
    assert figures(np.ones_like(true), true) == pytest.approx(literal(np.ones_like(true), true))


def test_glands_at_the_border() -> None:
    true = boxes((0, 10, 0, 20), (30, 40, 40, 60))
    found = boxes((0, 8, 0, 20), (32, 40, 40, 60))
    assert agreement(found, true).hausdorff == 2.0
    assert figures(found, true) == pytest.approx(literal(found, true))


def test_a_hole_counts_from_inside() -> None:
    """The farthest pixel of a full disc from the same with a hole is in the middle, not on its edge."""
    true = boxes((10, 31, 10, 31))
    ring = true.copy()
    ring[15:26, 15:26] = 0
    assert agreement(ring, true).hausdorff == 6.0


def test_distances_as_scikit_image_measures_them() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, b = (boxes((r, r + h, c, c + w)) for r, c, h, w in rng.integers(1, 20, (2, 4)))
        expected = hausdorff_distance(a > 0, b > 0)
        assert agreement(a, b).hausdorff == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_definition_written_out(seed: int) -> None:
    """On random shapes of all kinds: overlapping, apart, in several pieces, with holes, at the border."""
    rng = np.random.default_rng(seed)

    def scene() -> Labels:
        labels = np.zeros((24, 32), np.int64)
        for label in range(1, int(rng.integers(2, 7))):
            top, left, height, width = rng.integers(0, (20, 28, 12, 12))
            labels[top : top + height + 1, left : left + width + 1] = label
        labels[rng.random(labels.shape) < 0.15] = 0
        return labels

    found, true = scene(), scene()
    assert figures(found, true) == pytest.approx(literal(found, true))


def test_many_images_are_pooled_object_by_object() -> None:
    """Equal to one large image with the images far apart from each other: sums, not means over images."""
    true, found = boxes((0, 10, 0, 10)), boxes((0, 10, 0, 12))
    more, missed = boxes((0, 20, 0, 20), (25, 35, 0, 10)), boxes((0, 20, 0, 20))
    both = pooled([agreement(found, true), agreement(missed, more)])
    assert (both.true_positives, both.false_positives, both.false_negatives) == (2, 0, 1)
    assert both.f1 == pytest.approx(4 / 5)
    dice = ((120 * 200 / 220 + 400) / 520 + (100 * 200 / 220 + 400) / 600) / 2
    assert both.dice == pytest.approx(dice)
    assert pooled([]) == Agreement()


def test_an_image_without_a_finding_weighs_by_its_glands() -> None:
    blank = agreement(boxes(), boxes((0, 10, 0, 30)), nothing_to_compare=72.0)
    perfect = agreement(boxes((0, 10, 0, 10)), boxes((0, 10, 0, 10)))
    assert pooled([blank, perfect]).hausdorff == pytest.approx((0 + 72 * 300 / 400) / 2)


def test_detection_gland_by_gland() -> None:
    true = boxes((0, 10, 0, 10), (20, 30, 20, 50), (35, 38, 0, 3))
    found = boxes((0, 10, 0, 6), (20, 30, 20, 34))
    areas, is_detected = detected(found, true)
    assert areas.tolist() == [100, 300, 9]
    assert is_detected.tolist() == [True, False, False]


def test_negative_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"0 for background and above for objects, found -1\."):
        agreement(boxes() - 1, boxes())
