"""The page: complete, escaped and self-contained, for one file and for many."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from histoscale.io.provenance import Provenance
from histoscale.io.slide import Mpp
from histoscale.upscaling.report_page import page
from histoscale.upscaling.results import Failure, Invocation, Outcome, SlideOutcome, Views, Work

ODD = "<script>alert('1')</script> & \"$name\""
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Reader(HTMLParser):
    """What a browser would show, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]
        self.links += [value or "" for name, value in attributes if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def run(command: str = "histoscale upscale a.svs -o b.ome.tiff --mpp 0.25") -> Invocation:
    return Invocation(command, datetime(2026, 3, 4, 5, 6, tzinfo=UTC), 3700)


def slide(name: str = "a.svs", remarks: tuple[str, ...] = ()) -> SlideOutcome:
    return SlideOutcome(
        *(Path(name), Path("out") / name, (30_000, 20_000), (120_000, 80_000)),
        *(Mpp(0.5, 0.5), Mpp(0.125, 0.125), "iste-fast fp32", 303.0, remarks),
        provenance=Provenance("1", "a note", name, (4, 4), None, 80.0, "iste-fast", "0123abcd", "fp32"),
        power_before=20.0,
        device="CPU",
        workers=2,
        tile_px=1024,
        tissue_share=0.25,
        work=Work(10, 30, 0, 0),
        peak_mib=1200.0,
        views=Views(b"\xff\xd8before", b"\xff\xd8after"),
    )


def test_the_record_of_a_slide_is_complete() -> None:
    text = Reader(page([slide(remarks=("mpp and power disagree",))], run())).text
    for words in (
        *("1 file written", "super-resolved, not for primary diagnosis", "04 March 2026, 05:06 · 1 h 1 min"),
        *("histoscale upscale a.svs -o b.ome.tiff --mpp 0.25", "mpp and power disagree", "iste-fast fp32"),
        *("120 000 x 80 000 px · 0.125 µm/px · 80x", "30 000 x 20 000 px · 0.5 µm/px · 20x", "×4"),
        *("9.6 GP", "5 min 3 s", "31.7 MP/s", "1.17 GiB", "0123abcd", "CPU, 2 processes", "25 % of the area"),
        *("reading 25 % (10 s)", "model 75 % (30 s)", "encoding 0 % (0.0 s)"),
    ):
        assert words.lower() in text.lower()


def test_many_files_get_an_index_that_leads_to_each() -> None:
    failure = Failure(Path("broken.svs"), "broken.svs is truncated.")
    shown = Reader(page([slide("a.svs"), failure, slide("c.svs")], run()))
    assert "2 of 3 files written" in shown.text
    assert "broken.svs is truncated." in shown.text
    assert [link for link in shown.links if link.startswith("#")] == ["#slide-1", "#slide-2", "#slide-3"]
    assert 'id="slide-3"' in page([slide("a.svs"), failure, slide("c.svs")], run())


def test_a_single_file_needs_no_index() -> None:
    assert "table" not in Reader(page([slide()], run())).tags


def test_every_value_is_escaped() -> None:
    odd = slide(ODD.replace("/", ":"), remarks=(ODD,))
    html = page([odd, Failure(Path("x"), ODD), odd], run(ODD))
    shown = Reader(html)
    assert "script" not in shown.tags
    assert shown.text.count(ODD) == 4  # the command, a remark of each slide, the failure
    assert shown.text.count(ODD.replace("/", ":")) == 8  # index, heading, two paths of each slide


def test_nothing_is_fetched_or_run() -> None:
    shown = Reader(page([slide(), slide(), slide()], run()))
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in shown.links)
    assert {"script", "link", "iframe"}.isdisjoint(shown.tags)
    assert shown.open == []  # every element was closed


def test_it_adapts_to_dark_rooms_and_to_phones() -> None:
    html = page([slide()], run())
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_what_is_unknown_is_left_out() -> None:
    image = Outcome(Path("a.png"), Path("b.png"), (10, 10), (40, 20), None, None, "bicubic", 0.2)
    shown = Reader(page([image], run()))
    assert "×4, ×2" in shown.text
    assert "img" not in shown.tags
    for absent in ("peak memory", "tissue", "reading", "None"):
        assert absent not in shown.text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.44, "0.4 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (36_000, "10 h 0 min")]
)
def test_times_are_in_two_units(seconds: float, words: str) -> None:
    failure = Failure(Path("a"), "no")
    assert words in page([failure], Invocation("x", datetime(2026, 1, 1, tzinfo=UTC), seconds))
