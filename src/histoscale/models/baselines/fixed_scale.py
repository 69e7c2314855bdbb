"""Models of one integer scale: EDSR, RDN and SwinIR as published, with a pixel-shuffle upsampler."""

from abc import abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError, ScaleError
from histoscale.models.base import SuperResolver
from histoscale.models.encoders.edsr import EDSREncoder
from histoscale.models.encoders.rdn import RDNEncoder
from histoscale.models.encoders.registry import Encoder
from histoscale.models.encoders.swinir import SwinIREncoder, crop, pad_to_windows

SHUFFLE_FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}
"""The supported scales and the factors of their pixel shuffles."""

Colour = Sequence[float]
GREY: Colour = (0.5, 0.5, 0.5)


def upsampler(channels: int, scale: int) -> nn.Sequential:
    """Build a conv3x3 to r^2 times the channels and a pixel shuffle per factor r, then a conv3x3 to RGB."""
    layers: list[nn.Module] = []
    for factor in SHUFFLE_FACTORS[scale]:
        layers += [nn.Conv2d(channels, channels * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1))


class FixedScale(SuperResolver):
    """A model whose output is exactly ``scale`` times the size of the image.

    Args:
        scale: 2, 3 or 4.

    Raises:
        ConfigError: for another scale.
    """

    scale: int

    def __init__(self, scale: int):
        super().__init__()
        if scale not in SHUFFLE_FACTORS:
            raise ConfigError(f"scale is {scale}: a fixed-scale model is built for 2, 3 or 4.")
        self.scale = scale

    @abstractmethod
    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size."""

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        """Super-resolve ``image`` to ``size``, which must be ``scale`` times its own.

        Raises:
            ScaleError: for any other size.
        """
        possible = (image.shape[2] * self.scale, image.shape[3] * self.scale)
        if tuple(size) != possible:
            raise ScaleError(
                f"This model supports only x{self.scale}: expected a size of {possible[0]} x {possible[1]} "
                f"pixels, found {size[0]} x {size[1]}."
            )
        return self.upscale(image)


class Upsampled(FixedScale):
    """Encoder features, upsampled by convolution and pixel shuffle.

    Args:
        encoder: the encoder.
        scale: 2, 3 or 4.
        mean: the colour that the network receives as zero; its zero padding thus has this colour.

    Raises:
        ConfigError: for another scale, or a mean that is not a colour.
    """

    def __init__(self, encoder: Encoder, scale: int, mean: Colour = GREY):
        super().__init__(scale)
        if len(mean) != len(GREY):
            raise ConfigError(f"mean is {mean!r}: it must be a colour of three numbers.")
        self.encoder = encoder
        self.mean = tuple(mean)
        self.upsampler = upsampler(encoder.channels, scale)
        # The convolutions of the upsampler reach 1 pixel, then half a pixel or less on each finer grid.
        self.halo_px = encoder.halo_px + 2
        self.alignment_px = encoder.alignment_px

    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size."""
        mean = image.new_tensor(self.mean).view(3, 1, 1)
        out: Tensor = self.upsampler(self.encoder((image - mean) / 0.5))
        return out * 0.5 + mean


class EDSR(Upsampled):
    """EDSR (Lim et al., CVPR Workshops 2017).

    Args:
        scale: 2, 3 or 4.
        blocks, channels, residual_scale: 16, 64, 1 for EDSR-baseline; 32, 256, 0.1 for the full EDSR.
        mean: see `Upsampled`; grey as in LIIF's training, the mean of DIV2K for the authors' weights.
    """

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 16,
        channels: int = 64,
        residual_scale: float = 1.0,
        mean: Colour = GREY,
    ):
        super().__init__(EDSREncoder(blocks, channels, residual_scale), scale, mean)


class RDN(Upsampled):
    """RDN (Zhang et al., CVPR 2018), configuration B.

    Args:
        scale: 2, 3 or 4.
        blocks, channels: dense blocks and their width.
        mean: see `Upsampled`; black for weights that were trained without normalisation.
    """

    def __init__(self, scale: int = 4, blocks: int = 16, channels: int = 64, mean: Colour = GREY):
        super().__init__(RDNEncoder(blocks, channels), scale, mean)


class SwinIR(Upsampled):
    """SwinIR-M for classical super-resolution (Liang et al., ICCV Workshops 2021).

    Args:
        scale: 2, 3 or 4.
        blocks, channels, embedding: residual Swin blocks, channels of the upsampler and of the encoder.
        mean: see `Upsampled`; the mean of DIV2K for the authors' weights.
        padded_as_published: pad the image by 1 to 8 pixels as the authors' test script does, and crop the
            upscaled image. If False, the encoder pads by 0 to 7 pixels and crops its features.
    """

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 6,
        channels: int = 64,
        embedding: int = 180,
        mean: Colour = GREY,
        padded_as_published: bool = False,
    ):
        super().__init__(SwinIREncoder(blocks, channels, embedding=embedding), scale, mean)
        self.padded_as_published = padded_as_published

    def upscale(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Upscale ``image`` to ``scale`` times its size."""
        if not self.padded_as_published:
            return super().upscale(image)
        h, w = image.shape[-2:]
        return crop(super().upscale(pad_to_windows(image, least_px=1)), h * self.scale, w * self.scale)
