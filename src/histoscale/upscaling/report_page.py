"""The report as one HTML file: no scripts, nothing from outside, every value escaped.

The template `report.html` beside this file is the page; here are the words and numbers that it shows.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import NamedTuple

from histoscale.html import render
from histoscale.io.provenance import SUPER_RESOLVED
from histoscale.io.slide import Mpp
from histoscale.upscaling.results import Failure, Invocation, Outcome, SlideOutcome, mpp_in_words

INDEX_FROM = 3
"""Number of files from which the page has a table of contents."""


class Fact(NamedTuple):
    """A line of the page: a term and its value."""

    term: str
    value: str
    is_code: bool = False


class View(NamedTuple):
    """An overview of the source or the output, as a JPEG in base64."""

    title: str
    jpeg: str
    caption: str


def page(results: Sequence[Outcome | Failure], run: Invocation) -> str:
    """Return the whole page."""
    return render(
        __package__,
        "report.html",
        title=_title(results),
        when=f"{run.started:%d %B %Y, %H:%M} · {_duration(run.seconds)}",
        command=run.command,
        results=[(result, _state(result)) for result in results],
        has_index=len(results) >= INDEX_FROM,
        version=version("histoscale"),
        views=_views,
        keys=_keys,
        facts=_facts,
        work=_work,
        size=_size,
        mpp=_mpp,
        duration=_duration,
    )


def _title(results: Sequence[Outcome | Failure]) -> str:
    written = sum(isinstance(result, Outcome) for result in results)
    noun = "file" if len(results) == 1 else "files"
    if written == len(results):
        return f"{written} {noun} written"
    return f"{written} of {len(results)} {noun} written"


def _state(result: Outcome | Failure) -> str:
    if isinstance(result, Outcome):
        return "written"
    return "failed" if result.was_tried else "not tried"


def _views(result: Outcome) -> Iterator[View]:
    """Source and output, where there is an image of them."""
    if not isinstance(result, SlideOutcome):
        return
    power_after = result.provenance.power if result.provenance else None
    sides = (
        ("Source", result.views.source, result.before_xy, result.mpp_before, result.power_before),
        ("Output", result.views.target, result.after_xy, result.mpp_after, power_after),
    )
    for title, jpeg, size_xy, mpp, power in sides:
        if jpeg:
            caption = " · ".join([_size(size_xy), _mpp(mpp), *([f"{power:.4g}x"] if power else [])])
            yield View(title, b64encode(jpeg).decode("ascii"), caption)


def _work(result: Outcome) -> list[tuple[str, float, float]]:
    """Kind of work, share of the time and seconds; nothing where it was not measured."""
    work = result.work if isinstance(result, SlideOutcome) else None
    return list(zip(work._fields, work.shares, work, strict=True)) if work else []


def _keys(result: Outcome) -> Iterator[Fact]:
    """The most important figures."""
    (w, h), (width, height) = result.before_xy, result.after_xy
    scales = f"{width / w:.3g}", f"{height / h:.3g}"
    yield Fact("scale", f"×{scales[0]}" if scales[0] == scales[1] else f"×{scales[0]}, ×{scales[1]}")
    yield Fact("resolution", _mpp(result.mpp_after))
    yield Fact("output", _pixels(width * height))
    yield Fact("time", _duration(result.seconds))
    yield Fact("speed", f"{result.megapixels_per_second:.3g} MP/s")
    if isinstance(result, SlideOutcome) and result.peak_mib is not None:
        yield Fact("peak memory", _memory(result.peak_mib))


def _facts(result: Outcome) -> Iterator[Fact]:
    """Everything else that is known."""
    yield Fact("source", str(result.source), is_code=True)
    yield Fact("output", str(result.target), is_code=True)
    yield Fact("size", f"{_size(result.before_xy)} to {_size(result.after_xy)}")
    yield Fact("resolution", f"{_mpp(result.mpp_before)} to {_mpp(result.mpp_after)}")
    yield Fact("method", result.method)
    if isinstance(result, SlideOutcome):
        yield from _slide_facts(result)


def _slide_facts(slide: SlideOutcome) -> Iterator[Fact]:
    made = slide.provenance
    if made and made.weights_sha256:
        yield Fact("weights", f"sha256 {made.weights_sha256}", is_code=True)
    if made and made.note != SUPER_RESOLVED:
        yield Fact("note", made.note)
    if slide.device:
        workers = (
            f", {slide.workers} {'process' if slide.workers == 1 else 'processes'}" if slide.workers else ""
        )
        yield Fact("computed on", slide.device + workers)
    if slide.tile_px:
        yield Fact("tiles", f"{slide.tile_px} x {slide.tile_px} px")
    if slide.tissue_share is not None:
        yield Fact("tissue", f"{100 * slide.tissue_share:.3g} % of the area; background was interpolated")


def _size(size_xy: tuple[int, int]) -> str:
    return f"{size_xy[0]:,} x {size_xy[1]:,} px".replace(",", "\u202f")


def _mpp(mpp: Mpp | None) -> str:
    return mpp_in_words(mpp).replace("um/", "µm/")


def _pixels(count: int) -> str:
    return f"{count / 1e9:.3g} GP" if count >= 1e9 else f"{count / 1e6:.3g} MP"


def _memory(mib: float) -> str:
    return f"{mib / 1024:.3g} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _duration(seconds: float) -> str:
    """Two units: 0.4 s, 12 s, 5 min 3 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
