"""The page: one HTML file beside its images, without scripts and external files; all values are escaped.

The template is `page.html` beside this file.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

from histoscale import weights
from histoscale.experiments.figures.figure import LeftOut
from histoscale.experiments.methods import Method
from histoscale.html import render

SHOWN = re.compile(r'<img src="([\w.-]+\.png)"')
"""The images of a page."""


class Saved(NamedTuple):
    """An image beside the page.

    Attributes:
        name: of its file, without the suffix.
        width, height: on the page, in CSS pixels.
    """

    name: str
    section: str
    caption: str
    credit: str
    width: int
    height: int


def page(title: str, intro: str, entries: Sequence[Saved | LeftOut], members: Sequence[Method]) -> str:
    """Write the whole page.

    Args:
        intro: the paragraph under the title.
        entries: the images, and the figures that were left out; those of a section follow each other.
        members: the models, which are listed at the end.
    """
    sections = list(dict.fromkeys(entry.section for entry in entries))
    return render(
        __package__,
        "page.html",
        title=title,
        intro=intro,
        sections=[(name, [entry for entry in entries if entry.section == name]) for name in sections],
        models=[_row(member.name, file.source) for member in members for file in member.files],
        version=version("histoscale"),
    )


def _row(name: str, source: str) -> list[str]:
    """Make the row of one file of weights in the table of models."""
    card = weights.card(source)
    low, high = card.scales
    return [
        name,
        card.architecture.name,
        f"x{low:g}" if low == high else f"x{low:g} to x{high:g}",
        f"{card.parameters:,}".replace(",", "\u202f"),
        _budget(card.budget),
        card.sha256,
    ]


def _budget(budget: Mapping[str, object]) -> str:
    """Write the numbers of a card's training budget."""
    numbers = {name: value for name, value in budget.items() if isinstance(value, int | float)}
    words = [f"{value:,.0f} {name}".replace(",", "\u202f") for name, value in numbers.items()]
    return ", ".join(words) or weights.NOT_STATED
