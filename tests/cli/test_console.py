"""What reaches a terminal: names of files are shown as they are, and steer nothing."""

import pytest

from histoscale.cli.console import bar, complain, say, show_table

ODD = "[/red]a\x1b[2J\r\nb\u202e.png"
SHOWN = r"[/red]a\x1b[2J\r\nb\u202e.png"


def test_lines_tables_and_bars_show_odd_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    say(ODD)
    complain(ODD)
    show_table([["name"], [ODD]])
    with bar() as shown:
        shown.advance(0.5, ODD)
    captured = capsys.readouterr()
    assert captured.out.count(SHOWN) == 2
    assert captured.err.count(SHOWN) >= 2
    assert "\x1b[2J" not in captured.out + captured.err
