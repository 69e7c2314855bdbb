"""The contract of every feature extractor: one vector of fixed length per image."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """Turn each image into one feature vector.

    **Convention.** RGB in [0, 1], rows first. Only features of the same extractor with the same weights are
    comparable, so every result names its extractor.

    Attributes:
        name: name of the features in results.
        dimension: length of a vector.
    """

    name: str
    dimension: int

    @abstractmethod
    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Compute the features of each image."""
