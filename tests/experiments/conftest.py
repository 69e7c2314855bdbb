"""Small untrained weights, three images, and scores written by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from histoscale.experiments.scoring import Score
from tests.small import TINY, write_images, write_weights

Scored = Callable[..., Score]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edsr-x2 and edsr-x3, and two seeds of iste-fast: a, b."""
    path = tmp_path_factory.mktemp("weights")
    for scale in (2, 3):
        write_weights(path / f"edsr-x{scale}.safetensors", "edsr", scale, scale=scale, blocks=1, channels=8)
    for seed, name in enumerate("ab"):
        write_weights(path / f"{name}.safetensors", "iste-fast", seed, **TINY)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images."""
    return write_images(tmp_path / "tissue", "pqr", (60, 48))


@pytest.fixture
def scored() -> Scored:
    """A score whose four figures follow from one."""

    def make(model: str, image: str, psnr: float, scale: float = 2.0, **others: Any) -> Score:
        about = {"dataset": "glas", "prep": "FFPE", "degradation": "B", **others}
        return Score(
            **{
                "image": image,
                "scale": scale,
                "model": model,
                "psnr_shaved": psnr,
                "psnr_whole": psnr + 1,
                "ssim": psnr / 100,
                "ssim_gaussian": psnr / 110,
                **about,
            }
        )

    return make
