"""OME-Zarr 0.5 (Zarr v3, sharded): a folder with one array for each level, with axes c, y, x.

https://ngff.openmicroscopy.org/0.5/
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.codecs import GzipCodec, ZstdCodec

from histoscale.errors import OutputError
from histoscale.io.writers.base import Encoding, OutputSlide
from histoscale.io.writers.pyramid import ExpectedTile, PyramidLevels
from histoscale.io.writers.verify import refuse_difference, refuse_other_pixels
from histoscale.io.zarr_reader import METADATA

VERSION = "0.5"
COMPRESSORS = {"zstd": ZstdCodec(level=3), "deflate": GzipCodec(level=6), "none": None}
COLOURS = ("FF0000", "00FF00", "0000FF")


def refuse_foreign(target: Path, _encoding: Encoding) -> None:
    """Raise `OutputError` for a folder that is not Zarr; --overwrite does not replace it either."""
    if target.is_dir() and any(target.iterdir()) and not any((target / name).is_file() for name in METADATA):
        raise OutputError(f"{target} is a folder with files that are not Zarr's: choose another name.")


def write_ome_zarr(partial: Path, slide: OutputSlide, encoding: Encoding, levels: PyramidLevels) -> None:
    """Write the folder ``partial``; a tile of ``levels`` is a shard, which is one file."""
    scales = [_transformations(slide, level) for level in range(len(levels.sizes_xy))]
    group = zarr.open_group(partial, mode="w", zarr_format=3)
    for level, size_xy in enumerate(levels.sizes_xy):
        _write_level(_new_array(group, str(level), size_xy, encoding, levels.tile_px), levels, level)
    for name, pixels in slide.associated.items():
        image = group.create_group(f"associated/{name.replace('/', ' ')}")
        height, width = pixels.shape[:2]
        _new_array(image, "0", (width, height), encoding, levels.tile_px)[...] = np.moveaxis(pixels, -1, 0)
        one_to_one = [[{"type": "scale", "scale": [1.0, 1.0, 1.0]}]]
        image.attrs.update({"ome": _metadata(name, slide.channel_names, one_to_one, None)})
    unit = "micrometer" if slide.mpp else None
    record = {"histoscale": json.loads(slide.provenance.to_json())}
    if slide.fitting_profile:
        record["icc_profile"] = base64.b64encode(slide.fitting_profile).decode("ascii")
    # The metadata come last: without them an interrupted folder is not taken for an image.
    group.attrs.update(
        {"ome": _metadata(slide.provenance.source, slide.channel_names, scales, unit), **record}
    )


def _new_array(
    group: zarr.Group, name: str, size_xy: tuple[int, int], encoding: Encoding, shard_px: int
) -> "zarr.Array[Any]":
    side = encoding.tile_px
    return group.create_array(
        name,
        shape=(3, size_xy[1], size_xy[0]),
        chunks=(1, side, side),
        shards=(3, shard_px, shard_px),
        dtype=np.uint8,
        compressors=COMPRESSORS[encoding.compression],
        dimension_names=("c", "y", "x"),
        fill_value=0,
        config={"write_empty_chunks": True},  # a missing chunk is a gap, which readers may show white
    )


def _write_level(array: "zarr.Array[Any]", levels: PyramidLevels, level: int) -> None:
    """Write a level shard by shard."""
    x, y = 0, 0
    for tile in levels.tiles(level):
        height, width = tile.shape[:2]
        array[:, y : y + height, x : x + width] = np.moveaxis(tile, -1, 0)
        x += width
        if x == levels.sizes_xy[level][0]:
            x, y = 0, y + height


def _transformations(slide: OutputSlide, level: int) -> list[dict[str, Any]]:
    """Scale and shift from a level to micrometres: a pixel of level n covers 2**n pixels of level 0.

    The shift moves the centre of pixel 0 to the centre of the pixels that it covers.
    """
    factor, sides = 2.0**level, slide.mpp or (1.0, 1.0)
    across, down = sides
    shift = (factor - 1) / 2
    return [
        {"type": "scale", "scale": [1.0, factor * down, factor * across]},
        {"type": "translation", "translation": [0.0, shift * down, shift * across]},
    ]


def _metadata(
    name: str, channels: tuple[str, str, str], scales: list[list[dict[str, Any]]], unit: str | None
) -> dict[str, Any]:
    """Make the attributes of an image.

    Args:
        scales: coordinate transformations of all levels.
        unit: of length; None if the mpp is unknown.
    """
    space = {"type": "space", "unit": unit} if unit else {"type": "space"}
    axes = [{"name": "c", "type": "channel"}, {"name": "y", **space}, {"name": "x", **space}]
    datasets = [{"path": str(n), "coordinateTransformations": scale} for n, scale in enumerate(scales)]
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    return {
        "version": VERSION,
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets, "type": "mean"}],
        "omero": {
            "channels": [
                {"label": label, "color": colour, "window": window, "active": True}
                for label, colour in zip(channels, COLOURS, strict=True)
            ],
            "rdefs": {"model": "color"},
        },
    }


def verify_ome_zarr(partial: Path, _slide: OutputSlide, _encoding: Encoding, levels: PyramidLevels) -> None:
    """Raise `VerificationError` if the folder is not what was meant."""
    group = zarr.open_group(partial, mode="r")
    ome: Any = group.attrs["ome"]
    paths = [dataset["path"] for dataset in ome["multiscales"][0]["datasets"]]
    arrays = [node for node in map(group.get, paths) if isinstance(node, zarr.Array)]
    sizes = tuple((array.shape[2], array.shape[1]) for array in arrays)
    refuse_difference("levels", levels.sizes_xy, sizes)

    def stored(tile: ExpectedTile) -> UInt8[np.ndarray, "h w 3"]:
        (x, y), (height, width) = tile.level_xy, tile.pixels.shape[:2]
        part = np.asarray(arrays[tile.level][:, y : y + height, x : x + width])
        return np.moveaxis(part, 0, -1)

    refuse_other_pixels(levels.expected_tiles, is_lossless=True, read=stored)
