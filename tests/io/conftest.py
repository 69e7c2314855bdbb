"""A slide to write, and files that once failed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import OutputSlide


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of files that once failed; tests that read them are skipped without it."""
    folder = Path(__file__).parents[3] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/cases is missing")
    return folder


@pytest.fixture
def as_file(tmp_path: Path) -> Iterator[Callable[[bytes], BinaryIO]]:
    """Make an opened file of bytes."""
    with ExitStack() as stack:

        def opened(content: bytes) -> BinaryIO:
            (tmp_path / "content").write_bytes(content)
            return stack.enter_context((tmp_path / "content").open("rb"))

        yield opened


@pytest.fixture(scope="session")
def finished_pixels() -> np.ndarray:
    """Three levels with odd sides, and no two tiles alike."""
    y, x = np.mgrid[:1301, :2101].astype(np.float32)
    waves = (np.sin(x / 300) * np.cos(y / 200), np.sin(y / 150), np.cos((x + 2 * y) / 400))
    return (127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="session")
def finished_levels(finished_pixels: np.ndarray) -> list[np.ndarray]:
    """What the three levels of a written slide must hold: means over 2 x 2 pixels of the level above."""
    image = Image.fromarray(finished_pixels)
    return [np.asarray(level) for level in (image, image.reduce(2), image.reduce(2).reduce(2))]


@pytest.fixture
def finished_slide(finished_pixels: np.ndarray) -> OutputSlide:
    """A slide with everything that a file can carry."""
    mpp, profile = Mpp(0.25, 0.2600001), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    record = Provenance("1.0", SUPER_RESOLVED, "a & b.svs", (2.0, 2.0), mpp, 40.0, "iste-fast", "ab" * 32)
    label, macro = np.full((40, 50, 3), 200, np.uint8), np.full((30, 90, 3), 100, np.uint8)

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        (x, y), (width, height) = l0_xy, size_xy
        return finished_pixels[y : y + height, x : x + width]

    associated = {"label": label, "macro": macro}
    return OutputSlide((2101, 1301), read, record, mpp, 40.0, profile, associated=associated)
