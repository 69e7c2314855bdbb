"""What each training of a study had: parameters, steps, patches and processor time, as a Markdown table."""

from collections.abc import Iterable
from pathlib import Path

from histoscale import weights
from histoscale.workflows.markdown_grid import grid
from histoscale.workflows.study.members import Member

COLUMNS = ("method", "seed", "scale", "parameters", "steps", "patches", "minutes", "")


def account(trained: Iterable[tuple[Member, Path]]) -> str:
    """One row a training, made from the cards of the weights."""
    return grid(COLUMNS, (_row(member, path) for member, path in trained)) + "\n"


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
        str(steps * member.run.training.batch),
        f"{seconds / 60:.1f}",
        "undertrained" if member.undertrained else "",
    )
