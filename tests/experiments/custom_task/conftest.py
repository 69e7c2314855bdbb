"""A small manifest with masks, and a task in a file of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw


def draw_nuclei(path: Path, seed: int, side: int = 96) -> int:
    """A pink image with dark violet discs, its label image beside it; how many there are."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), (235, 190, 215))
    mask = Image.new("I;16", (side, side), 0)
    corners = [(x, y) for x in range(12, side - 8, 20) for y in range(12, side - 8, 20)]
    for label, (x, y) in enumerate(corners, start=1):
        r = int(rng.integers(5, 8))
        box = (x - r, y - r, x + r, y + r)
        ImageDraw.Draw(image).ellipse(box, fill=(80, 50, 140))
        ImageDraw.Draw(mask).ellipse(box, fill=label)
    image.save(path)
    mask.save(path.with_name(f"{path.stem}-mask.png"))
    return len(corners)


@pytest.fixture
def tissue(tmp_path: Path) -> Path:
    """Three test images; the third has no mask."""
    folder = tmp_path / "tissue"
    folder.mkdir()
    rows = ["set,split,id,file,mask,mask_kind"]
    for seed, name in enumerate(("p", "q", "r")):
        draw_nuclei(folder / f"{name}.png", seed)
        mask = "" if name == "r" else f"{name}-mask.png"
        rows.append(f"drawn,test,{name},{name}.png,{mask},nuclei instance")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """A task file of some lines, as the command line takes it."""

    def write(text: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return f"{path}:predict"

    return write
