"""The part of a slide to upscale: a rectangle as text, or polygons of an annotation.

**Convention.** Coordinates are (x, y) in pixels of level 0. The points of a polygon lie on borders of pixels,
as in QuPath: (0, 0) is the corner of the slide, not the centre of its first pixel.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64
from PIL import Image, ImageDraw

from histoscale.errors import InputError, printable, reason_of
from histoscale.io.decoding import open_file, reaching
from histoscale.io.parsing import parse_json
from histoscale.io.slide import Description
from histoscale.resources import ensure_memory

Ring: TypeAlias = Float64[np.ndarray, "_ 2"]
FINER = 4
"""Parts along the side of a cell; a cell belongs to a polygon if the polygon touches one of its parts."""
FARTHEST = 2**30
"""Largest coordinate in parts of cells, which Pillow counts in 32 bits; it lies far outside any slide."""
BYTES_PER_BYTE = 12
"""Memory that parsing takes for a byte of GeoJSON."""


class Rectangle(NamedTuple):
    """A rectangle within the slide.

    Attributes:
        l0_xy: its upper left pixel.
        size_xy: its width and height, at least 1.
    """

    l0_xy: tuple[int, int]
    size_xy: tuple[int, int]


@dataclass(frozen=True)
class Roi:
    """Polygons of an annotation.

    Attributes:
        rectangle: their bounding box within the slide.
        polygons: outline of each, then its holes.
        notes: remarks on what was left out.
    """

    rectangle: Rectangle
    polygons: tuple[tuple[Ring, ...], ...]
    notes: tuple[str, ...] = ()

    def cells(self, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """Find the cells of the rectangle that the polygons or their borders touch; holes are left out.

        Args:
            shape: rows and columns of cells, which divide the rectangle evenly.
        """
        touched = np.zeros(shape, bool)
        origin = np.array(self.rectangle.l0_xy)
        parts_per_px = FINER * np.array(shape[::-1]) / self.rectangle.size_xy
        for polygon in self.polygons:
            _add(touched, [(ring - origin) * parts_per_px for ring in polygon])
        return touched


def parse_region(text: str, description: Description) -> Rectangle:
    """Read a rectangle from text.

    Args:
        text: ``x,y,width,height``, each in pixels of level 0 or, with the suffix ``um``, in micrometres.

    Raises:
        InputError: if the text is not a rectangle, the rectangle is empty or reaches beyond the slide, or it
            is in micrometres and the mpp is unknown.
    """
    found = [
        re.fullmatch(r"(-?\d+(?:\.\d*)?|-?\.\d+) ?(px|um|µm|μm)?", part.strip()) for part in text.split(",")
    ]
    parts = [(float(part[1]), part[2] or "px") for part in found if part]
    if len(parts) != 4 or len(found) != 4:
        raise InputError(
            f"A region is x,y,width,height such as 0,0,2000,1000 or 50um,0um,900um,800um; got {text!r}."
        )
    x, y, width, height = (_pixels(*part, axis, text, description) for axis, part in enumerate(parts))
    if width < 1 or height < 1:
        raise InputError(f"The region {text} is empty: {width} x {height} px.")
    across, down = description.size_xy
    if x < 0 or y < 0 or x + width > across or y + height > down:
        raise InputError(
            f"The region {text} reaches beyond {description.path}, which has {across} x {down} px: give a "
            "region inside it."
        )
    return Rectangle((x, y), (width, height))


def read_roi(path: Path, description: Description) -> Roi:
    """Read polygons from a GeoJSON file as QuPath writes it.

    QuPath counts from the corner of the scanned part if the scanner states one, so that the polygons are
    moved there. Polygons that are empty or enclose nothing are legal, and are left out with a note.

    Raises:
        InputError: if the file cannot be read, holds no polygon, or lies outside the slide.
    """
    document = _parsed(path)
    try:
        geometries = list(_geometries(document))
        polygons = [_polygon(rings, description) for geometry in geometries for rings in _polygons(geometry)]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else reason_of(error)
        raise InputError(f"{path} is not GeoJSON of polygons ({reason}).") from error
    drawn = tuple(rings for rings in polygons if rings)
    others = sorted({printable(str(g["type"])) for g in geometries} - {"Polygon", "MultiPolygon"})
    notes = [f"{', '.join(others)} in {path.name} left out: only polygons enclose a region"] if others else []
    if empty := len(polygons) - len(drawn):
        notes.append(f"{empty} empty or degenerate polygons in {path.name} left out")
    if not drawn:
        raise InputError(f"{path} holds no polygon that encloses a region{''.join(f'; {n}' for n in notes)}.")
    return Roi(_bounds(path, drawn, description), drawn, tuple(notes))


def _parsed(path: Path) -> Any:
    """Parse a file of JSON, which may start with the byte-order mark that editors on Windows write."""
    with open_file(path) as file, reaching(path):
        ensure_memory(
            BYTES_PER_BYTE * os.fstat(file.fileno()).st_size,
            InputError,
            f"{path} is too large to be parsed in memory",
        )
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
        return parse_json(text, longest=len(text))
    except ValueError as error:
        raise InputError(f"{path} is not GeoJSON: {reason_of(error)}.") from error


def _pixels(number: float, unit: str, axis: int, text: str, description: Description) -> int:
    """Convert a number to whole pixels along x (even places of the four) or y."""
    if unit == "px":
        return round(number)
    if description.mpp is None:
        raise InputError(
            f"The region {text} is in micrometres, but the mpp of the source is unknown: give --source-mpp."
        )
    return round(number / description.mpp[axis % 2])


def _geometries(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the geometries in features and collections; QuPath also writes a bare list of features."""
    if isinstance(node, list):
        for item in node:
            yield from _geometries(item)
    elif node["type"] == "FeatureCollection":
        yield from _geometries(node["features"])
    elif node["type"] == "Feature":
        if node["geometry"] is not None:
            yield from _geometries(node["geometry"])
    elif node["type"] == "GeometryCollection":
        yield from _geometries(node["geometries"])
    else:
        yield node


def _polygons(geometry: dict[str, Any]) -> list[Any]:
    """List the polygons in a geometry, each as a list of rings: one, many, or none for another type."""
    kind = geometry["type"]
    if kind not in ("Polygon", "MultiPolygon"):
        return []
    return [geometry["coordinates"]] if kind == "Polygon" else list(geometry["coordinates"])


def _polygon(rings: Any, description: Description) -> tuple[Ring, ...]:
    """Convert a polygon to outline and holes in pixels of level 0; to nothing if it is degenerate."""
    found = [_ring(points) + np.array(description.bounds_xy, np.float64) for points in rings]
    if not found or not _encloses(found[0]):
        return ()
    return (found[0], *(hole for hole in found[1:] if _encloses(hole)))


def _ring(points: Any) -> Ring:
    """Convert a closed line to an array; a third coordinate would be a focal plane."""
    ring = np.array([[float(x), float(y)] for x, y, *_ in points], np.float64).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise ValueError("the points of a ring must be finite numbers")
    return ring


def _encloses(ring: Ring) -> bool:
    """Whether a ring has three different points, and so may enclose a region."""
    return len(np.unique(ring, axis=0)) >= 3


def _bounds(path: Path, polygons: tuple[tuple[Ring, ...], ...], description: Description) -> Rectangle:
    """Find the rectangle of pixels of the slide that the outlines touch."""
    outlines = np.concatenate([rings[0] for rings in polygons])
    (left, top), (right, bottom) = outlines.min(axis=0), outlines.max(axis=0)
    across, down = description.size_xy
    if right <= 0 or bottom <= 0 or left >= across or top >= down:
        place = f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g})"
        raise InputError(f"{path} lies {place}, outside {description.path}: {across} x {down} px.")
    x, y = max(math.floor(left), 0), max(math.floor(top), 0)
    width, height = min(math.ceil(right), across) - x, min(math.ceil(bottom), down) - y
    if width < 1 or height < 1:
        raise InputError(f"{path} encloses no pixel: its polygons are lines or points.")
    return Rectangle((x, y), (width, height))


def _add(touched: Bool[np.ndarray, "h w"], rings: list[Ring]) -> None:
    """Mark the cells that a polygon touches; its points are in parts of cells, `FINER` to a side."""
    rows, columns = touched.shape
    low = np.maximum(np.floor(rings[0].min(axis=0) / FINER), 0).astype(int)
    high = np.minimum(np.floor(rings[0].max(axis=0) / FINER) + 1, (columns, rows)).astype(int)
    if (high <= low).any():
        return
    width, height = ((high - low) * FINER).tolist()
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for number, ring in enumerate(rings):
        points = np.floor(ring - low * FINER).clip(-FARTHEST, FARTHEST).astype(int).tolist()
        draw.polygon([(x, y) for x, y in points], fill=number == 0, outline=1)
    parts = np.asarray(canvas).reshape(high[1] - low[1], FINER, high[0] - low[0], FINER)
    touched[low[1] : high[1], low[0] : high[0]] |= parts.any(axis=(1, 3))
