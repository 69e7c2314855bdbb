"""Inception-v3 as used for FID: TensorFlow's network of December 2015 in the layout of pytorch-fid's weights.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016. The weights come from
TensorFlow, whose network differs from torchvision's: average pools exclude the padding, the pool of the last
block takes maxima, and the classifier, which FID does not use, has 1008 classes. Layers have the names of the
published file, so that it loads without changes.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from histoscale.models.extractors.base import FeatureExtractor

SIDE_PX = 299


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation with TensorFlow's epsilon, ReLU."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Apply convolution, normalisation and ReLU."""
        return functional.relu(self.bn(self.conv(x)))


def row(before: int, after: int) -> Convolution:
    """Build a convolution with a kernel of 1 x 7."""
    return Convolution(before, after, (1, 7), padding=(0, 3))


def column(before: int, after: int) -> Convolution:
    """Build a convolution with a kernel of 7 x 1."""
    return Convolution(before, after, (7, 1), padding=(3, 0))


def mean_pool(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Compute 3 x 3 means, at the border only of pixels inside, as in TensorFlow."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def max_pool(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Compute 3 x 3 maxima."""
    return functional.max_pool2d(x, 3, stride=1, padding=1)


class Mixed5(nn.Module):
    """Branches at 35 x 35: 1 x 1; 5 x 5; two 3 x 3; pool."""

    def __init__(self, before: int, pooled: int):
        super().__init__()
        self.branch1x1 = Convolution(before, 64)
        self.branch5x5_1 = Convolution(before, 48)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(before, 64)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(before, pooled)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        five = self.branch5x5_2(self.branch5x5_1(x))
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, twice, self.branch_pool(mean_pool(x))], dim=1)


class Mixed6a(nn.Module):
    """Branches from 35 x 35 to 17 x 17: 3 x 3; two 3 x 3; pool."""

    def __init__(self, before: int):
        super().__init__()
        self.branch3x3 = Convolution(before, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(before, 64)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), twice, functional.max_pool2d(x, 3, stride=2)], dim=1)


class Mixed6(nn.Module):
    """Branches at 17 x 17: 1 x 1; a row and a column of 7; two columns and rows of 7; pool."""

    def __init__(self, width: int):
        super().__init__()
        self.branch1x1 = Convolution(768, 192)
        self.branch7x7_1 = Convolution(768, width)
        self.branch7x7_2 = row(width, width)
        self.branch7x7_3 = column(width, 192)
        self.branch7x7dbl_1 = Convolution(768, width)
        self.branch7x7dbl_2 = column(width, width)
        self.branch7x7dbl_3 = row(width, width)
        self.branch7x7dbl_4 = column(width, width)
        self.branch7x7dbl_5 = row(width, 192)
        self.branch_pool = Convolution(768, 192)

    def forward(self, x: Float[Tensor, "b 768 h w"]) -> Float[Tensor, "b 768 h w"]:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        half = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(half))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(mean_pool(x))], dim=1)


class Mixed7a(nn.Module):
    """Branches from 17 x 17 to 8 x 8: 3 x 3; a row and a column of 7, then 3 x 3; pool."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192)
        self.branch7x7x3_2 = row(192, 192)
        self.branch7x7x3_3 = column(192, 192)
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Float[Tensor, "b 768 h w"]) -> Float[Tensor, "b 1280 i j"]:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([three, self.branch7x7x3_4(seven), functional.max_pool2d(x, 3, stride=2)], dim=1)


class Mixed7(nn.Module):
    """Branches at 8 x 8: 1 x 1; a row and a column of 3 side by side; the same after a 3 x 3; pool.

    Args:
        before: channels of the input.
        takes_maxima: whether the pool takes maxima instead of means.
    """

    def __init__(self, before: int, takes_maxima: bool):
        super().__init__()
        self.pool = max_pool if takes_maxima else mean_pool
        self.branch1x1 = Convolution(before, 320)
        self.branch3x3_1 = Convolution(before, 384)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(before, 448)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(before, 192)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2048 h w"]:
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        split = [self.branch3x3_2a(once), self.branch3x3_2b(once)]
        split += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return torch.cat([self.branch1x1(x), *split, self.branch_pool(self.pool(x))], dim=1)


class InceptionFeatures(FeatureExtractor):
    """The 2048 channel means of the last block (pool3) of images resized to 299 x 299 bilinearly."""

    name = "Inception-v3 pool3 (FID weights)"
    dimension = 2048

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = Mixed5(192, pooled=32)
        self.Mixed_5c = Mixed5(256, pooled=64)
        self.Mixed_5d = Mixed5(288, pooled=64)
        self.Mixed_6a = Mixed6a(288)
        self.Mixed_6b = Mixed6(128)
        self.Mixed_6c = Mixed6(160)
        self.Mixed_6d = Mixed6(160)
        self.Mixed_6e = Mixed6(192)
        self.Mixed_7a = Mixed7a()
        self.Mixed_7b = Mixed7(1280, takes_maxima=False)
        self.Mixed_7c = Mixed7(2048, takes_maxima=True)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2048"]:
        """Compute the features of images in [0, 1]."""
        size = (SIDE_PX, SIDE_PX)
        x = 2 * functional.interpolate(image, size, mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        pooled: Tensor = x.mean(dim=(2, 3))
        return pooled


def without_classifier(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the tensors of the classifier of 1008 classes."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
