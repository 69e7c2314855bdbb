"""The ResNet that classifies patches, its input and its output."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from histoscale.experiments.downstream.training import monai_network, normalised
from histoscale.experiments.images import as_batch
from histoscale.resources import Precision

DARKEST = 1 / 255
"""Colours are clipped to this, so that every pixel has an optical density."""


def build_classifier(depth: int) -> nn.Module:
    """Build MONAI's ResNet (He et al., CVPR 2016) for RGB patches, with one output: the logit of positive.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    # MONAI's first convolution has stride 1, which quadruples the work; that of He et al. has stride 2.
    network = monai_network("resnet", f"resnet{depth}")(
        spatial_dims=2,
        n_input_channels=3,
        num_classes=1,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
    )
    return cast(nn.Module, network.to(memory_format=torch.channels_last))


def logits(network: nn.Module, batch: Float[Tensor, "b 3 h w"], precision: Precision) -> Float[Tensor, " b"]:
    """Compute the logits of patches in [0, 1]."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
        output = network(normalised(batch))
    return cast(Tensor, output[:, 0].float())


@torch.inference_mode()
def classify(
    network: nn.Module, pixels: UInt8[np.ndarray, "b h w 3"], device: torch.device, precision: Precision
) -> Float[Tensor, " b"]:
    """Compute the probability of the positive class; the network must be in evaluation mode."""
    return torch.sigmoid(logits(network, as_batch(pixels).to(device), precision)).cpu()


def augment(
    batch: Float[Tensor, "b 3 h w"], jitter: float, random: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Rotate and mirror each patch at random, and change how strongly each channel absorbs.

    Args:
        jitter: largest relative change of a channel's optical density.
    """
    # One of the eight symmetries of a square for each patch: four rotations, each of them mirrored or not.
    turns = torch.randint(0, 8, (len(batch),), generator=random).tolist()
    rotated = [
        torch.rot90(x.flip(-1) if turn > 3 else x, turn % 4, (1, 2))
        for x, turn in zip(batch, turns, strict=True)
    ]
    factors = 1 + jitter * (2 * torch.rand(len(batch), 3, 1, 1, generator=random) - 1)
    # A power of the colour is a multiple of the optical density (Beer-Lambert law).
    return torch.stack(rotated).clamp(min=DARKEST) ** factors.to(batch.device)
