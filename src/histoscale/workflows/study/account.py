"""What each training of a study had: parameters, steps, patches and processor time, as a Markdown table."""

from collections.abc import Iterable
from pathlib import Path

from histoscale import weights
from histoscale.workflows.markdown_table import markdown_table
from histoscale.workflows.study.members import Member

FEW_PATCHES = 4000
"""Below so many even the quickest methods are far from what they come to."""
COLUMNS = ("method", "seed", "scale", "parameters", "steps", "patches", "minutes", "")


def account(trained: Iterable[tuple[Member, Path]]) -> str:
    """One row a training, made from the cards of the weights."""
    return markdown_table(COLUMNS, (_row(member, path) for member, path in trained)) + "\n"


def is_undertrained(member: Member, path: Path) -> bool:
    """Whether a method that learns slowly had so few patches that its weights say nothing of it."""
    return member.undertrained and _patches(member, path) < FEW_PATCHES


def _patches(member: Member, path: Path) -> int:
    return int(weights.card(path).budget["steps"]) * member.run.training.batch


def _row(member: Member, path: Path) -> tuple[str, ...]:
    card = weights.card(path)
    steps, seconds = int(card.budget["steps"]), float(card.budget["seconds"])
    scale = card.architecture.arguments.get("scale")
    return (
        member.label,
        str(member.seed),
        f"x{scale}" if scale else "any",
        f"{card.parameters:,}".replace(",", " "),
        str(steps),
        str(_patches(member, path)),
        f"{seconds / 60:.1f}",
        "undertrained" if is_undertrained(member, path) else "",
    )
