"""Windows of one size, blended: shares, borders, and a network that depends on the size of its input."""

import pytest
import torch
from torch import Tensor

from histoscale.models.windows import fade, in_windows, spans


def less_its_mean(x: Tensor) -> Tensor:
    """Double the size; every pixel depends on the whole input."""
    y = x - x.mean(dim=(2, 3), keepdim=True)
    return y.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 10, 14, 15, 31])
def test_shares_of_all_windows_sum_to_one(n: int) -> None:
    total = torch.zeros(3 * n, dtype=torch.float64)
    for span in spans(n, window_px=8, overlap_px=2):
        assert span.start % 6 == 0
        assert span.stop - span.start > 2 or n <= 2
        total[3 * span.start : 3 * span.stop] += fade(span, n, overlap_px=2, scale=3)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_one_window_is_the_network_itself() -> None:
    image = torch.rand(2, 3, 8, 5)
    assert torch.equal(in_windows(less_its_mean, image, 8, 2, scale=2), less_its_mean(image))


def test_two_windows_fade_into_each_other() -> None:
    image = torch.rand(1, 3, 4, 10, dtype=torch.float64)
    left, right = less_its_mean(image[..., :8]), less_its_mean(image[..., 6:])
    made = in_windows(less_its_mean, image, 8, 2, scale=2)
    assert torch.equal(made[..., :12], left[..., :12])
    assert torch.equal(made[..., 16:], right[..., 4:])
    for i in range(4):
        share = (i + 0.5) / 4
        blend = (1 - share) * left[..., 12 + i] + share * right[..., i]
        torch.testing.assert_close(made[..., 12 + i], blend)


def test_a_tile_that_starts_at_a_window_has_the_same_windows() -> None:
    image = torch.rand(1, 3, 8, 40, dtype=torch.float64)
    whole = in_windows(less_its_mean, image, 8, 2, scale=2)
    tile = in_windows(less_its_mean, image[..., 6:24], 8, 2, scale=2)  # core 12 to 18
    assert torch.equal(tile[..., 12:24], whole[..., 24:36])


def test_windows_are_extended_by_reflection_to_the_multiple() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    image = torch.arange(5.0).repeat(1, 3, 3, 1)
    made = in_windows(network, image, 16, 4, multiple_px=4)
    assert torch.equal(made, image)
    assert seen[0].shape == (1, 3, 4, 8)
    assert seen[0][0, 0, 0].tolist() == [0, 1, 2, 3, 4, 4, 3, 2]


def test_gradients_pass_through_the_blend() -> None:
    image = torch.rand(1, 3, 9, 11, requires_grad=True)
    in_windows(less_its_mean, image, 8, 2, scale=2).square().sum().backward()
    assert (image.grad != 0).all()
