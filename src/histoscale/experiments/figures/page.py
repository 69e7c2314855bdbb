"""The page: one HTML file beside its pictures, no scripts, nothing from outside, every value escaped."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

from histoscale import weights
from histoscale.experiments.figures.figure import LeftOut
from histoscale.experiments.methods import Method
from histoscale.html import Html, fill, joined

PICTURE = """<figure>
<a href="$name.png"><img src="$name.png" width="$width" height="$height" alt="$section"></a>
<figcaption>$caption$credit</figcaption></figure>"""
MODEL = """<tr><td>$row</td><td>$architecture</td><td>$scale</td><td>$parameters</td><td>$trained</td>
<td><code>$sha256</code></td></tr>"""
SHOWN = re.compile(r'<img src="([\w.-]+\.png)"')
"""Pictures of a page."""


class Saved(NamedTuple):
    """A picture that lies beside the page: its name without suffix, and its size there in CSS pixels."""

    name: str
    section: str
    caption: str
    credit: str
    width: int
    height: int


def page(title: str, intro: str, entries: Sequence[Saved | LeftOut], members: Sequence[Method]) -> str:
    """The whole page; entries of one section follow each other."""
    sections = list(dict.fromkeys(entry.section for entry in entries))
    anchors = {section: f"section-{number}" for number, section in enumerate(sections, start=1)}
    return fill(
        _shell(),
        title=title,
        intro=intro,
        contents=joined(
            fill('<li><a href="#$anchor">$section</a></li>', anchor=anchors[section], section=section)
            for section in sections
        ),
        sections=joined(
            _section(section, anchors[section], [entry for entry in entries if entry.section == section])
            for section in sections
        ),
        models=joined(_model(member.name, file.source) for member in members for file in member.files),
        footer=f"Made by histoscale {version('histoscale')}. Not for primary diagnosis.",
    )


@cache
def _shell() -> str:
    return files(__package__).joinpath("page.html").read_text(encoding="utf-8")


def _section(section: str, anchor: str, entries: Sequence[Saved | LeftOut]) -> Html:
    return fill(
        '<h2 id="$anchor">$section</h2>\n$inside',
        anchor=anchor,
        section=section,
        inside=joined(map(_entry, entries)),
    )


def _entry(entry: Saved | LeftOut) -> Html:
    if isinstance(entry, LeftOut):
        return fill('<p class="remark">$reason</p>', reason=entry.reason)
    credit = fill('<br><span class="soft">Weights: $credit</span>', credit=entry.credit)
    return fill(PICTURE, **{**entry._asdict(), "credit": credit if entry.credit else ""})


def _model(row: str, source: str) -> Html:
    card = weights.card(source)
    low, high = card.scales
    return fill(
        MODEL,
        row=row,
        architecture=card.architecture.name,
        scale=f"x{low:g}" if low == high else f"x{low:g} to x{high:g}",
        parameters=f"{card.parameters:,}".replace(",", "\u202f"),
        trained=_budget(card.budget),
        sha256=card.sha256,
    )


def _budget(budget: Mapping[str, object]) -> str:
    """What a training had, as far as its card tells in numbers."""
    numbers = {name: value for name, value in budget.items() if isinstance(value, int | float)}
    words = [f"{value:,.0f} {name}".replace(",", "\u202f") for name, value in numbers.items()]
    return ", ".join(words) or weights.NOT_STATED
