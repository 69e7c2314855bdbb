"""What options ask for, read against the header of a file: its region, its resolution and the method."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from histoscale.errors import InputError, ScaleError
from histoscale.io.formats import open_slide
from histoscale.io.slide import Mpp
from histoscale.upscaling.options import Options
from histoscale.upscaling.request import Request, read_request


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """An image of 60 x 40 pixels that does not say its resolution."""
    path = tmp_path / "unknown.png"
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path)
    return path


def request(path: Path, **options: Any) -> Request:
    with open_slide(path) as slide:
        return read_request(slide, Options(**options))


@pytest.mark.parametrize(
    ("options", "slide", "image"),
    [
        ({"scale": 1}, "copy", "copy"),
        ({"scale": 2}, "model", "model"),
        ({"scale": 0.5}, "reduce", "reduce"),
        ({"size_xy": (60, 40)}, "copy", "copy"),
        ({"size_xy": (120, 20)}, "reduce", "model"),  # wider and lower
        ({"size_xy": (60, 80)}, "model", "model"),
        ({"size_xy": (60, 20)}, "reduce", "reduce"),
        ({"mpp": 0.25}, "model", "model"),
        ({"mpp": 0.5}, "copy", "copy"),
        ({"mpp": 1.0}, "reduce", "reduce"),
    ],
    ids=str,
)
def test_the_sizes_choose_the_method(source: Path, options: dict[str, Any], slide: str, image: str) -> None:
    found = request(source, **options)
    assert (found.method, found.image_method) == (slide, image)


def test_the_scale_is_given_down_and_across(source: Path) -> None:
    found = request(source, size_xy=(120, 120))
    assert found.region.size_xy == (60, 40)
    assert found.scale == (3, 2)


def test_a_region_is_cut_before_the_size_is_taken(source: Path) -> None:
    found = request(source, region="10,5,30,20", scale=2)
    assert (found.region.size_xy, found.output.size_xy) == ((30, 20), (60, 40))
    in_micrometres = request(source, region="5um,2.5um,15um,10um", scale=2)
    assert in_micrometres.region == found.region


@pytest.mark.parametrize("region", ["60,0,10,10", "0,0,0,10", "1,2,3", "a,b,c,d", "0,0,10,-1"])
def test_a_region_that_is_none_names_the_region(source: Path, region: str) -> None:
    with pytest.raises(InputError, match="region"):
        request(source, region=region, scale=2)


def test_a_given_resolution_replaces_that_of_the_file(source: Path) -> None:
    assert request(source, mpp=0.25).mpp == pytest.approx(Mpp(0.5, 0.5), rel=1e-4)
    found = request(source, mpp=0.25, source_mpp=1.0)
    assert found.mpp == Mpp(1, 1)
    assert found.output.size_xy == (240, 160)


def test_micrometres_need_a_resolution(unknown: Path) -> None:
    with pytest.raises(ScaleError, match="--source-mpp"):
        request(unknown, mpp=0.25)
    assert request(unknown, mpp=0.25, source_mpp=0.5).output.size_xy == (120, 80)
    assert request(unknown, scale=2).mpp is None
    with pytest.raises(InputError, match="micrometres"):
        request(unknown, region="0,0,10um,10um", scale=2)


def polygon(path: Path, *corners: tuple[float, float]) -> Path:
    ring = [list(corner) for corner in (*corners, corners[0])]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return path


def test_polygons_are_surrounded_by_the_region(source: Path, tmp_path: Path) -> None:
    roi = polygon(tmp_path / "roi.geojson", (10, 5), (40, 5), (40, 25))
    found = request(source, roi=roi, scale=2)
    assert found.roi is not None
    assert found.region == found.roi.rectangle
    assert found.region.size_xy == (30, 20)


def test_an_annotation_that_is_wrong_is_named_and_not_the_slide(source: Path, tmp_path: Path) -> None:
    outside = polygon(tmp_path / "outside.geojson", (100, 100), (140, 100), (140, 120))
    damaged = tmp_path / "damaged.geojson"
    damaged.write_text('{"type": "Polygon", "coordinates": [[[0')
    for path in (outside, damaged, tmp_path / "missing.geojson"):
        with pytest.raises(InputError, match=path.name):
            request(source, roi=path, scale=2)
