"""The contract of every feature extractor: images in, one vector of fixed length for each."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """Turn each image into one feature vector.

    **Convention.** RGB in [0, 1], rows first. Features are comparable only with those of the same extractor
    with the same weights, so its name belongs to every figure made with it.

    Attributes:
        name: what to call the features.
        dimension: length of a vector.
    """

    name: str
    dimension: int

    @abstractmethod
    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Compute the features of each image."""
