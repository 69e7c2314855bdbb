"""Small undamaged files of every kind that a parser reads, made here from one image of stripes."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save as to_safetensors

from histoscale import weights
from histoscale.io.provenance import SUPER_RESOLVED, Provenance
from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.formats import write_slide
from histoscale.models.catalog import build

HEIGHT, WIDTH = 40, 56
RECORD = Provenance("1.0", SUPER_RESOLVED, "a.svs", (2.0, 2.0), Mpp(0.25, 0.25), 40.0, "iste-fast", "ab" * 32)
APERIO = "Aperio Image Library v11.2.1 \r\n56x40 [0,0 56x40] (16x16) JPEG/RGB Q=30|AppMag = 20|MPP = 0.4990"
OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Instrument ID="Instrument:0"><Objective ID="Objective:0" NominalMagnification="40"/></Instrument>'
    '<Image ID="Image:0" Name="scan"><ObjectiveSettings ID="Objective:0"/><Pixels ID="Pixels:0" '
    'DimensionOrder="XYCZT" Type="uint8" SizeX="56" SizeY="40" SizeC="3" SizeZ="1" SizeT="1" '
    'PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m" PhysicalSizeY="0.25" PhysicalSizeYUnit="um">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)


def pixels(channels: int = 3) -> np.ndarray:
    """Smooth stripes of different width in each channel, (40, 56) or (40, 56, channels), uint8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    waves = [np.sin(x / (3 + c)) * np.cos(y / (5 - c)) for c in range(channels)]
    found = (127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)
    return found[..., 0] if channels == 1 else found


# Images.


def _sixteen_bits() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels(1).astype(np.uint16) * 257).save(stream, "PNG")
    return stream.getvalue()


def _image(form: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels()).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def pngs() -> list[bytes]:
    """All modes, with a resolution, a record of ours, a profile of nonsense."""
    text = PngInfo()
    text.add_itxt("histoscale", RECORD.to_json())
    modes = [_image("PNG", mode, dpi=(100_000, 100_000)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    return [*modes, _sixteen_bits(), _image("PNG", pnginfo=text, icc_profile=b"profile" * 20)]


def jpegs() -> list[bytes]:
    """Baseline with and without subsampling, progressive, grey, four inks."""
    return [
        _image("JPEG", quality=90, dpi=(50_000, 50_000)),
        _image("JPEG", quality=80, subsampling=0),
        _image("JPEG", quality=80, progressive=True),
        _image("JPEG", "L"),
        _image("JPEG", "CMYK"),
    ]


def other_images() -> list[bytes]:
    """WebP with and without loss, BMP with and without a palette."""
    return [
        _image("WEBP", quality=80),
        _image("WEBP", "RGBA", lossless=True),
        _image("BMP"),
        _image("BMP", "P"),
    ]


# TIFF.


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=options.pop("bigtiff", False), ome=False) as file:
        file.write(array, **({"metadata": None, "contiguous": False} | options))
    return stream.getvalue()


def tiffs() -> list[bytes]:
    """Strips, tiles, compressions, planes, grey, alpha, palette, sixteen bits, the calibration of ImageJ."""
    rgb, tile = pixels(), (16, 16)
    palette = np.arange(768, dtype=np.uint16).reshape(3, 256) * 85
    return [
        _tiff(rgb, photometric="rgb", resolution=(40_000, 40_000), resolutionunit="CENTIMETER"),
        _tiff(rgb, photometric="rgb", compression="zlib", rowsperstrip=8, predictor=True),
        _tiff(rgb, photometric="rgb", compression="lzw", tile=tile),
        _tiff(rgb, photometric="rgb", compression="jpeg", tile=tile),
        _tiff(rgb, photometric="ycbcr", compression="jpeg", tile=tile, subsampling=(2, 2)),
        _tiff(rgb, photometric="rgb", compression="packbits", rowsperstrip=8),
        _tiff(np.moveaxis(rgb, 2, 0), photometric="rgb", planarconfig="separate"),
        _tiff(pixels(4), photometric="rgb", extrasamples=["unassalpha"]),
        _tiff(pixels(1), photometric="minisblack"),
        _tiff(pixels(1), photometric="miniswhite", tile=tile),
        _tiff(pixels(1), photometric="palette", colormap=palette),
        _tiff(rgb.astype(np.uint16) * 257, photometric="rgb", compression="zlib"),
        _tiff(rgb, photometric="rgb", bigtiff=True, tile=tile, compression="deflate"),
        _tiff(pixels(1), photometric="minisblack", description="ImageJ=1.53\nunit=micron\nimages=1\n"),
    ]


def slides() -> list[bytes]:
    """Pyramids as Aperio and OME-TIFF write them."""
    rgb, tile = pixels(), (16, 16)
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for level in (rgb, rgb[::2, ::2]):
            file.write(
                level, photometric="rgb", compression="jpeg", tile=tile, metadata=None, description=APERIO
            )
    ome = io.BytesIO()
    with tifffile.TiffWriter(ome, ome=False) as file:
        options: dict[str, Any] = {
            "photometric": "rgb",
            "tile": tile,
            "compression": "zlib",
            "metadata": None,
        }
        file.write(rgb, description=OME, subifds=1, **options)
        file.write(rgb[::2, ::2], subfiletype=1, **options)
    return [stream.getvalue(), ome.getvalue()]


def slide_folder(folder: Path, suffix: str) -> Path:
    """A slide that our own writer makes: a folder for OME-Zarr and DICOM."""
    image = pixels()

    def read(l0_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        (x, y), (width, height) = l0_xy, size_xy
        return image[y : y + height, x : x + width]

    target = folder / f"x{suffix}"
    encoding = Encoding("jpeg" if suffix == ".dcm" else "zstd", 90)
    write_slide(
        target,
        OutputSlide((WIDTH, HEIGHT), read, RECORD, Mpp(0.25, 0.25), 40.0),
        encoding,
        folder / "s",
        False,
    )
    return target


# Text.


def roi() -> bytes:
    """A polygon with a hole and a point, as QuPath writes them."""
    ring = [[2, 2], [50, 2], [50, 30], [2, 30], [2, 2]]
    hole = [[10, 10], [20, 10], [20, 20], [10, 10]]
    feature = {
        "type": "Feature",
        "properties": {"name": "t"},
        "geometry": {"type": "Polygon", "coordinates": [ring, hole]},
    }
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}
    return json.dumps({"type": "FeatureCollection", "features": [feature, point]}).encode()


def manifest() -> bytes:
    """A manifest of two images."""
    return b"file,set,split,id,mpp\na.png,one,train,a,0.25\nb.png,one,test,b,0.5\n"


def run_file(root: Path) -> bytes:
    """The run file of the model that ships."""
    return (root / "runs" / "iste-fast.toml").read_bytes()


# Weights.


def small_weights(folder: Path) -> tuple[bytes, bytes]:
    """A small network and its card."""
    model = build("edsr", scale=2, blocks=1, channels=4)
    path = folder / "small.safetensors"
    fields = {
        "name": "small",
        "architecture": {"name": "edsr", "arguments": {"scale": 2, "blocks": 1, "channels": 4}},
        "scales": [2, 2],
        "data": [{"set": "none"}],
    }
    weights.save(path, model, fields)
    return path.read_bytes(), path.with_suffix(".json").read_bytes()


def safetensors() -> bytes:
    """A file of two tensors."""
    return to_safetensors({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)})


def checkpoint() -> bytes:
    """A checkpoint as authors save them."""
    stream = io.BytesIO()
    torch.save({"params": {"head.weight": torch.ones(4, 3, 3, 3), "head.bias": torch.zeros(4)}}, stream)
    return stream.getvalue()
