"""Parse JSON and XML from files, within bounds of length and depth that keep memory small."""

import json
from typing import Any
from xml.etree import ElementTree

LONGEST_TEXT = 2**26
"""Characters. OME-XML with a line for each of 10^5 planes has a quarter of this."""
DEEPEST = 100
"""Levels of nesting; OME-XML has fewer than 20."""


def parse_json(text: str, longest: int = LONGEST_TEXT) -> Any:
    """Parse JSON.

    Raises:
        ValueError: if it is no JSON, longer than ``longest``, nested deeper than `DEEPEST`, or has a number
            of thousands of digits.
    """
    if len(text) > longest:
        raise ValueError(f"its {len(text)} characters are more than {longest}")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST + 1):  # level by level, since a function that calls itself has a limit of its own
        if not level:
            return value
        inner = (node.values() if isinstance(node, dict) else node for node in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def parse_xml(text: str) -> ElementTree.Element | None:
    """Parse XML; None if it is not XML, too long, too deep, or defines entities of its own.

    Entities that refer to each other can make gigabytes of a few lines; no format of slides needs them.
    """
    if len(text) > LONGEST_TEXT or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        parser = ElementTree.XMLParser(target=_BoundedBuilder())
        parser.feed(text)
        return parser.close()
    except (ElementTree.ParseError, ValueError):
        return None


class _BoundedBuilder(ElementTree.TreeBuilder):
    """Builds a tree whose tags have no namespace: which year's schema a file names makes no difference."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> ElementTree.Element:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        return super().start(tag.rpartition("}")[2], attributes)

    def end(self, tag: str) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag.rpartition("}")[2])
