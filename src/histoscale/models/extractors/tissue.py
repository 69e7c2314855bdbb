"""histoscale-tissue: features of H&E that depend on the tissue and on the quality of the image.

The network is not published elsewhere. It was trained with scripts/train_tissue_features.py to predict the
kind of tissue and the strength of blur, resampling, noise and JPEG. A distance of these features is not an
FID.
"""

from jaxtyping import Float
from torch import Tensor, nn

from histoscale.models.extractors.base import FeatureExtractor

LAYERS = ((3, 32, 5, 2), (32, 64, 3, 2), (64, 96, 3, 1), (96, 128, 3, 2), (128, 128, 3, 1), (128, 64, 3, 1))
"""Channels before and after, kernel and stride of each convolution."""


class TissueFeatures(FeatureExtractor):
    """The means over the image of six convolutions with normalisation and ReLU."""

    name = "histoscale-tissue"
    dimension = 64

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(convolution(*layer) for layer in LAYERS))

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Compute the features of images in [0, 1]."""
        mean: Tensor = self.layers((image - 0.5) / 0.5).mean(dim=(2, 3))
        return mean


def convolution(before: int, after: int, kernel: int, stride: int) -> nn.Sequential:
    """Build a convolution without bias, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )
