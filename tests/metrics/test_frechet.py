"""The Frechet distance against its formula, against published code, and for singular covariances."""

import numpy as np
import pytest
import torch
from scipy import linalg

from histoscale.errors import InputError
from histoscale.metrics.frechet import FeatureMoments, distance_of_gaussians, frechet_distance


def features(seed: int, n: int = 200, d: int = 16, shift: float = 0.0) -> np.ndarray:
    """Correlated features with a spread that differs from direction to direction."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.geomspace(0.01, 3, d) + shift


def moments(*batches: np.ndarray) -> FeatureMoments:
    found = FeatureMoments(batches[0].shape[1])
    for batch in batches:
        found.add(batch)
    return found


def written_out(first: np.ndarray, second: np.ndarray) -> float:
    """The formula as Heusel et al. print it, by a root of the product."""
    s1, s2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    step = first.mean(axis=0) - second.mean(axis=0)
    return float(step @ step + np.trace(s1 + s2 - 2 * linalg.sqrtm(s1 @ s2).real))


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_equals_the_printed_formula(shift: float) -> None:
    first, second = features(1), features(2, 300, shift=shift)
    found = frechet_distance(moments(first), moments(second))
    assert found == pytest.approx(written_out(first, second), rel=1e-9)
    assert found == pytest.approx(frechet_distance(moments(second), moments(first)), rel=1e-12)


def test_equals_monai() -> None:
    published = pytest.importorskip("monai.metrics.fid", reason="monai is not installed")
    first, second = features(3), features(4)
    expected = published.get_fid_score(torch.from_numpy(first), torch.from_numpy(second))
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(float(expected), rel=1e-6)


def test_equals_torch_fidelity() -> None:
    published = pytest.importorskip(
        "torch_fidelity.metric_fid", reason="torch-fidelity is not installed, or its dependency torchvision"
    )
    first, second = features(3), features(4)
    statistics = [{"mu": m.mean, "sigma": m.covariance} for m in (moments(first), moments(second))]
    expected = published.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(expected, rel=1e-7)


def test_one_dimension_equals_the_distance_of_two_normal_distributions() -> None:
    one, other = np.array([[2.0]]), np.array([[9.0]]) ** 2
    found = distance_of_gaussians(np.array([1.0]), one, np.array([4.0]), other)
    assert found == pytest.approx(3**2 + (np.sqrt(2) - 9) ** 2)


def test_singular_covariances() -> None:
    """Rank 5 of 64: the root of the product is where other implementations add a multiple of the identity."""
    rng = np.random.default_rng(5)
    first, second = (rng.normal(size=(400, 5)) @ rng.normal(size=(5, 64)) for _ in range(2))
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    none = np.zeros(64)
    assert distance_of_gaussians(none, covariances[0], none, covariances[0]) == pytest.approx(0, abs=1e-10)
    apart = distance_of_gaussians(none, covariances[0], none, np.zeros((64, 64)))
    assert apart == pytest.approx(np.trace(covariances[0]))
    # By an orthonormal basis of both row spaces the same problem has full rank on each side's own directions.
    basis = linalg.orth(np.concatenate([first, second]).T)
    small = [basis.T @ c @ basis for c in covariances]
    expected = sum(map(np.trace, small)) - 2 * np.sqrt(np.abs(np.linalg.eigvals(small[0] @ small[1]))).sum()
    assert distance_of_gaussians(none, covariances[0], none, covariances[1]) == pytest.approx(
        expected, rel=1e-6
    )


def test_equal_moments_are_at_no_distance() -> None:
    same = moments(features(6))
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-9)


def test_batches_do_not_matter() -> None:
    # A mean a million times the spread: sums of squares would have lost every digit of the covariance.
    data = np.random.default_rng(7).normal(size=(301, 8)) + 1e6
    streamed = moments(*np.array_split(data, 50), data[:0])
    assert streamed.n == 301
    np.testing.assert_allclose(streamed.mean, data.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(streamed.covariance, np.cov(data, rowvar=False), rtol=1e-8, atol=1e-9)


def test_memory_does_not_grow() -> None:
    found = moments(features(8))
    before = sum(value.nbytes for value in vars(found).values() if isinstance(value, np.ndarray))
    for seed in range(5):
        found.add(features(seed))
    assert before == sum(value.nbytes for value in vars(found).values() if isinstance(value, np.ndarray))


def test_too_few_images_are_refused() -> None:
    enough, few = moments(features(9, n=17)), moments(features(9, n=16))
    assert frechet_distance(enough, enough) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match=r"16 features needs more than 16 .* found 16\.$"):
        frechet_distance(enough, few)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="length 16, found 15"):
        moments(features(1)).add(features(1, d=15))
    with pytest.raises(InputError, match="NaN or infinity"):
        moments(np.full((3, 4), np.nan))
    with pytest.raises(InputError, match="one length, found 16 and 15"):
        frechet_distance(moments(features(1)), moments(features(1, d=15)))
