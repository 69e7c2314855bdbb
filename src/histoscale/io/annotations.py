"""Which part of a slide is meant: a rectangle in words, or polygons that somebody drew.

**Convention.** Everything is in pixels of level 0, (x, y); a polygon's points are on pixel borders, as in
QuPath: (0, 0) is the slide's corner and not the centre of its first pixel.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64
from PIL import Image, ImageDraw

from histoscale.errors import InputError
from histoscale.io.slide import Description

Ring: TypeAlias = Float64[np.ndarray, "n 2"]
FINER = 4
"""A cell belongs to a polygon if one of so many by so many parts of it is touched."""


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
    """Polygons that somebody drew.

    Attributes:
        rectangle: what bounds them, cut at the rim of the slide.
        polygons: of each its outline first, then its holes.
        notes: what was left out, as sentences for the person.
    """

    rectangle: Rectangle
    polygons: tuple[tuple[Ring, ...], ...]
    notes: tuple[str, ...] = ()

    def cells(self, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """Which cells of the rectangle the polygons touch, be it with their border; holes are left out.

        Args:
            shape: rows and columns that share out the rectangle evenly.
        """
        touched = np.zeros(shape, bool)
        origin = np.array(self.rectangle.l0_xy)
        parts_per_px = FINER * np.array(shape[::-1]) / self.rectangle.size_xy
        for polygon in self.polygons:
            _add(touched, [(ring - origin) * parts_per_px for ring in polygon])
        return touched


def parse_region(text: str, description: Description) -> Rectangle:
    """A rectangle from words.

    Args:
        text: ``x,y,width,height``, each in pixels of level 0 or, with the suffix ``um``, in micrometres.

    Raises:
        InputError: if the words are others, the rectangle is empty or reaches beyond the slide, or
            micrometres are given and those of a pixel are unknown.
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
        place = f"{width} x {height} px at ({x}, {y})"
        raise InputError(
            f"The region {text}, {place}, reaches beyond {description.path}: {across} x {down} px."
        )
    return Rectangle((x, y), (width, height))


def read_roi(path: Path, description: Description) -> Roi:
    """Polygons from a GeoJSON file as QuPath writes it.

    Raises:
        InputError: if it cannot be read, holds no polygon, or lies outside the slide.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is no GeoJSON: {error}.") from error
    try:
        geometries = list(_geometries(document))
        polygons = [rings for geometry in geometries for rings in _polygons(geometry)]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is no GeoJSON of polygons ({type(error).__name__}: {reason}).") from error
    others = sorted({str(g["type"]) for g in geometries} - {"Polygon", "MultiPolygon"})
    if not polygons:
        raise InputError(f"{path} holds no polygon, only {', '.join(others) or 'an empty collection'}.")
    notes = [f"{', '.join(others)} in {path.name} left out: only polygons enclose a region"] if others else []
    return Roi(_bounds(path, polygons, description), tuple(polygons), tuple(notes))


def _pixels(number: float, unit: str, axis: int, text: str, description: Description) -> int:
    """A length along x (even places of the four) or y in whole pixels."""
    if unit == "px":
        return round(number)
    if description.mpp is None:
        raise InputError(
            f"The region {text} is in micrometres, and those of a pixel are unknown: give --source-mpp."
        )
    return round(number / description.mpp[axis % 2])


def _geometries(node: Any) -> Iterator[dict[str, Any]]:
    """Geometries within features and collections; QuPath also writes a bare list of features."""
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


def _polygons(geometry: dict[str, Any]) -> list[tuple[Ring, ...]]:
    """The polygons in a geometry: one, many, or none if it is of another type."""
    kind = geometry["type"]
    if kind not in ("Polygon", "MultiPolygon"):
        return []
    polygons = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
    return [tuple(map(_ring, polygon)) for polygon in polygons]


def _ring(points: Any) -> Ring:
    """A closed line; a third coordinate would be a focal plane."""
    ring = np.array([[float(x), float(y)] for x, y, *_ in points]).reshape(-1, 2)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("a ring needs three points or more, all finite")
    return ring


def _bounds(path: Path, polygons: list[tuple[Ring, ...]], description: Description) -> Rectangle:
    """The pixels that the outlines touch, of those that the slide has."""
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
    """Set the cells that a polygon touches; its points are in parts of cells, `FINER` to a side."""
    rows, columns = touched.shape
    low = np.maximum(np.floor(rings[0].min(axis=0) / FINER), 0).astype(int)
    high = np.minimum(np.floor(rings[0].max(axis=0) / FINER) + 1, (columns, rows)).astype(int)
    if (high <= low).any():
        return
    width, height = ((high - low) * FINER).tolist()
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for number, ring in enumerate(rings):
        points = [(int(x), int(y)) for x, y in np.floor(ring - low * FINER)]
        draw.polygon(points, fill=number == 0, outline=1)
    parts = np.asarray(canvas).reshape(high[1] - low[1], FINER, high[0] - low[0], FINER)
    touched[low[1] : high[1], low[0] : high[0]] |= parts.any(axis=(1, 3))
