"""The whole-slide verb for programs; file formats are imported when it is called."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from histoscale.upscaling.results import SlideOutcome


def upscale_slide(
    source: Path | str,
    target: Path | str,
    *,
    scale: float | None = None,
    size_xy: tuple[int, int] | None = None,
    mpp: float | None = None,
    magnification: float | None = None,
    source_mpp: float | None = None,
    model: str = "iste-fast",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    tile_px: int | None = None,
    allow_resize: bool = False,
    region: str | None = None,
    roi: Path | str | None = None,
    tissue: Path | str = "mask",
    compression: Literal["jpeg", "jpeg2000", "zstd", "deflate", "none"] | None = None,
    quality: int | None = None,
    layout: Literal["ome", "openslide", "both"] = "ome",
    max_memory_bytes: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> "SlideOutcome":
    """Read a slide, upscale it tile by tile, and write it as a pyramid, in bounded memory.

    As ``histoscale upscale``. With more than one worker a script needs ``if __name__ == "__main__":`` around
    the call, as always where Python starts processes.

    Args:
        source: anything a scanner wrote, or a picture.
        target: ends in .ome.tiff, .ome.zarr or .dcm.
        scale, size_xy, mpp, magnification: exactly one; mpp is in micrometres per pixel.
        source_mpp: where the source does not say it, or says it wrongly.
        model: shipped name or path of weights.
        device, precision: "auto" is a GPU where there is one, and bf16 where it is native.
        tile_px: side of an output tile, a power of two; by default the largest that fits memory.
        allow_resize: take a fixed-scale model to other scales by bicubic.
        region: "x,y,width,height" in pixels of level 0, or micrometres with the suffix um.
        roi: a GeoJSON file with polygons, as QuPath writes it.
        tissue: "mask" sends glass through bicubic, "all" nothing; or the path of a mask.
        compression, quality, layout: of the pyramid.
        max_memory_bytes: of all processes together.
        workers: processes; one for each core by default, and 1 computes in this one.
        cluster: "local" or the address of a Dask scheduler.
        resume: go on with what an interrupted run left.
        overwrite: replace an existing target.
        progress: called with output pixels done and their total.

    Raises:
        HistoscaleError: of the kind that says what is wrong; what is finished is kept for ``resume``.

    Example:
        >>> import histoscale
        >>> histoscale.upscale_slide("slide.svs", "slide.ome.tiff", mpp=0.25).line()  # doctest: +SKIP
    """
    from histoscale.upscaling.engine import Engine
    from histoscale.upscaling.executors import executor_for
    from histoscale.upscaling.geometry import Wish
    from histoscale.upscaling.options import Options
    from histoscale.upscaling.slide import upscale_slide as carry_out

    options = Options(
        Wish(scale, size_xy, mpp, magnification),
        source_mpp=source_mpp,
        quality=quality,
        overwrite=overwrite,
        region=region,
        roi=Path(roi) if roi else None,
        tissue=str(tissue),
        compression=compression,
        layout=layout,
        max_memory_bytes=max_memory_bytes,
        workers=workers,
        resume=resume,
        cluster=cluster,
    )
    engine = Engine(model, device, precision, tile_px, allow_resize)
    with executor_for(options) as executor:
        return carry_out(Path(source), Path(target), options, engine, executor, progress)
