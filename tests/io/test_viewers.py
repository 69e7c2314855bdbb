"""Every format and layout in other people's readers: the right size, levels and micrometres.

Readers that are not installed are skipped: ``pip install large-image[all]``; for Bio-Formats java and
``$BIOFORMATS_JAR``, the path of bioformats_package.jar.
"""

import importlib.util
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from PIL import Image

from histoscale import upscale_slide
from histoscale.io.writers.base import Encoding, Layout, OutputSlide
from histoscale.io.writers.formats import write_slide
from histoscale.io.writers.pyramid import level_sizes

Sizes = tuple[tuple[int, int], ...]
LEVELS: Sizes = ((2101, 1301), (1051, 651), (526, 326))
MPP = (0.25, 0.2600001)

OME = ("x.ome.tiff", Encoding("jpeg", 90, layout="ome"))
OPENSLIDE = ("x.ome.tiff", Encoding("jpeg", 90, layout="openslide"))
BOTH = ("x.ome.tiff", Encoding("jpeg", 90, layout="both"))
ZARR = ("x.ome.zarr", Encoding("zstd", 90))
DICOM = ("x.dcm", Encoding("jpeg", 90))


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
    full = re.search(r"Width = (\d+)\s+Height = (\d+)", first)
    assert full
    widths = re.findall(r"sizeX\[\d+\] = (\d+)", first) or [full[1]]
    # of lower levels it tells the widths alone
    levels = tuple((int(width), math.ceil(int(full[2]) / 2**level)) for level, width in enumerate(widths))
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
    tmp_path: Path, finished_slide: OutputSlide, reader: Reader, name: str, encoding: Encoding
) -> None:
    write_slide(tmp_path / name, finished_slide, encoding, tmp_path / "scratch", overwrite=False)
    seen = reader(tmp_path / name)
    assert seen.levels == (LEVELS[:1] if reader is by_large_image else LEVELS)
    assert seen.mpp == pytest.approx(MPP, rel=1e-6)


REAL = [
    ("aperio/CMU-1-Small-Region.svs", {"mpp": 0.25}, (4431, 5922)),
    ("aperio/TCGA-CR-7395-01A-01-TS1.svs", {"mpp": 0.5, "source_mpp": 1.0}, (8886, 7134)),
    ("dicom/multiframe_camelyon_challenge_image.dcm", {"mpp": 7.24}, (4609, 2801)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout", "readers"),
    [
        ("x.ome.tiff", "ome", (by_tifffile, by_large_image, by_bioformats)),
        ("x.ome.tiff", "openslide", (by_openslide, by_large_image)),
        ("x.ome.tiff", "both", (by_tifffile, by_openslide, by_large_image, by_bioformats)),
        ("x.ome.zarr", "ome", (by_zarr,)),
        ("x.dcm", "ome", (by_openslide, by_wsidicom, by_large_image, by_bioformats)),
    ],
)
@pytest.mark.parametrize(("source", "wish", "size_xy"), REAL)
def test_real_slides(
    data_root: Path,
    tmp_path: Path,
    source: str,
    wish: dict[str, float],
    size_xy: tuple[int, int],
    name: str,
    layout: Layout,
    readers: tuple[Reader, ...],
) -> None:
    """A slide that is background throughout, by a mask, so that its pixels take little time."""
    Image.new("L", size_xy).resize((size_xy[0] // 20, size_xy[1] // 20)).save(tmp_path / "background.png")
    target, background = tmp_path / name, tmp_path / "background.png"
    settings = {"layout": layout, "tissue": background, "workers": 1, "max_memory_bytes": 2**32}
    upscale_slide(data_root / "wsi" / source, target, **wish, **settings)
    for reader in installed(readers):
        seen = reader(target)
        levels = level_sizes(size_xy)
        assert seen.levels == (levels[:1] if reader is by_large_image else levels)
        assert seen.mpp == pytest.approx((wish["mpp"], wish["mpp"]), rel=2e-4)


def installed(readers: tuple[Reader, ...]) -> Iterator[Reader]:
    """Without those that `test_a_reader_sees_size_levels_and_micrometres` skips."""
    absent = set()
    if importlib.util.find_spec("large_image") is None:
        absent.add(by_large_image)
    if not os.environ.get("BIOFORMATS_JAR") or shutil.which("java") is None:
        absent.add(by_bioformats)
    return (reader for reader in readers if reader not in absent)


def test_openslide_sees_no_lower_levels_in_the_standard_layout(
    tmp_path: Path, finished_slide: OutputSlide
) -> None:
    name, encoding = OME
    write_slide(tmp_path / name, finished_slide, encoding, tmp_path / "scratch", overwrite=False)
    assert by_openslide(tmp_path / name).levels == LEVELS[:1]
