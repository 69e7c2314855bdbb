from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoscale.errors import DataError
from histoscale.tiling.crops import Cut
from histoscale.tiling.splits import NAMES, Split, apportion, parse_split, split_by_slide, split_by_tile


def cuts_of(**held: int) -> list[Cut]:
    return [Cut(slide, (64 * i, 0), (64, 64), 1.0) for slide, n in held.items() for i in range(n)]


def count(chosen: list[tuple[str, Cut]]) -> tuple[int, ...]:
    counts = Counter(name for name, _ in chosen)
    return tuple(counts[name] for name in NAMES)


def homes(chosen: list[tuple[str, Cut]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, cut in chosen:
        found.setdefault(cut.slide, set()).add(name)
    return found


def test_numbers_and_shares_are_distinguished() -> None:
    assert parse_split("320/40/40") == Split((320, 40, 40), are_shares=False)
    assert parse_split("80%/ 12.5% /7.5%") == Split((0.8, 0.125, 0.075), are_shares=True)
    assert parse_split("30000/0/5000") == Split((30000, 0, 5000), are_shares=False)


@pytest.mark.parametrize(
    "text", ["", "1/2", "1/2/3/4", "a/b/c", "80%/10/10", "80%/10%/5%", "0/0/0", "-1/2/3", "0.8/1/1"]
)
def test_other_splits_are_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"such as 320/40/40, or 80%/10%/10%"):
        parse_split(text)


@given(st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any), st.integers(3, 500))
def test_shares_are_given_out_whole(weights: list[int], n: int) -> None:
    shares = [weight / sum(weights) for weight in weights]
    counts = apportion(shares, n)
    assert sum(counts) == n
    assert [c > 0 for c in counts] == [s > 0 for s in shares]
    assert all(abs(c - s * n) < 2 or c == 1 for c, s in zip(counts, shares, strict=True))


def test_sub_images_are_split_as_in_the_paper() -> None:
    cuts = cuts_of(a=100, b=100, c=100, d=100, e=100)
    chosen = split_by_tile(cuts, parse_split("320/40/40"), seed=0)
    assert count(chosen) == (320, 40, 40)
    assert len({cut.id for _, cut in chosen}) == 400
    assert homes(chosen) == {slide: set(NAMES) for slide in "abcde"}


def test_shares_of_sub_images_use_all() -> None:
    assert count(split_by_tile(cuts_of(a=103), parse_split("80%/10%/10%"), seed=0)) == (83, 10, 10)
    assert count(split_by_tile(cuts_of(a=3), parse_split("80%/10%/10%"), seed=0)) == (1, 1, 1)


@pytest.mark.parametrize("split", [split_by_tile, split_by_slide])
def test_the_split_depends_on_the_seed(split) -> None:
    cuts, wanted = cuts_of(**{f"slide{i}": 20 for i in range(9)}), parse_split("60/20/20")
    assert split(cuts, wanted, 0) == split(cuts, wanted, 0)
    assert split(cuts, wanted, 0) != split(cuts, wanted, 1)


def test_slides_stay_whole_by_number() -> None:
    cuts = cuts_of(a=90, b=200, c=150, d=120, e=140)
    for seed in range(5):
        chosen = split_by_slide(cuts, parse_split("240/40/40"), seed)
        assert count(chosen) == (240, 40, 40)
        assert all(len(names) == 1 for names in homes(chosen).values())


def test_slides_stay_whole_by_share() -> None:
    chosen = split_by_slide(cuts_of(**{f"slide{i}": 5 + i for i in range(10)}), parse_split("80%/10%/10%"), 3)
    assert all(len(names) == 1 for names in homes(chosen).values())
    assert Counter(next(iter(names)) for names in homes(chosen).values()) == {"train": 8, "val": 1, "test": 1}
    assert len(chosen) == sum(5 + i for i in range(10))


def test_images_that_are_slides_of_their_own_are_all_used() -> None:
    cuts = cuts_of(**{f"core{i}": 1 for i in range(573)})
    assert count(split_by_slide(cuts, parse_split("460/57/56"), 0)) == (460, 57, 56)


def test_no_validation_set_of_size_zero() -> None:
    cuts = cuts_of(a=60, b=60, c=60)
    assert count(split_by_slide(cuts, parse_split("100/0/50"), 0)) == (100, 0, 50)


def test_too_few_slides_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"at least 3 slides .* train, val, test apart, found 2.*--split-by tile"
    ):
        split_by_slide(cuts_of(a=50, b=50), parse_split("10/2/2"), 0)


def test_too_few_sub_images_are_refused() -> None:
    for split in (split_by_tile, split_by_slide):
        with pytest.raises(DataError, match=r"at least 320 \+ 40 \+ 40 sub-images, found 60"):
            split(cuts_of(a=20, b=20, c=20), parse_split("320/40/40"), 0)
    with pytest.raises(DataError, match=r"found 0"):
        split_by_tile([], parse_split("80%/10%/10%"), 0)


def test_slides_that_hold_too_little_for_their_part_are_refused() -> None:
    with pytest.raises(DataError, match=r"200 sub-images for train, found 80"):
        split_by_slide(cuts_of(a=80, b=80, c=80), parse_split("200/10/10"), 0)
