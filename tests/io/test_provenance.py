"""A record is read back as it was written; other texts are none."""

import pytest

from histoscale.io.metadata import from_provenance
from histoscale.io.provenance import SUPER_RESOLVED, Provenance, parse_provenance
from histoscale.io.slide import Mpp


def test_our_own_record_comes_back() -> None:
    written = Provenance(
        "1.0", SUPER_RESOLVED, "ä.png", (2.7, 2.7), Mpp(28.9, 28.8), 20, "iste-fast", "ab" * 32, "bf16"
    )
    text = written.to_json()
    record = parse_provenance(text).record
    assert text.isascii()
    assert record is not None
    assert record["note"] == "super-resolved, not for primary diagnosis"
    assert record["source"] == "ä.png"
    assert from_provenance(record).mpp == Mpp(28.9, 28.8)


@pytest.mark.parametrize("text", [None, "", "an image", '{"histoscale": 1', '{"other": 1}'])
def test_other_texts_are_no_record(text: str | None) -> None:
    found = parse_provenance(text)
    assert found.record is None
    assert bool(found.note) == bool(text and "histoscale" in text)


@pytest.mark.parametrize(
    "text", ['{"histoscale": ' + "[" * 100_000, '{"histoscale": ' + "9" * 5000 + "}", '{"histoscale": "1"']
)
def test_a_record_that_cannot_be_parsed_is_left_out_with_a_remark(text: str) -> None:
    found = parse_provenance(text)
    assert found.record is None
    assert "provenance record was ignored" in (found.note or "")


def test_a_record_of_a_megabyte_is_left_out() -> None:
    assert parse_provenance('{"histoscale": "1", "note": "' + "x" * 2**20 + '"}').record is None


def test_control_characters_of_a_record_do_not_reach_a_terminal() -> None:
    record = parse_provenance(
        '{"histoscale": "1", "note": "a\\u001b[31m\\nb", "earlier": {"x": ["\\u0007"]}}'
    ).record
    assert record == {"histoscale": "1", "note": "a\\x1b[31m\\nb", "earlier": {"x": ["\\x07"]}}
