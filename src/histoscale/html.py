"""HTML from templates: every value is escaped unless it is markup already."""

from collections.abc import Iterable
from html import escape
from string import Template


class Html(str):
    """Text that is markup already; any other is escaped where it is filled in."""


def fill(template: str, **values: object) -> Html:
    """A template with its ``$values``, escaped unless they are markup."""
    safe = {name: v if isinstance(v, Html) else escape(str(v)) for name, v in values.items()}
    return Html(Template(template).substitute(safe))


def joined(pieces: Iterable[Html]) -> Html:
    """Pieces one below the other."""
    return Html("\n".join(pieces))
