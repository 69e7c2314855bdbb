"""Frechet distance of two sets of pictures: how far apart the Gaussians lie that fit their features.

``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` of means m and covariances S (Heusel et al., GANs Trained by a
Two Time-Scale Update Rule, NeurIPS 2017, Eq. 6; Dowson and Landau, J. Multivariate Anal. 12, 1982). FID is
its name with the features of one network and one file of weights only. It falls as the number of pictures
grows: compare distances of the same features at about the same number only.
"""

import numpy as np
from jaxtyping import Float

from histoscale.errors import InputError


class FeatureMoments:
    """Mean and covariance of feature vectors, gathered batch by batch in memory that does not grow.

    Batches are joined by the update of Chan, Golub and LeVeque (COMPSTAT 1982), which loses no digits to
    a mean that is large beside its spread.

    Args:
        dimension: length of a vector.

    Attributes:
        n: vectors seen.
        mean: of them; zeros before the first.
    """

    def __init__(self, dimension: int):
        self.n = 0
        self.mean: Float[np.ndarray, " d"] = np.zeros(dimension)
        self._scatter: Float[np.ndarray, "d d"] = np.zeros((dimension, dimension))

    def add(self, features: Float[np.ndarray, "n d"]) -> None:
        """Take in one vector a row.

        Raises:
            InputError: if the vectors have another length or are not finite.
        """
        if features.shape[1] != len(self.mean) or not np.isfinite(features).all():
            raise InputError(
                f"Wanted finite feature vectors of length {len(self.mean)}, got "
                f"{'not finite ones' if features.shape[1] == len(self.mean) else features.shape[1]}."
            )
        if not len(features):
            return
        batch = features.astype(np.float64)
        mean = batch.mean(axis=0)
        centred, step, n = batch - mean, mean - self.mean, self.n + len(batch)
        self._scatter += centred.T @ centred + np.outer(step, step) * (self.n * len(batch) / n)
        self.mean = self.mean + step * (len(batch) / n)
        self.n = n

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """Of the sample (divided by n - 1)."""
        return self._scatter / max(self.n - 1, 1)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """The distance, in squared units of the features; 0 for equal moments.

    Raises:
        InputError: if the features differ in length, or either set has too few pictures: covariances of d
            features have full rank from d + 1 pictures on, and below that the distance is mostly bias.
    """
    dimension, n = len(first.mean), min(first.n, second.n)
    if len(second.mean) != dimension:
        raise InputError(f"Wanted features of one length, got {dimension} and {len(second.mean)}.")
    if n <= dimension:
        raise InputError(
            f"A Frechet distance of {dimension} features needs more than {dimension} pictures or patches "
            f"on either side for covariances of full rank, got {n}."
        )
    return distance_of_gaussians(first.mean, first.covariance, second.mean, second.covariance)


def distance_of_gaussians(
    mean1: Float[np.ndarray, " d"],
    covariance1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, " d"],
    covariance2: Float[np.ndarray, "d d"],
) -> float:
    """The formula itself, also for covariances that are singular.

    With ``S = A A^T`` for both, ``Tr (S1 S2)^(1/2)`` is the sum of the singular values of ``A1^T A2``: no
    root of a product, which is not symmetric, is ever taken.
    """
    overlap = np.linalg.svd(root(covariance1).T @ root(covariance2), compute_uv=False).sum()
    apart = np.square(mean1 - mean2).sum()
    distance = apart + np.trace(covariance1) + np.trace(covariance2) - 2 * overlap
    return max(float(distance), 0.0)  # equal moments may come out at -1e-15


def root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """``A`` with ``A A^T`` the covariance; what rounding leaves of its zero eigenvalues is zero."""
    values, vectors = np.linalg.eigh(covariance)
    noise = values[-1] * len(values) * np.finfo(np.float64).eps
    return np.asarray(vectors * np.sqrt(np.where(values > noise, values, 0.0)))
