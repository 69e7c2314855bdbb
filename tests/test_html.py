"""Values are escaped once: text always, markup never again."""

import pytest

from histoscale.html import Html, fill, joined


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = fill("<b>$name</b>", name='<i> & "quotes"')
    assert inner == "<b>&lt;i&gt; &amp; &quot;quotes&quot;</b>"
    assert fill("<p>$inside</p>", inside=inner) == f"<p>{inner}</p>"
    assert isinstance(joined([inner, Html("<hr>")]), Html)
    assert joined([Html("<a>"), Html("<b>")]) == "<a>\n<b>"


def test_a_value_that_the_template_wants_is_not_forgotten() -> None:
    with pytest.raises(KeyError):
        fill("$this $that", this=1)
