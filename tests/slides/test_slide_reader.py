"""Real slides through OpenSlide."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from histoscale.errors import InputError
from histoscale.slides.reader import describe, read


@pytest.fixture
def aperio(data_root: Path) -> Path:
    return data_root / "wsi" / "aperio" / "CMU-1-Small-Region.svs"


def test_an_aperio_slide_describes_itself(aperio: Path) -> None:
    found = describe(aperio)
    assert found.format == "Aperio slide"
    assert found.size_xy == (2220, 2967)
    assert found.mpp == (0.499, 0.499)
    assert found.power == 20
    assert found.compression == "jpeg"
    assert set(found.associated) == {"label", "macro", "thumbnail"}


def test_levels_and_profile(data_root: Path) -> None:
    found = describe(data_root / "wsi" / "aperio" / "TCGA-CR-7395-01A-01-TS1.svs")
    assert found.levels_xy == ((4443, 3567), (2221, 1783))
    assert (found.mpp, found.power) == (None, None)
    assert len(found.icc_profile or b"") == 3144


def test_dicom(data_root: Path) -> None:
    found = describe(data_root / "wsi" / "dicom" / "multiframe_camelyon_challenge_image.dcm")
    assert (found.format, found.size_xy, found.compression) == ("DICOM slide", (1152, 700), "jpeg")
    assert found.mpp == pytest.approx((28.969, 28.968))


def test_level_zero_is_read_whole(aperio: Path) -> None:
    picture = read(aperio)
    assert picture.pixels.shape == (2967, 2220, 3)
    with openslide.OpenSlide(aperio) as slide:
        region = np.asarray(slide.read_region((700, 900), 0, (300, 400)).convert("RGB"))
    assert np.array_equal(picture.pixels[900:1300, 700:1000], region)


def test_a_slide_beyond_memory_is_refused(aperio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.slides.memory.available_bytes", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"2220 x 2967 px, too large .* 977 KiB available"):
        read(aperio)


def test_a_truncated_slide(aperio: Path, tmp_path: Path) -> None:
    cut = tmp_path / "x.svs"
    cut.write_bytes(aperio.read_bytes()[:200_000])
    with pytest.raises(InputError, match=r"x\.svs is "):
        read(cut)
