"""Bicubic as a model."""

import numpy as np
import torch
from PIL import Image

from histoscale.imaging.coords import output_positions
from histoscale.models.base import as_grid
from histoscale.models.baselines.bicubic import Bicubic


def test_equals_pillow_at_a_real_scale() -> None:
    image = torch.rand(1, 3, 12, 17)
    got = Bicubic()(image, (33, 40))
    for channel in range(3):
        expected = Image.fromarray(image[0, channel].numpy()).resize((40, 33), Image.Resampling.BICUBIC)
        torch.testing.assert_close(got[0, channel], torch.from_numpy(np.array(expected)), atol=1e-5, rtol=0)


def test_points_and_grid_agree() -> None:
    image = torch.rand(2, 3, 7, 9)
    rows, cols = output_positions(15, 7), output_positions(22, 9)
    grid = Bicubic().render(image, rows, cols, (7 / 15, 9 / 22))
    points = Bicubic().decode(image, as_grid(rows, cols).expand(2, -1, -1), torch.ones(2, 2))
    torch.testing.assert_close(points.transpose(1, 2).reshape(grid.shape), grid)
