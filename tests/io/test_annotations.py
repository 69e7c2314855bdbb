"""Rectangles as text, and polygons as QuPath writes them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscale.errors import InputError
from histoscale.io.annotations import Rectangle, parse_region, read_roi
from histoscale.io.slide import Description, Mpp

SLIDE = Description(Path("x.svs"), "Aperio slide", (1000, 800), "RGB", 8, mpp=Mpp(0.5, 0.25))
SQUARE = [[100, 200], [300, 200], [300, 400], [100, 400], [100, 200]]
HOLE = [[150, 250], [250, 250], [250, 350], [150, 350], [150, 250]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def feature(geometry: dict[str, Any] | None) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation"}}


def save(folder: Path, document: Any) -> Path:
    path = folder / "roi.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10,20,30,40", ((10, 20), (30, 40))),
        ("0, 0, 1000, 800", ((0, 0), (1000, 800))),
        ("50um,50um,100um,100 um", ((100, 200), (200, 400))),
        ("10px,50µm,30,1.1um", ((10, 200), (30, 4))),
    ],
)
def test_regions(text: str, expected: Rectangle) -> None:
    assert parse_region(text, SLIDE) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3", "is x,y,width,height"),
        ("1,2,3,4,5", "is x,y,width,height"),
        ("a,2,3,4", "got 'a,2,3,4'"),
        ("1,2,3mm,4", "is x,y,width,height"),
        ("0,0,0,5", "is empty: 0 x 5 px"),
        ("0,0,5,-5", "is empty: 5 x -5 px"),
        ("0,0,0.1um,5um", "is empty: 0 x 20 px"),
        ("0,0,1001,5", r"0,0,1001,5 reaches beyond x\.svs.*1000 x 800 px"),
        ("-1,0,5,5", "reaches beyond"),
        ("0,799,5,2", "reaches beyond"),
    ],
)
def test_regions_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        parse_region(text, SLIDE)
    assert str(refused.value).count(". ") == 0


def test_micrometres_need_an_mpp() -> None:
    unknown = Description(Path("x.png"), "PNG", (1000, 800), "RGB", 8)
    assert parse_region("0,0,5,5", unknown) == ((0, 0), (5, 5))
    with pytest.raises(InputError, match="give --source-mpp"):
        parse_region("0,0,5um,5", unknown)


@pytest.mark.parametrize(
    "document",
    [
        polygon(SQUARE),
        feature(polygon(SQUARE)),
        {"type": "FeatureCollection", "features": [feature(None), feature(polygon(SQUARE))]},
        [feature(polygon(SQUARE))],
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE)]},
        {"type": "MultiPolygon", "coordinates": [[SQUARE]]},
        polygon([[x, y, 0] for x, y in SQUARE]),
    ],
)
def test_a_square_in_every_wrapping(tmp_path: Path, document: Any) -> None:
    roi = read_roi(save(tmp_path, document), SLIDE)
    assert roi.rectangle == ((100, 200), (200, 200))
    assert len(roi.polygons) == 1
    assert roi.notes == ()
    assert roi.cells((4, 5)).all()


def test_a_hole_is_left_out(tmp_path: Path) -> None:
    cells = read_roi(save(tmp_path, polygon(SQUARE, HOLE)), SLIDE).cells((20, 20))
    assert not cells[6:15, 6:15].any()
    cells[6:15, 6:15] = True
    assert cells.all()


def test_the_hole_of_one_polygon_does_not_cut_another(tmp_path: Path) -> None:
    path = save(tmp_path, {"type": "MultiPolygon", "coordinates": [[HOLE], [SQUARE, HOLE]]})
    assert read_roi(path, SLIDE).cells((20, 20)).all()


def test_cells_follow_a_slanted_outline(tmp_path: Path) -> None:
    """Of a triangle's bounding square half the cells are touched, and those on the diagonal."""
    triangle = [[0, 0], [640, 640], [0, 640], [0, 0]]
    cells = read_roi(save(tmp_path, polygon(triangle)), SLIDE).cells((64, 64))
    rows, columns = np.indices((64, 64))
    assert cells[rows >= columns].all()
    assert not cells[columns > rows + 1].any()


def test_what_lies_beyond_the_rim_is_cut(tmp_path: Path) -> None:
    outline = [[-50.5, 700.2], [120.7, 700.2], [120.7, 900], [-50.5, 900]]
    roi = read_roi(save(tmp_path, polygon(outline)), SLIDE)
    assert roi.rectangle == ((0, 700), (121, 100))
    assert roi.cells((5, 6)).all()


def test_other_geometries_are_left_out_and_named(tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    roi = read_roi(save(tmp_path, [feature(point), feature(polygon(SQUARE))]), SLIDE)
    assert roi.rectangle == ((100, 200), (200, 200))
    assert "Point in roi.geojson left out" in roi.notes[0]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "is not GeoJSON: "),
        ("[]", "holds no polygon"),
        ({"type": "Point", "coordinates": [1, 2]}, "holds no polygon.*Point"),
        ({"kind": "Polygon"}, "is not GeoJSON of polygons"),
        (7, "is not GeoJSON of polygons"),
        ({"type": "Feature"}, "is not GeoJSON of polygons"),
        ({"type": "Polygon"}, "is not GeoJSON of polygons"),
        (polygon([[1, 2], [3, 4]]), "holds no polygon"),
        (polygon([[1, 2], [3, 4], [5, float("nan")]]), "finite"),
        (polygon([["a", "b"], [3, 4], [5, 6]]), "is not GeoJSON of polygons"),
        (polygon([[10**400, 2], [3, 4], [5, 6]]), "is not GeoJSON of polygons"),
        ("[" * 100_000, "nested"),
        ("9" * 5000, "is not GeoJSON"),
        (polygon([[5, 5], [5, 5], [5, 5]]), "holds no polygon"),
        (polygon([[x + 900, y] for x, y in SQUARE]), r"from \(1000, 200\) to \(1200, 400\), outside x.svs"),
    ],
)
def test_refusals(tmp_path: Path, document: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        read_roi(save(tmp_path, document), SLIDE)
    assert str(refused.value).count(". ") == 0


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_roi(tmp_path / "roi.geojson", SLIDE)


EMPTY = [polygon(), polygon([]), polygon([[1, 2], [1, 2]]), {"type": "MultiPolygon", "coordinates": [[]]}]


@pytest.mark.parametrize("empty", EMPTY)
def test_empty_and_degenerate_polygons_are_left_out_with_a_note(
    tmp_path: Path, empty: dict[str, Any]
) -> None:
    roi = read_roi(save(tmp_path, [feature(empty), feature(polygon(SQUARE))]), SLIDE)
    assert roi.rectangle == ((100, 200), (200, 200))
    assert "1 empty or degenerate polygons in roi.geojson" in roi.notes[0]
    with pytest.raises(InputError, match="holds no polygon"):
        read_roi(save(tmp_path, feature(empty)), SLIDE)


def test_a_degenerate_hole_is_no_hole(tmp_path: Path) -> None:
    roi = read_roi(save(tmp_path, polygon(SQUARE, [[150, 250], [150, 250], [150, 250]])), SLIDE)
    assert roi.cells((4, 4)).all()


def test_points_far_outside_the_slide(tmp_path: Path) -> None:
    roi = read_roi(
        save(tmp_path, polygon([[-1e300, -1e300], [1e300, -1e300], [1e300, 1e300], [-1e300, 1e300]])), SLIDE
    )
    assert roi.rectangle == ((0, 0), (1000, 800))
    assert roi.cells((8, 10)).all()


def test_polygons_count_from_the_corner_of_the_scanned_part(tmp_path: Path) -> None:
    slide = replace(SLIDE, bounds_xy=(400, 300), bounds_size_xy=(500, 450))
    path = save(tmp_path, polygon(SQUARE))
    assert read_roi(path, slide).rectangle == ((500, 500), (200, 200))
    assert read_roi(path, slide).cells((4, 4)).all()
    assert parse_region("10,20,30,40", slide) == ((10, 20), (30, 40)), "a region counts from the whole slide"


def test_a_byte_order_mark_is_no_part_of_json(tmp_path: Path) -> None:
    path = tmp_path / "roi.geojson"
    path.write_text(json.dumps(polygon(SQUARE)), encoding="utf-8-sig")
    assert read_roi(path, SLIDE).rectangle == ((100, 200), (200, 200))


def test_a_file_larger_than_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.resources.available_bytes", lambda: 1000)
    with pytest.raises(InputError, match=r"roi\.geojson is too large"):
        read_roi(save(tmp_path, polygon(SQUARE)), SLIDE)


@pytest.mark.parametrize(
    ("name", "words"), [("empty_poly.geojson", "empty"), ("one_degenerate.geojson", "degenerate")]
)
def test_cases_with_an_empty_polygon(cases: Path, name: str, words: str) -> None:
    roi = read_roi(cases / "roi" / name, SLIDE)
    assert roi.rectangle == ((100, 100), (200, 200))
    assert words in roi.notes[0]


def test_a_case_that_is_nested_too_deeply(cases: Path) -> None:
    with pytest.raises(InputError, match=r"roi_deep\.geojson .*nested"):
        read_roi(cases / "roi" / "roi_deep.geojson", SLIDE)
