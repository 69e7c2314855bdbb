"""MONAI's U-Net for the three classes, and its answer on a whole image."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from histoscale.errors import ConfigError
from histoscale.workflows.cases import Picture
from histoscale.workflows.glands.instances import CLASSES
from histoscale.workflows.glands.run_file import NetworkTable

MIDDLE, SPREAD = 0.5, 0.25
"""What pixels in [0, 1] are shifted and scaled by."""


def build_unet(table: NetworkTable) -> nn.Module:
    """MONAI's residual U-Net (E. Kerfoot et al., STACOM 2018) with batch norm, for RGB and three classes.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    try:
        from monai.networks.nets.unet import UNet
    except ImportError:
        raise ConfigError("The U-Net wants MONAI: pip install 'histoscale[downstream]'.") from None
    network = UNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=CLASSES,
        channels=table.channels,
        strides=(2,) * (len(table.channels) - 1),
        num_res_units=table.residual_units,
        norm="batch",
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def as_batch(pictures: list[Picture]) -> Float[Tensor, "b 3 h w"]:
    """Pictures of one size as the network takes them."""
    stacked = np.stack(pictures).astype(np.float32) / 255
    batch = (torch.from_numpy(stacked).permute(0, 3, 1, 2) - MIDDLE) / SPREAD
    return batch.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict(
    network: nn.Module, picture: Picture, size: tuple[int, int], multiple_px: int
) -> Float[np.ndarray, "3 H W"]:
    """Probabilities of the three classes for a whole picture, enlarged to ``size`` (height, width).

    Args:
        network: is left in evaluation mode.
        multiple_px: the picture's border is repeated until its sides are multiples of this.
    """
    network.eval()
    height, width = picture.shape[:2]
    pad = (0, -width % multiple_px, 0, -height % multiple_px)
    place = next(network.parameters()).device
    batch = nn.functional.pad(as_batch([picture]), pad, mode="replicate").to(place)
    answer = network(batch)[:, :, :height, :width].float().softmax(dim=1)
    if (height, width) != size:
        answer = nn.functional.interpolate(answer, size, mode="bilinear", align_corners=False)
    return cast(np.ndarray, answer[0].cpu().numpy())
