"""Fixtures shared by all tests: the data bundle, seeds and thread counts."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data bundle; skips where ``$HISTOSCALE_DATA`` does not name one."""
    root = os.environ.get("HISTOSCALE_DATA")
    if not root or not (Path(root) / "manifest.csv").is_file():
        pytest.skip("$HISTOSCALE_DATA does not name a folder with manifest.csv")
    return Path(root)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)
