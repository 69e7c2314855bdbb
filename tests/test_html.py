"""Values are escaped, and none is forgotten."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from histoscale.html import render


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a template."""
    folder = tmp_path / "package_with_page"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "page.html").write_text(
        "<b>{{ name }}</b>{% for x in found %}<i>{{ size(x) }}</i>{% endfor %}<hr>"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    sys.modules.pop(folder.name, None)


def test_text_is_escaped_and_what_functions_return_too(package: str) -> None:
    html = render(package, "page.html", name='<i> & "quotes"', found=[1, 2], size=lambda n: f"<{n}>")
    assert html == "<b>&lt;i&gt; &amp; &#34;quotes&#34;</b><i>&lt;1&gt;</i><i>&lt;2&gt;</i><hr>"


def test_a_value_that_the_template_needs_is_not_forgotten(package: str) -> None:
    with pytest.raises(UndefinedError, match="found"):
        render(package, "page.html", name="x")


def test_control_characters_are_shown_as_escapes(package: str) -> None:
    assert "x\\x1b[31m" in render(package, "page.html", name="x\x1b[31m", found=[])
