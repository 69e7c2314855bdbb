"""The images of every setting."""

import numpy as np
import pytest
import torch
from PIL import Image

from histoscale import weights
from histoscale.errors import ConfigError
from histoscale.inference import upscale
from histoscale.workflows.cancer.images import low_side, make_images

CPU = torch.device("cpu")
PATCHES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


def test_each_setting() -> None:
    """Pillow's bicubic down and up; a model alone as in a batch."""
    model = weights.load("iste-fast")
    original, low, bicubic, fast = (
        make_images(name, PATCHES, 2, model if name == "fast" else None, CPU, "fp32")
        for name in ("original", "low resolution", "bicubic", "fast")
    )
    assert (original == PATCHES).all()
    for i, patch in enumerate(PATCHES):
        small = Image.fromarray(patch).resize((8, 8), Image.Resampling.BICUBIC)
        assert (low[i] == np.asarray(small)).all()
        assert (bicubic[i] == np.asarray(small.resize((16, 16), Image.Resampling.BICUBIC))).all()
        alone = upscale(model, np.asarray(small), (16, 16)).astype(int)
        assert abs(fast[i].astype(int) - alone).max() <= 1
    assert fast.shape == PATCHES.shape


def test_a_scale_that_does_not_divide() -> None:
    with pytest.raises(ConfigError, match="divides the patches' 16 pixels, got 3"):
        low_side(16, 3)
