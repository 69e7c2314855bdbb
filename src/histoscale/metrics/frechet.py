"""Frechet distance of two sets of images: the distance of the Gaussians fitted to their features.

``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` with means m and covariances S (Heusel et al., GANs Trained by
a Two Time-Scale Update Rule, NeurIPS 2017, Eq. 6; Dowson and Landau, J. Multivariate Anal. 12, 1982). Only
with the features of one network and one file of weights is it called FID. It decreases as the number of
images grows, so only distances of the same features and about the same number of images are comparable.
"""

import numpy as np
from jaxtyping import Float

from histoscale.errors import InputError


class FeatureMoments:
    """Mean and covariance of feature vectors, updated batch by batch in constant memory.

    The update is that of Chan, Golub and LeVeque (COMPSTAT 1982). It stays exact if the mean is large
    compared with the spread.

    Args:
        dimension: length of a vector.

    Attributes:
        n: number of vectors added.
        mean: mean of the vectors; zeros before the first.
    """

    def __init__(self, dimension: int):
        self.n = 0
        self.mean: Float[np.ndarray, " d"] = np.zeros(dimension)
        self._scatter: Float[np.ndarray, "d d"] = np.zeros((dimension, dimension))

    def add(self, features: Float[np.ndarray, "n d"]) -> None:
        """Add feature vectors, one per row.

        Raises:
            InputError: if the vectors have another length or are not finite.
        """
        if features.shape[1] != len(self.mean) or not np.isfinite(features).all():
            raise InputError(
                f"Expected finite feature vectors of length {len(self.mean)}, found "
                f"{'NaN or infinity' if features.shape[1] == len(self.mean) else features.shape[1]}."
            )
        if not len(features):
            return
        batch = features.astype(np.float64)
        mean = batch.mean(axis=0)
        centred, step, n = batch - mean, mean - self.mean, self.n + len(batch)
        # The scatter about the joint mean: of both parts about their own means, plus that between the means.
        self._scatter += centred.T @ centred + np.outer(step, step) * (self.n * len(batch) / n)
        self.mean = self.mean + step * (len(batch) / n)
        self.n = n

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """Covariance of the sample, divided by n - 1."""
        return self._scatter / max(self.n - 1, 1)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """Compute the distance in squared units of the features; 0 for equal moments.

    Raises:
        InputError: if the features differ in length or a set has too few images. Covariances of d features
            have full rank from d + 1 images on; with fewer images the distance is mostly bias.
    """
    dimension, n = len(first.mean), min(first.n, second.n)
    if len(second.mean) != dimension:
        raise InputError(f"Expected features of one length, found {dimension} and {len(second.mean)}.")
    if n <= dimension:
        raise InputError(
            f"A Frechet distance of {dimension} features needs more than {dimension} images or patches "
            f"in each set for covariances of full rank, found {n}."
        )
    return distance_of_gaussians(first.mean, first.covariance, second.mean, second.covariance)


def distance_of_gaussians(
    mean1: Float[np.ndarray, " d"],
    covariance1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, " d"],
    covariance2: Float[np.ndarray, "d d"],
) -> float:
    """Compute the formula, also for singular covariances.

    With ``S = A A^T`` for both, ``Tr (S1 S2)^(1/2)`` is the sum of the singular values of ``A1^T A2``. This
    avoids the root of the product, which is not symmetric.
    """
    # |m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1 S2)^(1/2), term by term.
    overlap = np.linalg.svd(root(covariance1).T @ root(covariance2), compute_uv=False).sum()
    apart = np.square(mean1 - mean2).sum()
    distance = apart + np.trace(covariance1) + np.trace(covariance2) - 2 * overlap
    return max(float(distance), 0.0)  # equal moments may give -1e-15


def root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Compute ``A`` with ``A A^T`` = the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # Eigenvalues below the rounding error are zero; some of them are negative.
    noise = values[-1] * len(values) * np.finfo(np.float64).eps
    return np.asarray(vectors * np.sqrt(np.where(values > noise, values, 0.0)))
