"""Say what a file is and which weights ship: facts as rows of words, and as JSON."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from histoscale.slides.description import Description, Mpp
from histoscale.slides.memory import in_words
from histoscale.slides.reader import describe

if TYPE_CHECKING:
    from histoscale.weights import Card


class ModelRow(NamedTuple):
    """One line of the table of models, in words."""

    model: str
    parameters: str
    range: str
    data: str
    licence: str


def info(path: Path) -> Description:
    """What a picture or slide is, from its header.

    Raises:
        InputError: if it is missing, damaged or of an unknown kind.
    """
    return describe(path)


def info_rows(description: Description) -> Iterator[tuple[str, str]]:
    """Label and value, in the order a person asks; what is unknown says so where it matters."""
    width, height = description.size_xy
    yield "file", f"{description.path} ({in_words(description.path.stat().st_size)})"
    yield "format", description.format
    yield "size", f"{width} x {height} px ({width * height / 1e6:.3g} MP)"
    yield "channels", f"{description.channels}, {description.bits} bits"
    yield "mpp", _mpp(description.mpp, description.mpp_source)
    if description.mpp:
        x, y = (side * mpp / 1000 for side, mpp in zip(description.size_xy, description.mpp, strict=True))
        yield "extent", f"{x:.4g} x {y:.4g} mm"
    yield "power", f"{description.power:g}x" if description.power else "unknown"
    yield "levels", ", ".join(f"{x} x {y}" for x, y in description.levels_xy)
    yield "compression", description.compression or "unknown"
    yield "profile", profile_name(description.icc_profile) or "none"
    if description.associated:
        yield "associated", ", ".join(description.associated)
    if description.provenance:
        yield "made by", _made_by(description.provenance)
    for note in description.notes:
        yield "note", note
    if description.refusal:
        yield "upscale", f"refused: it {description.refusal}"


def info_json(description: Description) -> str:
    """The same facts for programs."""
    record: dict[str, Any] = {
        "file": str(description.path),
        "bytes": description.path.stat().st_size,
        "format": description.format,
        "size": description.size_xy,
        "channels": description.channels,
        "bits": description.bits,
        "mpp": description.mpp,
        "mpp_source": description.mpp_source,
        "power": description.power,
        "levels": description.levels_xy,
        "compression": description.compression,
        "profile": profile_name(description.icc_profile),
        "associated": description.associated,
        "provenance": description.provenance,
        "notes": description.notes,
        "refusal": description.refusal,
    }
    return json.dumps(record, indent=2)


def profile_name(profile: bytes | None) -> str | None:
    """The name inside an ICC profile."""
    if not profile:
        return None
    import io

    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError):
        return f"unreadable ({in_words(len(profile))})"


def shipped_cards() -> list["Card"]:
    """The cards of the weights that ship."""
    from histoscale import weights

    return [weights.card(name) for name in weights.shipped()]


def model_row(card: "Card") -> ModelRow:
    """What a card says, figures apart."""
    low, high = card.scales
    return ModelRow(
        model=card.name,
        parameters=f"{card.parameters / 1e6:.2f} M, {card.stored}",
        range=f"x{low:g} to x{high:g}",
        data="\n".join(f"{source.set} {source.split} ({source.licence})" for source in card.data),
        licence=card.licence,
    )


def metric_table(cards: Sequence["Card"]) -> list[list[str]]:
    """Figures with a column for every scale; the first row is the heading.

    A card names a figure ``monuseg x4 B psnr_db``; one that names no scale stands in the column "all".
    """
    figures: dict[tuple[str, str], dict[float, str]] = {}
    for card in cards:
        for name, value in card.metrics.items():
            found = re.fullmatch(r"(\S+) x(\d+(?:\.\d+)?) (.+)", name)
            measure, scale = (f"{found[1]} {found[3]}", float(found[2])) if found else (name, 0.0)
            figures.setdefault((card.name, measure), {})[scale] = f"{value:.4g}"
    scales = sorted({scale for row in figures.values() for scale in row})
    heading = ["Model", "Figure", *(f"x{scale:g}" if scale else "all" for scale in scales)]
    return [heading, *([*key, *(row.get(scale, "") for scale in scales)] for key, row in figures.items())]


def _mpp(mpp: Mpp | None, source: str | None) -> str:
    if mpp is None:
        return "unknown"
    values = f"{mpp.x:.4g}" if f"{mpp.x:.4g}" == f"{mpp.y:.4g}" else f"{mpp.x:.4g} x {mpp.y:.4g}"
    return f"{values} um/px ({source})"


def _made_by(record: dict[str, Any]) -> str:
    by = f" with {record['model']}" if record.get("model") else ""
    return f"histoscale {record.get('histoscale')}{by} from {record.get('source')}: {record.get('note')}"
