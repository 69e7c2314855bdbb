"""The report as one HTML file: no scripts, nothing from outside, every value escaped.

`report.html` beside this file is the page with its style; the pieces that repeat are here.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from histoscale.html import Html, fill, joined
from histoscale.io.metadata import SUPER_RESOLVED
from histoscale.io.slide import Mpp
from histoscale.upscaling.results import Failure, Outcome, Run, SlideOutcome, Work, mpp_in_words

INDEX_FROM = 3
"""So many slides get a table of contents."""
SLIDE = """<section class="card" id="slide-$number">
<div class="head"><h2>$name</h2><span class="state">written</span></div>
$remarks$views<dl class="keys number">$keys</dl>
$work<dl class="facts number">$facts</dl>
</section>"""
FAILED = """<section class="card failed" id="slide-$number">
<div class="head"><h2>$name</h2><span class="state">$state</span></div>
<p class="sentence">$sentence</p>
</section>"""
VIEW = """<figure><img src="data:image/jpeg;base64,$data" alt="$title, the whole field">
<figcaption class="number"><strong>$title</strong>$caption</figcaption></figure>"""
WORK = """<div class="bar">$parts</div>
<ul class="legend number">$legend<li class="soft">of the time of all processes</li></ul>
"""
INDEX = """<table class="index number"><thead><tr><th>source</th><th class="wide">output</th>
<th class="wide">resolution</th><th class="right">time</th></tr></thead><tbody>$rows</tbody></table>"""
ROW = """<tr class="$state"><td><a href="#slide-$number">$name</a></td>
<td class="wide">$size</td><td class="wide">$mpp</td><td class="right">$time</td></tr>"""


def page(results: Sequence[Outcome | Failure], run: Run) -> str:
    """The whole page."""
    numbered = list(enumerate(results, start=1))
    return fill(
        _template(),
        title=_title(results),
        when=f"{run.started:%d %B %Y, %H:%M} · {_duration(run.seconds)}",
        command=run.command,
        index=_index(numbered) if len(results) >= INDEX_FROM else "",
        cards=joined(_card(number, result) for number, result in numbered),
        footer=f"Made by histoscale {version('histoscale')}. The JSON file beside is for programs.",
    )


@cache
def _template() -> str:
    return files(__package__).joinpath("report.html").read_text(encoding="utf-8")


def _title(results: Sequence[Outcome | Failure]) -> str:
    written = sum(isinstance(result, Outcome) for result in results)
    noun = "file" if len(results) == 1 else "files"
    if written == len(results):
        return f"{written} {noun} written"
    return f"{written} of {len(results)} {noun} written"


def _index(numbered: Sequence[tuple[int, Outcome | Failure]]) -> Html:
    return fill(INDEX, rows=joined(_row(number, result) for number, result in numbered))


def _row(number: int, result: Outcome | Failure) -> Html:
    if isinstance(result, Failure):
        return fill(
            ROW, number=number, name=result.source.name, state="failed", size="", mpp="", time=_state(result)
        )
    return fill(
        ROW,
        number=number,
        name=result.source.name,
        state="written",
        size=_size(result.after_xy),
        mpp=_mpp(result.mpp_after),
        time=_duration(result.seconds),
    )


def _card(number: int, result: Outcome | Failure) -> Html:
    if isinstance(result, Failure):
        return fill(
            FAILED, number=number, name=result.source.name, state=_state(result), sentence=result.sentence
        )
    slide = result if isinstance(result, SlideOutcome) else None
    return fill(
        SLIDE,
        number=number,
        name=result.source.name,
        remarks=joined(fill('<p class="sentence remark">$text</p>\n', text=r) for r in result.remarks),
        views=_views(slide) if slide else "",
        keys=_terms(_keys(result)),
        work=_work(slide.work) if slide and slide.work else "",
        facts=_terms(_facts(result)),
    )


def _state(failure: Failure) -> str:
    return "failed" if failure.was_tried else "not tried"


def _terms(pairs: Iterator[tuple[str, object]]) -> Html:
    shape = "<div><dt>$term</dt><dd>$value</dd></div>"
    return Html("".join(fill(shape, term=term, value=value) for term, value in pairs))


def _views(slide: SlideOutcome) -> Html:
    """Source and output side by side, if there is a picture of either."""
    power_after = slide.provenance.power if slide.provenance else None
    sides = (
        ("Source", slide.views.source, slide.before_xy, slide.mpp_before, slide.power_before),
        ("Output", slide.views.target, slide.after_xy, slide.mpp_after, power_after),
    )
    figures = (
        fill(
            VIEW,
            title=title,
            data=b64encode(jpeg).decode("ascii"),
            caption=" · ".join([_size(size_xy), _mpp(mpp), *([f"{power:.4g}x"] if power else [])]),
        )
        for title, jpeg, size_xy, mpp, power in sides
        if jpeg
    )
    inside = "".join(figures)
    return Html(f'<div class="views">{inside}</div>\n' if inside else "")


def _keys(result: Outcome) -> Iterator[tuple[str, object]]:
    """What a person looks for first."""
    (w, h), (width, height) = result.before_xy, result.after_xy
    scales = f"{width / w:.3g}", f"{height / h:.3g}"
    yield "scale", f"×{scales[0]}" if scales[0] == scales[1] else f"×{scales[0]}, ×{scales[1]}"
    yield "resolution", _mpp(result.mpp_after)
    yield "output", _pixels(width * height)
    yield "time", _duration(result.seconds)
    yield "speed", f"{result.megapixels_per_second:.3g} MP/s"
    if isinstance(result, SlideOutcome) and result.peak_mib is not None:
        yield "peak memory", _memory(result.peak_mib)


def _facts(result: Outcome) -> Iterator[tuple[str, object]]:
    """Everything else that is known."""
    yield "source", _path(result.source)
    yield "output", _path(result.target)
    yield "size", f"{_size(result.before_xy)} to {_size(result.after_xy)}"
    yield "resolution", f"{_mpp(result.mpp_before)} to {_mpp(result.mpp_after)}"
    yield "method", result.method
    if isinstance(result, SlideOutcome):
        yield from _slide_facts(result)


def _slide_facts(slide: SlideOutcome) -> Iterator[tuple[str, object]]:
    made, seams = slide.provenance, slide.seams
    if made and made.weights_sha256:
        yield "weights", fill("<code>sha256 $sha256</code>", sha256=made.weights_sha256)
    if made and made.note != SUPER_RESOLVED:
        yield "note", made.note
    if slide.device:
        workers = (
            f", {slide.workers} {'process' if slide.workers == 1 else 'processes'}" if slide.workers else ""
        )
        yield "computed on", slide.device + workers
    if slide.tile_px:
        yield "tiles", f"{slide.tile_px} x {slide.tile_px} px"
    if slide.tissue_share is not None:
        yield "tissue", f"{100 * slide.tissue_share:.3g} % of the area; glass was interpolated"
    if seams:
        yield (
            "seams",
            f"{seams.ratio:.3f} (about 1 where none shows): pixels differ by {seams.across:.3g} grey levels "
            f"across borders of tiles, by {seams.inside:.3g} beside them",
        )


def _work(work: Work) -> Html:
    """Seconds by kind of work as a bar and in words."""
    kinds = list(zip(work._fields, work, work.shares, strict=True))
    bars = (
        fill('<span class="$name" style="flex:$share"></span>', name=name, share=f"{share:.4f}")
        for name, _, share in kinds
        if share > 0
    )
    words = (
        fill(
            '<li><i class="$name"></i>$name $share % ($time)</li>',
            name=name,
            share=f"{100 * share:.0f}",
            time=_duration(seconds),
        )
        for name, seconds, share in kinds
    )
    return fill(WORK, parts=joined(bars), legend=joined(words))


def _path(path: object) -> Html:
    return fill("<code>$path</code>", path=path)


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
