"""Upscale a slide from Python; file formats are imported when the function is called."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscale.upscaling.results import SlideOutcome


def upscale_slide(
    source: Path | str,
    target: Path | str,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "SlideOutcome":
    """Upscale a slide tile by tile, in bounded memory, and write it with lower-resolution levels.

    As ``histoscale upscale``. With more than one worker a script needs ``if __name__ == "__main__":`` around
    the call, as always where Python starts processes.

    Args:
        source: slide or image.
        target: ends in .ome.tiff, .ome.zarr or .dcm.
        progress: called with the number of output pixels that are done, and of all.
        **options: by the names of `histoscale.upscaling.options.Options`, which explains them; exactly one of
            ``scale``, ``size_xy``, ``mpp`` and ``magnification`` is required.

    Raises:
        HistoscaleError: of the kind that says what is wrong; finished tiles are kept for ``resume=True``.
        TypeError: if there is no option of that name.

    Example:
        >>> import histoscale
        >>> histoscale.upscale_slide("slide.svs", "slide.ome.tiff", mpp=0.25).line()  # doctest: +SKIP
    """
    from histoscale.upscaling import slide
    from histoscale.upscaling.engine import Engine
    from histoscale.upscaling.executors import executor_for
    from histoscale.upscaling.finished import finished_outcome
    from histoscale.upscaling.options import Options

    roi = options.get("roi")
    asked = Options(
        **options | {"roi": Path(roi) if roi else None, "tissue": str(options.get("tissue", Options.tissue))}
    )
    source, target, engine = Path(source), Path(target), Engine.of(asked)
    if asked.resume and (finished := finished_outcome(source, target, asked, engine)):
        return finished
    with executor_for(asked) as executor:
        return slide.upscale_slide(source, target, asked, engine, executor, progress)
