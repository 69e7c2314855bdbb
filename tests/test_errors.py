"""Every exception becomes one sentence that names the file."""

import pickle

import pytest

from histoscale.errors import (
    ConfigError,
    HistoscaleError,
    InputError,
    OutputError,
    UnexpectedError,
    explained,
    explaining,
    printable,
)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError(13, "Permission denied", "b.png"), InputError, ["b.png", "Permission denied"]),
        (OSError("odd"), InputError, ["a.png", "odd"]),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), InputError, ["a.png", "UTF-8"]),
        (MemoryError(), HistoscaleError, ["a.png", "memory"]),
        (RecursionError(), InputError, ["a.png", "nested"]),
        (OverflowError("int too big"), InputError, ["a.png", "int too big"]),
        (KeyError("lut"), UnexpectedError, ["a.png", "KeyError", "lut"]),
        (ValueError("one\ntwo"), UnexpectedError, ["a.png", "ValueError", "one"]),
    ],
)
def test_a_foreign_exception_is_one_sentence(error: Exception, kind: type, words: list[str]) -> None:
    with pytest.raises(HistoscaleError) as caught, explaining("a.png"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error
    sentence = str(caught.value)
    assert [word for word in words if word not in sentence] == []
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_errors_of_this_package_pass_unchanged() -> None:
    error = ConfigError("A sentence.")
    assert explained(error, "a.png") is error
    with pytest.raises(OutputError, match=r"^No space\.$"), explaining("a.png"):
        raise OutputError("No space.")


def test_a_bug_keeps_its_traceback_on_the_way_from_a_worker() -> None:
    with pytest.raises(UnexpectedError) as caught, explaining("a.png"):
        raise KeyError("lut")
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert str(arrived) == str(caught.value)
    assert "test_errors.py" in arrived.trace


def test_ctrl_c_is_no_error() -> None:
    with pytest.raises(KeyboardInterrupt), explaining("a.png"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("µm, 3\u00a0000 px", "µm, 3\u00a0000 px"),
        ("a\x1b[31m\r\nb", "a\\x1b[31m\\r\\nb"),
        ("\u202eabc\u2028", "\\u202eabc\\u2028"),
        ("\udce4", "\\udce4"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_shows_control_characters_of_a_file_as_escapes() -> None:
    assert str(InputError("a\x1b[2J.png is empty.\n")) == r"a\x1b[2J.png is empty.\n"
    assert str(UnexpectedError("b\x07")) == r"b\x07"


def test_a_long_name_in_a_file_does_not_fill_the_terminal() -> None:
    shown = str(InputError(f"a.json has no key {'y' * 70_000}: use b."))
    assert len(shown) < 1100
    assert shown.startswith("a.json has no key yyy")
    assert shown.endswith("yyy: use b.")
