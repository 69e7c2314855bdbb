"""Fixtures shared by all tests: the data bundle, seeds, disks that are full or read-only."""

import os
import subprocess
from collections.abc import Callable, Iterator
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory with the options given; skips where that needs rights we lack."""
    mounted = []

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a file system needs root")
        mounted.append(tmp_path)
        return tmp_path

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)
