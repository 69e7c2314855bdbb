"""Pairs: sizes, alignment of the two patches, reproducibility, errors."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from histoscale.data.gpu_pairs import DevicePairs
from histoscale.data.pairs import Pair, PairDataset, PairRecipe, augment
from histoscale.data.pillow_degradation import compress_jpeg
from histoscale.errors import DataError
from histoscale.imaging.resize import bicubic_points, bicubic_resize

RNG = np.random.default_rng(0)
SMOOTH = [
    np.asarray(RNG.integers(0, 255, (6, 7, 3)), dtype=np.uint8).repeat(40, 0).repeat(40, 1) for _ in range(3)
]


def dataset(**recipe: object) -> PairDataset:
    return PairDataset(SMOOTH, PairRecipe(**recipe), batch=4, seed=3)  # type: ignore[arg-type]


def same(one: Pair, other: Pair) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_whole_patch_sizes_follow_the_scale() -> None:
    pair = dataset(scales=(2.5,))[0]
    assert pair.lr.shape == (3, 48, 48)
    assert pair.target.shape == (3, 120, 120)
    assert pair.cell.tolist() == [0.4, 0.4]


def test_patch_shrinks_where_the_target_would_be_too_large() -> None:
    pair = dataset(scales=(8.0,))[0]
    assert pair.lr.shape == (3, 24, 24)
    assert pair.target.shape == (3, 192, 192)


def test_scales_are_uniform_between_the_bounds() -> None:
    scales = [1 / dataset(scale_per="sample", queries=16)[i].cell[0].item() for i in range(300)]
    assert 1 <= min(scales) < 1.2
    assert 3.8 < max(scales) <= 4
    assert np.mean(scales) == pytest.approx(2.5, abs=0.2)


def test_one_scale_per_batch_or_per_sample() -> None:
    per_batch = [float(dataset()[i].cell[0]) for i in range(8)]
    assert len(set(per_batch[:4])) == 1
    assert per_batch[0] != per_batch[4]
    assert len({float(dataset(scale_per="sample", queries=9)[i].cell[0]) for i in range(12)}) > 8


def test_sampled_pixels_are_distinct_and_at_their_positions() -> None:
    """On blocks of one colour the interpolated low-resolution patch equals the targets."""
    pair = dataset(scales=(2.0,), queries=2304, degradations={"none": 1.0})[5]
    assert pair.target.shape == (2304, 3)
    assert len({tuple(p) for p in pair.positions.tolist()}) == 2304
    image = pair.lr[None].double() / 255
    there = bicubic_points(image, pair.positions[None])[0]
    assert (there - pair.target / 255).abs().median() < 0.01


def test_low_and_high_resolution_are_flipped_alike() -> None:
    for number in range(12):
        pair = dataset(scales=(4.0,), degradations={"none": 1.0})[number]
        reduced = bicubic_resize(pair.target[None].double() / 255, (48, 48))[0]
        assert (reduced - pair.lr / 255).abs().mean() < 0.004


def test_augmentation_reaches_all_eight_positions() -> None:
    corner = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, 2)
    seen = {augment(corner, corner, np.random.default_rng(i))[0][..., 0].tobytes() for i in range(100)}
    assert len(seen) == 8


def test_the_same_number_is_the_same_pair_and_seeds_differ() -> None:
    recipe = PairRecipe(degradations={"B": 0.5, "none": 0.5}, noise_sigma=3.0, jpeg_share=0.5)
    one, again = (PairDataset(SMOOTH, recipe, 4, 3) for _ in range(2))
    assert all(same(one[i], again[i]) for i in range(6))
    assert not same(one[0], PairDataset(SMOOTH, recipe, 4, 4)[0])
    assert not same(one[0], one[1])


def test_any_number_of_workers_gives_the_same_batches() -> None:
    data = dataset()
    order = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    alone = list(DataLoader(data, batch_sampler=order))
    shared = list(DataLoader(data, batch_sampler=order, num_workers=2))
    assert all(same(Pair(*a), Pair(*b)) for a, b in zip(alone, shared, strict=True))


def test_noise_and_jpeg_touch_the_low_resolution_only() -> None:
    clean, noisy = dataset(scales=(2.0,))[0], dataset(scales=(2.0,), noise_sigma=8.0, jpeg_share=1.0)[0]
    assert torch.equal(clean.target, noisy.target)
    assert 1 < (clean.lr.float() - noisy.lr.float()).abs().mean() < 20


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(DataError, match=r"300 x 100 .* 192 pixels"):
        PairDataset([np.zeros((100, 300, 3), np.uint8)], PairRecipe(), 4, 0)


def on_device(**recipe: object) -> DevicePairs:
    return DevicePairs(SMOOTH, PairRecipe(**recipe), 2, 7, torch.device("cpu"))  # type: ignore[arg-type]


def test_pairs_made_on_the_device_have_the_same_properties() -> None:
    pairs = on_device(scales=(4.0,), degradations={"none": 1.0})
    assert same(pairs.make(3), on_device(scales=(4.0,), degradations={"none": 1.0}).make(3))
    assert same(next(pairs.batches(3)), pairs.make(3))
    pair = pairs.make(0)
    reduced = bicubic_resize(pair.target.double() / 255, (48, 48))
    assert (reduced - pair.lr / 255).abs().mean() < 0.004
    sampled = on_device(scales=(2.0,), queries=500, degradations={"none": 1.0}).make(1)
    there = bicubic_points(sampled.lr.double() / 255, sampled.positions)
    assert (there - sampled.target / 255).abs().median() < 0.01


def test_pairs_on_the_device_refuse_unsupported_settings() -> None:
    with pytest.raises(DataError, match="no noise, no JPEG"):
        on_device(noise_sigma=1.0)


def test_jpeg_blocks_may_start_anywhere() -> None:
    """At a low quality the steps between columns are largest at block borders, wherever those lie."""
    soft = np.broadcast_to(np.linspace(20, 235, 48)[None, :, None], (48, 48, 3)).astype(np.uint8)
    for offset in (0, 3):
        steps = np.abs(np.diff(compress_jpeg(soft, 3, (0, offset)).astype(float), axis=1)).mean(axis=(0, 2))
        borders = (np.arange(1, 48) + offset) % 8 == 0
        assert steps[borders].mean() > 2 * steps[~borders].mean()


def test_without_augmentation_patches_are_not_flipped() -> None:
    """Patches of an image that is brighter at the bottom and redder on the right have these gradients too."""
    ramp = np.zeros((60, 70, 3), dtype=np.uint8)
    ramp[..., 0] = 3 * np.arange(70)
    ramp[..., 1] = 4 * np.arange(60)[:, None]
    recipe = PairRecipe(scales=(2.0,), patch_px=12, augment=False)
    on_device = DevicePairs([ramp], recipe, 6, 0, torch.device("cpu")).make(0).target
    for target in (*on_device, *(PairDataset([ramp], recipe, 4, 3)[i].target for i in range(6))):
        red, green = target[0].float(), target[1].float()
        assert (red.diff(dim=1) > 0).all()
        assert (green.diff(dim=0) > 0).all()
