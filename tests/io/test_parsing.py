"""JSON and XML that are damaged, or made to exhaust memory or the stack."""

import pytest

from histoscale.io.parsing import DEEPEST, parse_json, parse_xml


@pytest.mark.parametrize("text", ['{"a": [1, {"b": null}]}', "7", '"x"', "[" * DEEPEST + "]" * DEEPEST])
def test_json_is_parsed(text: str) -> None:
    assert str(parse_json(text)).replace("'", '"').replace("None", "null") in {text, "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting"),
        ("[" * 100_000, "nested"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested"),
        ('{"a": ' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "nested"),
        ("9" * 5000, "limit"),
        ('"' + "x" * 100 + '"', "characters"),
    ],
)
def test_json_beyond_the_bounds_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text, longest=50 if words == "characters" else 10**6)


def test_tags_of_xml_have_no_namespace() -> None:
    root = parse_xml("<?xml version='1.0'?><a:OME xmlns:a='http://x/2016'><a:Image Name='µ'/></a:OME>")
    assert root is not None
    assert (root.tag, root[0].tag, root[0].get("Name")) == ("OME", "Image", "µ")


@pytest.mark.parametrize(
    "text",
    [
        *["", "<OME", "no xml", "<a>" * (DEEPEST + 1) + "</a>" * (DEEPEST + 1)],
        "<!DOCTYPE a [<!ENTITY b 'bbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>",
    ],
)
def test_xml_beyond_the_bounds_counts_as_none(text: str) -> None:
    assert parse_xml(text) is None
