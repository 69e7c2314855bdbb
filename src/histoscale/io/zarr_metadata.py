"""What the metadata of an OME-Zarr folder say: which image is the slide, its levels, channels and scale.

https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from histoscale.errors import InputError, printable
from histoscale.io.metadata import (
    OmeDocument,
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
from histoscale.io.selection import MOST_ASSOCIATED_PX, Candidate, note_on_others, slide_among
from histoscale.io.slide import Description

ASSOCIATED = "associated"
"""The group of further images in what histoscale writes; the standard has no place for them."""
PLANE_NAMES = {"z": "focal planes", "t": "time points"}
MOST_IMAGES, MOST_LEVELS = 100, 50
PRIMARIES = ("FF0000", "00FF00", "0000FF")
NAMES_OF_PRIMARIES = (("red", "r"), ("green", "g"), ("blue", "b"))
UNNAMED = re.compile(r"(channel|ch|c)?[ :_-]*\d*(rgb|bright ?field|h ?& ?e)?[ :_-]*\d*", re.IGNORECASE)
"""Labels of channels that name no stain: none, numbers, or words for bright field."""


class ZarrImage(NamedTuple):
    """An opened image.

    Attributes:
        axes: one letter for each dimension.
        levels: arrays, the full one first.
        multiscale: the entry of the metadata of that name.
        attributes: of the group of the image.
        order: where red, green and blue are among the channels; None if they are not in the image.
        associated: groups of further images, by name.
        companion: what OME-XML says about the image, if bioformats2raw left it beside.
        note: a remark on images that are not the slide.
    """

    folder: Path
    version: str
    axes: str
    levels: list[zarr.Array[Any]]
    multiscale: dict[str, Any]
    attributes: dict[str, Any]
    order: tuple[int, ...] | None
    associated: dict[str, str]
    companion: OmeImage | None
    note: str | None = None

    def side(self, letter: str) -> int:
        """Length of an axis of the full level; 1 if there is no such axis."""
        return int(dict(zip(self.axes, self.levels[0].shape, strict=True)).get(letter, 1))

    @property
    def size_xy(self) -> tuple[int, int]:
        """Pixels of the full level."""
        return self.side("x"), self.side("y")


def open_image(folder: Path) -> ZarrImage:
    """Open the image in a folder; of a collection of images, the slide.

    Raises:
        InputError: if there is no image in it, or its metadata contradict its arrays.
    """
    root = zarr.open_group(folder, mode="r")
    attributes = dict(root.attrs)
    if "plate" in _ome(attributes):
        raise InputError(f"{folder} is a plate of many images: name the folder of one of them.")
    if "multiscales" in _ome(attributes):
        others = root.get(ASSOCIATED)
        names = sorted(others.group_keys()) if isinstance(others, zarr.Group) else []
        associated = {printable(name): f"{ASSOCIATED}/{name}" for name in names if _is_plain(name)}
        return _image_of(folder, root)._replace(associated=associated)
    return _slide_of_collection(folder, root)


def _slide_of_collection(folder: Path, root: zarr.Group) -> ZarrImage:
    """Choose the slide among numbered series, as bioformats2raw writes them; small ones are associated."""
    document = _companion(folder)
    images = dict(_series(folder, root, document))
    if not images:
        raise InputError(
            f"{folder} is a Zarr folder without OME-Zarr's multiscales: no image is found in it."
        )
    keys = list(images)
    candidates = [_candidate(key, images[key]) for key in keys]
    chosen = slide_among(candidates)
    others = [number for number in range(len(keys)) if number != chosen]
    small = [n for n in others if np.prod(candidates[n].size_xy) <= MOST_ASSOCIATED_PX]
    mentioned = others if chosen else [number for number in others if number not in small]
    return images[keys[chosen]]._replace(
        associated={candidates[number].name: keys[number] for number in small},
        note=note_on_others(candidates[chosen], [candidates[number] for number in mentioned]),
    )


def _series(folder: Path, root: zarr.Group, document: OmeDocument | None) -> Iterator[tuple[str, ZarrImage]]:
    """Yield the images in the groups of a collection, the numbered ones in order, with their OME-XML."""
    names = [name for name in root.group_keys() if _is_plain(name) and name not in ("OME", ASSOCIATED)]
    for name in sorted(names, key=lambda name: (not name.isdecimal(), len(name), name))[:MOST_IMAGES]:
        group = root[name]
        if isinstance(group, zarr.Group) and "multiscales" in _ome(dict(group.attrs)):
            image = _image_of(folder, group)
            described = document.images if document else ()
            number = int(name) if name.isdecimal() and len(name) < 6 else len(described)
            yield name, image._replace(companion=described[number] if number < len(described) else None)


def _candidate(key: str, image: ZarrImage) -> Candidate:
    name = (image.companion.name if image.companion else "") or printable(
        str(image.multiscale.get("name", ""))
    )
    resolution = first_known(_scale(image), image.companion.resolution if image.companion else Resolution())
    return Candidate(name or f"image {key}", image.size_xy, resolution.mpp)


def _image_of(folder: Path, group: zarr.Group) -> ZarrImage:
    """Open the arrays of an image by the metadata of its group."""
    attributes = dict(group.attrs)
    ome = _ome(attributes)
    multiscale = ome["multiscales"][0]
    nodes = [group[str(dataset["path"])] for dataset in multiscale["datasets"][:MOST_LEVELS]]
    axes = multiscale.get("axes", "tczyx")
    letters = "".join(axis if isinstance(axis, str) else axis["name"] for axis in axes)
    levels = [node for node in nodes if isinstance(node, zarr.Array) and node.ndim == len(letters)]
    if not levels or len(levels) < len(nodes) or not {"x", "y"} <= set(letters):
        raise InputError(
            f"{folder} has arrays that do not fit the axes {printable(letters)} of its metadata."
        )
    version = printable(str(ome.get("version") or multiscale.get("version") or "0.4"))
    order = _order_of(ome.get("omero"), dict(zip(letters, levels[0].shape, strict=True)).get("c", 1))
    return ZarrImage(folder, version, letters, levels, multiscale, attributes, order, {}, None)


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    """OME's part of the attributes, which is all of them up to version 0.4."""
    part = attributes.get("ome", attributes)
    return part if isinstance(part, dict) else {}


def _is_plain(name: str) -> bool:
    """Whether the name of a group names a folder within, and not one elsewhere."""
    return name not in (".", "..") and not re.search(r"[/\\]", name)


def _companion(folder: Path) -> OmeDocument | None:
    """OME-XML beside the images, as bioformats2raw leaves it."""
    xml = folder / "OME" / "METADATA.ome.xml"
    return parse_ome(xml.read_text("utf-8", "replace")) if xml.is_file() else None


def _order_of(omero: Any, channels: int) -> tuple[int, ...] | None:
    """Find red, green and blue among three channels, by their labels or else by their colours.

    Channels that are labelled with anything else, such as DAPI, are not those of an RGB image.
    """
    if channels != 3:
        return tuple(range(channels))
    listed = omero.get("channels", []) if isinstance(omero, dict) else []
    known = [channel for channel in listed if isinstance(channel, dict)]
    if len(known) != 3:
        return (0, 1, 2)
    labels = [str(channel.get("label") or "").strip() for channel in known]
    colours = [str(channel.get("color") or "").strip("# ").upper()[:6] for channel in known]
    named = [
        next((n for n, names in enumerate(NAMES_OF_PRIMARIES) if label.lower() in names), None)
        for label in labels
    ]
    if sorted(n for n in named if n is not None) == [0, 1, 2]:
        return tuple(named.index(n) for n in range(3))
    if not all(UNNAMED.fullmatch(label) for label in labels):
        return None
    return tuple(map(colours.index, PRIMARIES)) if sorted(colours) == sorted(PRIMARIES) else (0, 1, 2)


def describe_zarr(image: ZarrImage) -> Description:
    """Describe an opened image."""
    record, companion = image.attributes.get("histoscale"), image.companion
    provenance, damage = parse_provenance(json.dumps(record) if isinstance(record, dict) else None)
    found = first_known(
        from_provenance(provenance),
        _scale(image),
        companion.resolution if companion else Resolution(),
    )
    power = possible_power((provenance or {}).get("power")) or (companion.power if companion else None)
    x, y = image.axes.index("x"), image.axes.index("y")
    channels = image.side("c")
    profile, profile_damage = _profile(image.attributes)
    order = None
    if image.order not in (None, tuple(range(channels))):
        order = "the channels are put in the order red, green, blue, by what the metadata say of them"
    return Description(
        path=image.folder,
        format=f"OME-Zarr {image.version}",
        size_xy=image.size_xy,
        channels={1: "grey", 3: "RGB"}.get(channels, f"{channels} channels"),
        bits=8 * image.levels[0].dtype.itemsize,
        mpp=found.mpp,
        mpp_source=found.source,
        power=power,
        levels_xy=tuple((level.shape[x], level.shape[y]) for level in image.levels),
        compression=_compression(image.levels[0]),
        icc_profile=profile,
        associated=tuple(image.associated),
        provenance=provenance,
        refusal=_refusal(image),
        notes=notes_on(found, power, damage, profile_damage, order, image.note),
    )


def _profile(attributes: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """The ICC profile, which histoscale writes in base64, and a remark if it is damaged."""
    text = attributes.get("icc_profile")
    try:
        return (base64.b64decode(text) if isinstance(text, str) else None), None
    except binascii.Error:
        return None, "the ICC profile is damaged and was ignored"


def _scale(image: ZarrImage) -> Resolution:
    """Micrometres per pixel of the full level: its own scale times that of all levels."""
    sides = dict.fromkeys(image.axes, 1.0)
    for holder in (image.multiscale["datasets"][0], image.multiscale):
        for transformation in holder.get("coordinateTransformations", ()):
            if transformation.get("type") == "scale":
                for axis, factor in zip(image.axes, transformation["scale"], strict=True):
                    sides[axis] *= factor
    axes = image.multiscale.get("axes", ())
    units = {axis["name"]: axis.get("unit") for axis in axes if isinstance(axis, dict)}
    named = [unit if unit is None else str(unit) for unit in (units.get("x"), units.get("y"))]
    return from_lengths((sides["x"], sides["y"]), (named[0], named[1]), "OME-Zarr scale")


def _refusal(image: ZarrImage) -> str | None:
    """Why the image is not one plane in RGB or grey of 8 bits, or None."""
    for letter in image.axes:
        if letter not in "cyx" and image.side(letter) > 1:
            planes = PLANE_NAMES.get(letter, "planes")
            return f"holds {image.side(letter)} {planes}, and only files with one image are read"
    if image.side("c") not in (1, 3):
        return f"has {image.side('c')} channels, and only grey or RGB are read"
    if image.companion and image.companion.is_fluorescence:
        return "is fluorescence by its OME-XML, and the models are trained on bright-field images of stains"
    if image.order is None:
        return "names channels that are not red, green and blue, and only bright-field images are read"
    if image.levels[0].dtype != np.uint8:
        return f"has {image.levels[0].dtype} samples, and only 8 bits are read from OME-Zarr"
    return None


def _compression(array: "zarr.Array[Any]") -> str:
    """The codec by its name in lower case."""
    names = [type(c).__name__.removesuffix("Codec").lower() for c in array.compressors]
    return names[0] if names else "none"
