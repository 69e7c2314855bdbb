"""The plan of a slide, as plain data: which pixels come from where, and which rectangle is which tile.

**Convention.** Pairs are (x, y), in pixels of the named frame; `OutputTile` has rows and columns.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from histoscale.resources import Precision
from histoscale.upscaling.record import UsedModel

Method: TypeAlias = Literal["model", "reduce", "copy"]
"""Upscale with the model, downsample by antialiased bicubic, or copy the pixels."""

Part: TypeAlias = tuple[slice, slice]
"""Rows and columns of the output."""


@dataclass(frozen=True)
class OutputTile:
    """One square of the output, smaller at the right and lower edge."""

    index: int
    rows: slice
    cols: slice

    @property
    def part(self) -> Part:
        """Its rows and columns."""
        return self.rows, self.cols

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    @property
    def pixels(self) -> int:
        """Their number."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class ModelSetting:
    """Model, device and precision; chosen once and the same on every worker.

    Attributes:
        name: shipped name or path of weights, as given.
        sha256: of the weights.
        card_name, scales: the model's own name and the least and largest scale it was trained for.
        device: "cpu", "cuda", "cuda:1", ...
        processor: name of the device; another one may round differently.
        halo_px, alignment_px: of the model, see `histoscale.models.base`.
        through: its fixed scale, if bicubic interpolation resizes its output; else 0.
    """

    name: str
    sha256: str
    device: str
    processor: str
    precision: Precision
    halo_px: int
    alignment_px: int
    card_name: str = ""
    scales: tuple[float, float] = (1.0, 1.0)
    through: int = 0

    @property
    def margin_px(self) -> int:
        """Input pixels that a window may have beyond a tile: context, and rounding to blocks of cells."""
        return self.halo_px + self.alignment_px - 1

    @property
    def used(self) -> UsedModel:
        """The model as output files and messages name it."""
        return UsedModel(self.card_name, self.sha256, self.precision, self.scales, self.through)


@dataclass(frozen=True)
class SlidePlan:
    """Everything that decides the pixels of an output slide.

    Attributes:
        source: the slide.
        level: which of its levels is read.
        level_xy, level_size_xy: the rectangle of that level that is read; nothing outside it has an effect.
        box_xy: left, top, right, bottom of the region in that rectangle, in its pixels; fractional if a lower
            level is downsampled.
        size_xy: pixels of the output.
        tile_px: side of an output tile.
        setting: None if no model is used.
        tissue: whether background, by the mask in the store, is interpolated instead of super-resolved.
        is_grey: whether the slide is grey, so that the output has three equal channels.
    """

    source: Path
    level: int
    level_xy: tuple[int, int]
    level_size_xy: tuple[int, int]
    box_xy: tuple[float, float, float, float]
    size_xy: tuple[int, int]
    tile_px: int
    method: Method
    setting: ModelSetting | None = None
    tissue: bool = False
    is_grey: bool = False

    @property
    def grid_xy(self) -> tuple[int, int]:
        """Output tiles across and down."""
        # Rounded up: the last tile of a row or column is cut off at the edge.
        return -(-self.size_xy[0] // self.tile_px), -(-self.size_xy[1] // self.tile_px)

    @property
    def tile_count(self) -> int:
        """Number of tiles of the output."""
        return self.grid_xy[0] * self.grid_xy[1]

    def tile(self, index: int) -> OutputTile:
        """The tile of that number, counted in reading order."""
        row, col = divmod(index, self.grid_xy[0])  # reading order is the order of the writers
        rows, cols = (self._side(i, n) for i, n in ((row, self.size_xy[1]), (col, self.size_xy[0])))
        return OutputTile(index, rows, cols)

    def tiles_under(self, xy: tuple[int, int], size_xy: tuple[int, int]) -> list[int]:
        """Numbers of the tiles that a rectangle of the output overlaps."""
        # The last pixel decides: a rectangle that ends at a border does not touch the next tile.
        cols, rows = (
            range(start // self.tile_px, (start + length - 1) // self.tile_px + 1)
            for start, length in zip(xy, size_xy, strict=True)
        )
        return [row * self.grid_xy[0] + col for row in rows for col in cols]

    def _side(self, i: int, n: int) -> slice:
        return slice(i * self.tile_px, min((i + 1) * self.tile_px, n))


@dataclass(frozen=True)
class TileJob:
    """A plan and the store of its tiles: all that a worker on any machine needs.

    Attributes:
        source_digest: of the slide's content, which a worker compares; empty if it is not known.
        run: another text for each call. What a worker keeps open for one call serves no other, so the pixels
            of a file that was replaced, or of another tissue mask, are never taken for those of this one.
    """

    plan: SlidePlan
    store: Path
    source_digest: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True)
class TileResult:
    """The report of a worker on a tile that is complete in the store.

    Attributes:
        index: the tile's number.
        pixels: of the output.
        model_pixels: those of them that the model computed; the others are interpolated or copied.
        read_s, model_s, interpolate_s, store_s: seconds in each kind of work.
        parts: number of parts it was computed in; more than one if memory ran out.
        worker: host and process.
    """

    index: int
    pixels: int
    model_pixels: int
    read_s: float
    model_s: float
    interpolate_s: float
    store_s: float
    parts: int
    worker: str
