"""Every format and layout in other people's readers: the right size, levels and micrometres.

Readers that are not installed are skipped: ``pip install large-image[all]``; for Bio-Formats java and
``$BIOFORMATS_JAR``, the path of bioformats_package.jar.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from histoscale.slides.finished_slide import Encoding, FinishedSlide
from histoscale.slides.pyramid_writer import write_slide

Sizes = tuple[tuple[int, int], ...]
LEVELS: Sizes = ((2101, 1301), (1051, 651), (526, 326))
MPP = (0.25, 0.2600001)

OME = ("x.ome.tiff", Encoding(layout="ome"))
OPENSLIDE = ("x.ome.tiff", Encoding(layout="openslide"))
BOTH = ("x.ome.tiff", Encoding(layout="both"))
ZARR = ("x.ome.zarr", Encoding("zstd"))
DICOM = ("x.dcm", Encoding())


class Seen(NamedTuple):
    """What a reader says of a slide; None where it has no word for it."""

    levels: Sizes | None
    mpp: tuple[float, float] | None


def by_tifffile(path: Path) -> Seen:
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffFile(path) as tiff:
        levels = tuple(level.shape[1::-1] for level in tiff.series[0].levels)
        return Seen(levels, physical_size(tiff.ome_metadata))


def by_openslide(path: Path) -> Seen:
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path / "level-0.dcm" if path.is_dir() else path) as slide:
        mpp = [float(slide.properties[f"openslide.mpp-{axis}"]) for axis in "xy"]
        return Seen(slide.level_dimensions, (mpp[0], mpp[1]))


def by_zarr(path: Path) -> Seen:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="r")
    (scales,) = group.attrs["ome"]["multiscales"]
    levels = tuple(group[level["path"]].shape[:0:-1] for level in scales["datasets"])
    _, y, x = scales["datasets"][0]["coordinateTransformations"][0]["scale"]
    return Seen(levels, (x, y))


def by_wsidicom(path: Path) -> Seen:
    wsidicom = pytest.importorskip("wsidicom")
    with wsidicom.WsiDicom.open(path) as slide:
        levels = tuple((level.size.width, level.size.height) for level in slide.levels)
        return Seen(levels, (slide.mpp.width, slide.mpp.height))


def by_large_image(path: Path) -> Seen:
    large_image = pytest.importorskip("large_image")
    known = large_image.open(str(path / "level-0.dcm" if path.suffix == ".dcm" else path)).getMetadata()
    return Seen(((known["sizeX"], known["sizeY"]),), (known["mm_x"] * 1000, known["mm_y"] * 1000))


def by_bioformats(path: Path) -> Seen:
    jar = os.environ.get("BIOFORMATS_JAR")
    if not jar or shutil.which("java") is None:
        pytest.skip("Bio-Formats needs java and $BIOFORMATS_JAR")
    command = [
        "java",
        "-cp",
        jar,
        "loci.formats.tools.ImageInfo",
        "-nopix",
        "-no-upgrade",
        "-noflat",
        "-omexml",
    ]
    file = path / "level-0.dcm" if path.is_dir() else path
    said = subprocess.run([*command, str(file)], check=True, capture_output=True, text=True).stdout
    first = said.split("Series #1")[0]
    widths = re.findall(r"sizeX\[\d+\] = (\d+)", first) or re.findall(r"Width = (\d+)", first)
    full = LEVELS[0]
    found = re.search(r"Width = (\d+)\s+Height = (\d+)", first)
    assert found
    assert (int(found[1]), int(found[2])) == full
    levels = tuple(next(size for size in LEVELS if size[0] == int(width)) for width in widths)
    return Seen(levels, physical_size(said[said.index("<OME") : said.index("</OME>") + 6]))


def physical_size(xml: str) -> tuple[float, float]:
    """Micrometres per pixel of the first image in OME-XML."""
    pixels = next(element for element in ElementTree.fromstring(xml).iter() if element.tag.endswith("Pixels"))
    unit = {"mm": 1000.0, "µm": 1.0}
    x, y = (
        float(pixels.attrib[f"PhysicalSize{axis}"]) * unit[pixels.get(f"PhysicalSize{axis}Unit", "µm")]
        for axis in "XY"
    )
    return x, y


Reader = Callable[[Path], Seen]
QUICK: list[tuple[Reader, list[tuple[str, Encoding]]]] = [
    (by_tifffile, [OME, BOTH]),
    (by_openslide, [OPENSLIDE, BOTH, DICOM]),
    (by_zarr, [ZARR]),
    (by_wsidicom, [DICOM]),
    (by_large_image, [OME, OPENSLIDE, BOTH, DICOM]),
]
PAIRS = [
    *((reader, *case) for reader, cases in QUICK for case in cases),
    *(pytest.param(by_bioformats, *case, marks=pytest.mark.slow) for case in (OME, BOTH, DICOM)),
]


def named(value: object) -> str | None:
    return value.layout if isinstance(value, Encoding) else getattr(value, "__name__", None)


@pytest.mark.parametrize(("reader", "name", "encoding"), PAIRS, ids=named)
def test_a_reader_sees_size_levels_and_micrometres(
    tmp_path: Path, finished_slide: FinishedSlide, reader: Reader, name: str, encoding: Encoding
) -> None:
    write_slide(tmp_path / name, finished_slide, encoding, tmp_path / "scratch", overwrite=False)
    seen = reader(tmp_path / name)
    assert seen.levels == (LEVELS[:1] if reader is by_large_image else LEVELS)
    assert seen.mpp == pytest.approx(MPP, rel=1e-6)


def test_openslide_sees_no_lower_levels_in_the_standard_layout(
    tmp_path: Path, finished_slide: FinishedSlide
) -> None:
    name, encoding = OME
    write_slide(tmp_path / name, finished_slide, encoding, tmp_path / "scratch", overwrite=False)
    assert by_openslide(tmp_path / name).levels == LEVELS[:1]
