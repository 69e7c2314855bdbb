"""OME-Zarr 0.4 and 0.5 as slides: a folder of arrays, one a level, read chunk by chunk."""

import base64
import json
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import zarr
from jaxtyping import UInt8

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.metadata import (
    OmeImage,
    Resolution,
    first_known,
    from_lengths,
    from_provenance,
    notes_on,
    parse_ome,
    possible_power,
)
from histoscale.io.provenance import parse_provenance
from histoscale.io.samples import three_channels
from histoscale.io.slide import BYTES_PER_PX, Description, Pixels, Slide

METADATA = ("zarr.json", ".zattrs", ".zgroup")
ASSOCIATED = "associated"
"""The group that holds further images in what we write; the standard has no place for them."""
PLANE_NAMES = {"z": "focal planes", "t": "time points"}


def is_zarr(path: Path, file: BinaryIO | None = None) -> bool:
    """Whether a folder is a Zarr hierarchy, or a file is the metadata of one."""
    if file is not None:
        return path.name in METADATA
    return any((path / name).is_file() for name in METADATA)


class ZarrSlide(Slide):
    """RGB or grey in eight bits; a chunk that was never written has the array's fill value.

    Raises:
        InputError: if the folder is damaged, or of a kind that is refused.
    """

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        folder = path
        if file is not None:  # a file of metadata stands for its folder
            file.close()
            folder = path.parent
        self._image = _opened(folder)
        self.description = _description(self._image)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        place = self._place(level, level_xy, size_xy)
        with decoding(self.description.path, place):
            return _read_rgb(self._image.levels[level], self._image.axes, level_xy, size_xy)

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        size_xy = size_xy or self.levels_xy[0]
        self._ensure_memory(BYTES_PER_PX, size_xy)
        return Pixels(self.read_region(0, l0_xy, size_xy))  # in one piece: chunks may be higher than strips

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        if name not in self.description.associated:
            raise self._refuse_associated(name)
        with ZarrSlide(self.description.path / ASSOCIATED / name) as image:
            return image.read_region(0, (0, 0), image.levels_xy[0])

    def close(self) -> None:
        """Chunks are files that are open only while they are read."""


def _read_rgb(
    array: "zarr.Array[Any]", axes: str, xy: tuple[int, int], size_xy: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    (x, y), (width, height) = xy, size_xy
    wanted = {"y": slice(y, y + height), "x": slice(x, x + width), "c": slice(None)}
    samples = np.asarray(array[tuple(wanted.get(axis, 0) for axis in axes)])
    order = [axis for axis in axes if axis in wanted]
    if "c" not in order:
        samples, order = samples[..., None], [*order, "c"]
    samples = samples.transpose([order.index(axis) for axis in "yxc"])
    return three_channels(samples)


class _Image(NamedTuple):
    """An opened image.

    Attributes:
        axes: one letter a dimension.
        multiscale: the first entry of the metadata of that name.
        record: attributes of the image's group.
        associated: names of further images.
        companion: OME-XML beside it, as bioformats2raw leaves it.
    """

    folder: Path
    version: str
    axes: str
    levels: list[zarr.Array[Any]]
    multiscale: dict[str, Any]
    record: dict[str, Any]
    associated: tuple[str, ...]
    companion: OmeImage | None


def _opened(folder: Path) -> _Image:
    with decoding(folder):
        group = zarr.open_group(folder, mode="r")
        attributes = dict(group.attrs)
        if "0" in group and "multiscales" not in _ome(attributes) and isinstance(group["0"], zarr.Group):
            group = group["0"]  # the layout of bioformats2raw: series are numbered
            attributes = dict(group.attrs)
        scales = _ome(attributes).get("multiscales")
        if not scales:
            raise InputError(
                f"{folder} is a Zarr folder without OME-Zarr's multiscales: no image is found in it."
            )
        nodes = [group[str(dataset["path"])] for dataset in scales[0]["datasets"]]
        axes = scales[0].get("axes", "tczyx")
        letters = "".join(axis if isinstance(axis, str) else axis["name"] for axis in axes)
        levels = [node for node in nodes if isinstance(node, zarr.Array) and node.ndim == len(letters)]
        if not levels or len(levels) < len(nodes):
            raise InputError(f"{folder} has arrays that do not fit the axes {letters} of its metadata.")
        version = _ome(attributes).get("version") or scales[0].get("version") or "0.4"
        xml = folder / "OME" / "METADATA.ome.xml"
        document = parse_ome(xml.read_text("utf-8")) if xml.is_file() else None
        companion = document.images[0] if document else None
        others = group.get(ASSOCIATED)
        associated = tuple(sorted(others.group_keys())) if isinstance(others, zarr.Group) else ()
        return _Image(folder, str(version), letters, levels, scales[0], attributes, associated, companion)


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    """OME's part of the attributes: all of them up to version 0.4."""
    part = attributes.get("ome", attributes)
    return part if isinstance(part, dict) else {}


def _description(image: _Image) -> Description:
    with decoding(image.folder):
        first, axes = image.levels[0], image.axes
        lengths = dict(zip(axes, first.shape, strict=True))
        levels = tuple((level.shape[axes.index("x")], level.shape[axes.index("y")]) for level in image.levels)
        channels = lengths.get("c", 1)
        record = image.record.get("histoscale")
        provenance, damage = parse_provenance(json.dumps(record) if isinstance(record, dict) else None)
        companion = image.companion
        found = first_known(
            from_provenance(provenance),
            _scale(image),
            companion.resolution if companion else Resolution(),
        )
        power = possible_power((provenance or {}).get("power")) or (companion.power if companion else None)
        return Description(
            path=image.folder,
            format=f"OME-Zarr {image.version}",
            size_xy=levels[0],
            channels={1: "grey", 3: "RGB"}.get(channels, f"{channels} channels"),
            bits=8 * first.dtype.itemsize,
            mpp=found.mpp,
            mpp_source=found.source,
            power=power,
            levels_xy=levels,
            compression=_compression(first),
            icc_profile=_profile(image.record),
            associated=image.associated,
            provenance=provenance,
            refusal=_refusal(lengths, first, companion),
            notes=notes_on(found, power, damage),
        )


def _profile(record: dict[str, Any]) -> bytes | None:
    """The ICC profile as we write it, in base64."""
    text = record.get("icc_profile")
    return base64.b64decode(text) if isinstance(text, str) else None


def _scale(image: _Image) -> Resolution:
    """Micrometres per pixel of the first level: its own scale times the one of all levels."""
    sides = dict.fromkeys(image.axes, 1.0)
    dataset = image.multiscale["datasets"][0]
    for holder in (dataset, image.multiscale):
        for transformation in holder.get("coordinateTransformations", ()):
            if transformation.get("type") == "scale":
                for axis, factor in zip(image.axes, transformation["scale"], strict=True):
                    sides[axis] *= factor
    axes = image.multiscale.get("axes", ())
    units = {axis["name"]: axis.get("unit") for axis in axes if isinstance(axis, dict)}
    return from_lengths((sides["x"], sides["y"]), (units.get("x"), units.get("y")), "OME-Zarr scale")


def _refusal(lengths: dict[str, int], first: "zarr.Array[Any]", companion: OmeImage | None) -> str | None:
    for axis, length in lengths.items():
        if axis not in "cyx" and length > 1:
            return f"holds {length} {PLANE_NAMES.get(axis, 'planes')}, and only files with one image are read"
    if lengths.get("c", 1) not in (1, 3):
        return f"has {lengths['c']} channels, and only grey or RGB are read"
    if companion and companion.is_fluorescence:
        return "is fluorescence by its OME-XML, and the models are trained on bright-field images of stains"
    if first.dtype != np.uint8:
        return f"has {first.dtype} samples, and only 8 bits are read from OME-Zarr"
    return None


def _compression(array: "zarr.Array[Any]") -> str:
    """The codec's name in lower case."""
    names = [type(c).__name__.removesuffix("Codec").lower() for c in array.compressors]
    return names[0] if names else "none"
