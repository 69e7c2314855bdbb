"""The help of every verb: its words, its width, its first sentence and its examples."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from histoscale.cli import app

CONVENTIONS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "conventions.md"
COLUMNS = 80
VERBS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@cache
def help_of(*verb: str) -> str:
    result = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": str(COLUMNS), "TERMINAL_WIDTH": ""})
    assert result.exit_code == 0
    return result.stdout


def running_text(shown: str) -> str:
    """The help without its frames, so that words are found across lines."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())


def banned_words() -> list[str]:
    """The second column of the glossary."""
    section = CONVENTIONS.read_text(encoding="utf-8").partition("\n## Words\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert rows[0] == ["word", "not", "meaning"]
    return [word for row in rows[2:] for word in row[1].split(", ") if word != "-"]


def examples_of(shown: str) -> list[list[str]]:
    lines = shown.partition("Examples:")[2].splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_the_glossary_is_read() -> None:
    assert {"picture", "glass", "enlarge", "go on", "turn", "wanted"} <= set(banned_words())


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_the_help_keeps_to_the_glossary(verb: str) -> None:
    text = running_text(help_of(*verb.split()))
    said = [word for word in banned_words() if re.search(rf"\b{re.escape(word)}s?\b", text, re.IGNORECASE)]
    assert said == []


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_the_help_fits_a_narrow_terminal(verb: str) -> None:
    too_long = [line for line in help_of(*verb.split()).splitlines() if len(line.rstrip()) > COLUMNS]
    assert too_long == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_opens_with_a_sentence_and_ends_with_two_examples(verb: str) -> None:
    usage, sentence = (running_text(part) for part in re.split(r"\n *\n", help_of(verb).strip())[:2])
    assert usage.startswith("Usage: ")
    assert re.fullmatch(r"[A-Z][a-z]+ [^.]*(\.[^ ][^.]*)*\.", sentence), sentence
    first, second = examples_of(help_of(verb))
    assert first[:2] == second[:2] == ["histoscale", verb]


@pytest.mark.parametrize("verb", VERBS)
def test_the_options_of_examples_exist(verb: str) -> None:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    known = {name for param in command.params for name in param.opts if not getattr(param, "hidden", False)}
    used = {word for example in examples_of(help_of(verb)) for word in example if word.startswith("-")}
    assert used <= known


def test_upscale_groups_its_options() -> None:
    headings = re.findall(r"╭─ (\w+)", help_of("upscale"))
    assert headings == ["Arguments", "Size", "Model", "Compute", "Slides", "Output"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    assert [param.name for param in shown if not (param.help or "").endswith((".", ".)"))] == []
