from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image
from scipy import ndimage

from histoscale.errors import InputError
from histoscale.io import tissue
from histoscale.io.slide import Description, Mpp, Slide
from histoscale.io.tissue import TissueMask, blend, find_tissue, grid_of, read_cells, segment
from histoscale.io.tissue_image import read_tissue

BACKGROUND, STROMA, NUCLEI = 243.0, 214.0, 90.0


class Painted(Slide):
    def __init__(self, pixels: np.ndarray, mpp: float = 0.5):
        self.pixels = pixels
        size_xy = pixels.shape[1], pixels.shape[0]
        self.description = Description(Path("painted"), "array", size_xy, "RGB", 8, Mpp(mpp, mpp))

    def read_region(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        (x, y), (w, h) = level_xy, size_xy
        return self.pixels[y : y + h, x : x + w]

    def associated_image(self, name: str) -> np.ndarray:
        raise InputError("none.")

    def close(self) -> None:
        pass


def field(value: float, h: int = 40, w: int = 60, spread: float = 2.0) -> np.ndarray:
    values = np.random.default_rng(0).normal(value, spread, (h, w))
    return values.clip(0, 255).astype(np.float32)


def wholly(mask: TissueMask) -> tuple[slice, slice, tuple[int, int]]:
    h, w = mask.cells.shape
    return slice(0, h), slice(0, w), (h, w)


@pytest.fixture
def blob() -> TissueMask:
    cells = np.zeros((20, 30), bool)
    cells[6:12, 9:21] = True
    return TissueMask(cells)


@pytest.mark.parametrize("value", [255.0, 243.0, 228.0, 215.0])
def test_background_alone_has_no_tissue(value: float) -> None:
    assert not segment(field(value)).any()


@pytest.mark.parametrize("value", [200.0, 150.0, 60.0])
def test_tissue_alone_is_not_split(value: float) -> None:
    mixed = np.where(field(0, spread=1) > 0.5, field(value), field(value * 0.6))
    assert segment(mixed).all()


@pytest.mark.parametrize("value", [0.0, 128.0, 255.0])
def test_a_field_of_one_value_is_taken_whole_or_not_at_all(value: float) -> None:
    found = segment(np.full((5, 5), value, np.float32))
    assert found.all() == found.any() == (value < 200)


def test_unevenly_lit_background_has_no_tissue() -> None:
    light = np.linspace(1, 0.96, 60)[None] * field(245)
    assert not segment(light.astype(np.float32)).any()


@pytest.mark.parametrize("background", [252.0, BACKGROUND, 226.0])
def test_pale_stroma_beside_nuclei_is_tissue_and_background_is_not(background: float) -> None:
    values = field(background)
    values[10:30, 10:25] = field(STROMA * background / BACKGROUND)[10:30, 10:25]
    values[10:30, 25:40] = field(NUCLEI)[10:30, 25:40]
    found = segment(values)
    assert found[10:30, 10:40].mean() > 0.98
    assert (TissueMask(found).fading[10:30, 10:40] == 1).all()
    assert np.argwhere(found).min(0).tolist() == [10, 10]
    assert np.argwhere(found).max(0).tolist() == [29, 39]


def test_dust_goes_and_gaps_close() -> None:
    values = field(BACKGROUND)
    values[10:30, 10:40] = NUCLEI
    values[15:20, 15:20] = BACKGROUND  # a gap of 25 cells
    values[5, 50] = values[35, 50:52] = NUCLEI  # dust
    found = segment(values)
    assert found[10:30, 10:40].all()
    assert not found[:, 40:].any()


def test_a_large_lumen_stays_background_and_tissue_cut_by_the_rim_stays_tissue() -> None:
    values = field(BACKGROUND)
    values[5:35, 10:40] = NUCLEI
    values[10:30, 15:35] = BACKGROUND
    values[0, 59] = NUCLEI
    found = segment(values)
    assert not found[10:30, 15:35].any()
    assert found[0, 59]


def test_weights_are_1_on_every_pixel_of_tissue(blob: TissueMask) -> None:
    size = (20 * 37, 30 * 37)
    weights = blob.weights(slice(0, size[0]), slice(0, size[1]), size)
    on_tissue = np.kron(blob.cells, np.ones((37, 37), bool))
    assert (weights[on_tissue] == 1).all()
    assert weights[0, 0] == weights[-1, -1] == 0
    assert set(np.unique(np.sign(weights))) == {0, 1}


def test_weights_fall_smoothly(blob: TissueMask) -> None:
    size = (2000, 3000)
    weights = blob.weights(slice(0, 2000), slice(0, 3000), size)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.01
    assert np.abs(np.diff(weights, axis=1)).max() < 0.01
    assert (np.diff(weights[900, 2100:]) <= 0).all()


@pytest.mark.parametrize("size", [(333, 517), (20, 30), (7, 11)])
def test_a_pixel_weighs_the_same_whatever_part_is_asked(blob: TissueMask, size: tuple[int, int]) -> None:
    whole = blob.weights(slice(0, size[0]), slice(0, size[1]), size)
    step = max(size[0] // 5, 1)
    for top in range(0, size[0], step):
        for left in range(0, size[1], step):
            rows, cols = slice(top, min(top + step, size[0])), slice(left, min(left + step, size[1]))
            assert np.array_equal(blob.weights(rows, cols, size), whole[rows, cols])


def test_weights_are_centred_on_their_cells(blob: TissueMask) -> None:
    rows, cols, size = slice(0, 81), slice(0, 121), (81, 121)
    mirrored = TissueMask(np.ascontiguousarray(blob.cells[::-1, ::-1]))
    assert np.allclose(
        mirrored.weights(rows, cols, size)[::-1, ::-1], blob.weights(rows, cols, size), atol=1e-6
    )


def test_any_and_all_agree_with_the_weights(blob: TissueMask) -> None:
    size, counts = (640, 960), [0, 0]
    for top in range(0, 640, 64):
        for left in range(0, 960, 64):
            part = slice(top, top + 64), slice(left, left + 64), size
            weights = blob.weights(*part)
            if not blob.any(*part):
                assert (weights == 0).all()
                counts[0] += 1
            if blob.all(*part):
                assert (weights == 1).all()
                counts[1] += 1
    assert min(counts) > 10


def test_share_counts_parts_of_cells(blob: TissueMask) -> None:
    size = (200, 300)
    assert blob.share(slice(0, 200), slice(0, 300), size) == pytest.approx(72 / 600)
    assert blob.share(slice(55, 65), slice(85, 95), size) == pytest.approx(0.25)
    assert blob.share(slice(60, 120), slice(90, 210), size) == pytest.approx(1)
    assert blob.share(slice(0, 3), slice(0, 3), size) == 0


def test_an_empty_mask_weighs_nothing() -> None:
    mask = TissueMask(np.zeros((3, 4), bool))
    assert not mask.weights(slice(0, 30), slice(0, 40), (30, 40)).any()
    assert not mask.any(slice(0, 30), slice(0, 40), (30, 40))
    assert TissueMask(np.ones((3, 4), bool)).all(slice(0, 30), slice(0, 40), (30, 40))


def test_blending_keeps_the_model_on_tissue_and_the_interpolated_pixels_on_background() -> None:
    rng = np.random.default_rng(0)
    model, interpolated = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    weights = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(64, 0)
    weights[:, :20], weights[:, 40:] = 0, 1
    mixed = blend(model, interpolated, weights)
    assert np.array_equal(mixed[:, :20], interpolated[:, :20])
    assert np.array_equal(mixed[:, 40:], model[:, 40:])
    middle = interpolated + weights[..., None] * (model.astype(float) - interpolated)
    assert np.abs(mixed - middle).max() <= 0.501


def test_a_saved_mask_is_read_back(blob: TissueMask, tmp_path: Path) -> None:
    blob.save(tmp_path / "mask.png")
    assert np.array_equal(TissueMask.load(tmp_path / "mask.png").cells, blob.cells)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_a_drawn_mask_lies_over_the_whole_slide(tmp_path: Path, mode: str) -> None:
    drawn = np.zeros((40, 60), np.uint8)
    drawn[10:20, 30:45] = 1
    image = Image.fromarray(drawn * 255 if mode in {"1", "RGB", "RGBA"} else drawn)
    image = Image.fromarray(drawn.astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    suffix = "png" if mode == "RGBA" else "tif"
    image.save(tmp_path / f"mask.{suffix}")
    slide = Painted(np.zeros((640, 960, 3), np.uint8))  # a mask pixel is 16 px, a cell 32
    mask = read_tissue(tmp_path / f"mask.{suffix}", slide, (0, 0), (960, 640))
    expected = np.zeros((20, 30), bool)
    expected[5:10, 15:23] = True
    assert np.array_equal(mask.cells, expected)


def test_a_region_gets_its_part_of_a_drawn_mask(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).random((80, 120)) < 0.05
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    slide = Painted(np.zeros((640, 960, 3), np.uint8))
    whole = read_tissue(tmp_path / "mask.png", slide, (0, 0), (960, 640))
    part = read_tissue(tmp_path / "mask.png", slide, (320, 64), (320, 128))
    assert np.array_equal(part.cells, whole.cells[2:6, 10:20])


def test_a_coarse_drawn_mask_is_true_to_within_a_cell(tmp_path: Path) -> None:
    drawn = np.zeros((4, 6), bool)
    drawn[1:3, 2:5] = True
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    mask = read_tissue(tmp_path / "mask.png", Painted(np.zeros((640, 960, 3), np.uint8)), (0, 0), (960, 640))
    exact = np.kron(drawn, np.ones((5, 5), bool))
    assert np.array_equal(mask.cells, exact)


def test_a_mask_over_the_bounds_is_placed_there(tmp_path: Path) -> None:
    drawn = np.zeros((20, 20), bool)
    drawn[5:10, :10] = True
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    slide = Painted(np.zeros((640, 960, 3), np.uint8))
    slide.description = replace(slide.description, bounds_xy=(640, 320), bounds_size_xy=(320, 320))
    expected = np.zeros((20, 30), bool)
    expected[10 + 2 : 10 + 5, 20:25] = True
    mask = read_tissue(tmp_path / "mask.png", slide, (0, 0), (960, 640))
    assert np.array_equal(mask.cells, expected)


def test_a_mask_of_other_proportions_is_refused(tmp_path: Path) -> None:
    Image.new("1", (40, 60), 1).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png has 40 x 60 px.*960 x 640"):
        read_tissue(tmp_path / "mask.png", Painted(np.zeros((640, 960, 3), np.uint8)), (0, 0), (960, 640))


def test_a_mask_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        TissueMask.load(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(InputError, match="damaged"):
        TissueMask.load(tmp_path / "bad.png")


def test_a_mask_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (60, 40), 1).save(tmp_path / "mask.png")
    monkeypatch.setattr("histoscale.resources.available_bytes", lambda: 1000)
    with pytest.raises(InputError, match=r"mask\.png: 60 x 40 px are too large"):
        TissueMask.load(tmp_path / "mask.png")


@pytest.mark.parametrize(
    ("name", "mpp", "share"),
    [
        ("aperio/CMU-1-Small-Region.svs", 0.499, (0.4, 0.55)),
        ("aperio/TCGA-CR-7395-01A-01-TS1.svs", 1.0, (0.6, 0.75)),
        ("dicom/multiframe_camelyon_challenge_image.dcm", 28.97, (0.2, 0.35)),
    ],
)
def test_real_slides(data_root: Path, name: str, mpp: float, share: tuple[float, float]) -> None:
    with openslide.OpenSlide(data_root / "wsi" / name) as opened:
        drawn = opened.read_region((0, 0), 0, opened.dimensions)
    on_white = Image.new("RGB", drawn.size, "white")
    on_white.paste(drawn, mask=drawn.getchannel("A"))
    slide = Painted(np.asarray(on_white), mpp)
    mask = find_tissue(slide, (0, 0), drawn.size)
    assert share[0] < mask.share(*wholly(mask)) < share[1]
    stained = np.asarray(on_white.convert("HSV"))[..., 1] > 64  # far more than background shows
    size = stained.shape
    missed = stained & (mask.weights(slice(0, size[0]), slice(0, size[1]), size) < 1)
    assert missed.sum() < 0.002 * stained.sum()
    assert ndimage.binary_opening(missed, iterations=max(int(8 / mpp), 1)).sum() == 0


def test_real_fields_of_tissue_are_taken_whole(data_root: Path) -> None:
    fields = sorted((data_root / "monuseg" / "images").glob("*.webp"))[::6]
    assert len(fields) == 6
    for path in fields:
        with Image.open(path) as image:
            slide = Painted(np.asarray(image.convert("RGB")), 0.25)
        mask = find_tissue(slide, (0, 0), slide.levels_xy[0])
        assert mask.share(*wholly(mask)) > 0.97, path.name


class PaintedLevels(Slide):
    """Levels in memory; remembers what was read."""

    def __init__(self, *levels: np.ndarray, mpp: float | None = 0.5):
        self.levels = levels
        self.read: list[tuple[int, tuple[int, int], tuple[int, int]]] = []
        sizes = tuple((pixels.shape[1], pixels.shape[0]) for pixels in levels)
        self.description = Description(
            Path("painted"), "array", sizes[0], "RGB", 8, Mpp(mpp, mpp) if mpp else None, levels_xy=sizes
        )

    def read_region(self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]) -> np.ndarray:
        (x, y), (w, h) = level_xy, size_xy
        height, width, _ = self.levels[level].shape
        if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
            raise InputError("outside.")
        self.read.append((level, level_xy, size_xy))
        return self.levels[level][y : y + h, x : x + w]

    def associated_image(self, name: str) -> np.ndarray:
        raise InputError("none.")

    def close(self) -> None:
        pass


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_cells_are_16_um_a_side_or_32_px() -> None:
    image = noise(320, 640)
    assert grid_of(PaintedLevels(image, mpp=0.5), (640, 320)) == (10, 20)
    assert grid_of(PaintedLevels(image, mpp=0.25), (640, 320)) == (5, 10)
    assert grid_of(PaintedLevels(image, mpp=None), (640, 320)) == (10, 20)
    assert grid_of(PaintedLevels(image, mpp=29), (640, 320)) == (320, 640)


def test_cells_grow_with_huge_rectangles() -> None:
    h, w = grid_of(PaintedLevels(noise(2, 2)), (1_000_000, 500_000))
    assert h * w <= 1.01 * tissue.MOST_CELLS
    assert w / h == pytest.approx(2, rel=0.01)


def test_a_cell_is_its_darkest_spot_in_its_darkest_channel() -> None:
    image = np.full((64, 64, 3), 240, np.uint8)
    image[40:48, 8:16, 1] = 100  # one spot of the cell in row 1, column 0
    image[4, 40] = 0  # a pixel is no spot: 1 of 64
    values = read_cells(PaintedLevels(image), (0, 0), (64, 64))
    assert values.tolist() == [[240, pytest.approx(240 * 63 / 64, abs=1)], [100, 240]]


def test_blocks_do_not_change_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = PaintedLevels(noise(300, 500), mpp=0.7)
    whole = read_cells(slide, (13, 7), (450, 290))
    assert len(slide.read) == 1
    monkeypatch.setattr(tissue, "BLOCK_PX", 64)
    pieces = read_cells(slide, (13, 7), (450, 290))
    assert np.abs(pieces - whole).max() <= 8  # pixels in the middle between two spots of noise go to either
    assert (pieces == whole).mean() > 0.9
    assert len(slide.read) > 20
    assert max(max(size_xy) for _, _, size_xy in slide.read[1:]) <= 64 + 2


def test_the_coarsest_level_that_shows_spots_is_read() -> None:
    slide = PaintedLevels(
        *(noise(1024 // step, 2048 // step) for step in (1, 2, 8, 16, 32))
    )  # a spot is 8 px
    read_cells(slide, (200, 96), (1024, 512))
    assert slide.read == [(2, (25, 12), (128, 64))]


def test_a_rectangle_to_the_edge_of_an_odd_level_stays_inside() -> None:
    slide = PaintedLevels(noise(1001, 1003), noise(250, 250))
    assert read_cells(slide, (3, 1), (1000, 1000)).shape == (32, 32)
    assert slide.read[0][0] == 1


@pytest.mark.parametrize("size_xy", [(0, 10), (10, -1)])
def test_an_empty_rectangle_is_refused(size_xy: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="larger region"):
        read_cells(PaintedLevels(noise(64, 64)), (0, 0), size_xy)


def test_levels_of_a_real_slide_agree(data_root: Path) -> None:
    path = data_root / "wsi" / "aperio" / "TCGA-CR-7395-01A-01-TS1.svs"
    with openslide.OpenSlide(path) as slide:
        fine, coarse = (
            np.asarray(slide.read_region((0, 0), i, slide.level_dimensions[i]).convert("RGB")) for i in (0, 1)
        )
    both, one = PaintedLevels(fine, coarse, mpp=1), PaintedLevels(fine, mpp=1)
    size_xy = both.levels_xy[0]
    assert np.abs(read_cells(both, (0, 0), size_xy) - read_cells(one, (0, 0), size_xy)).mean() < 8
    assert {level for level, *_ in both.read} == {1}
