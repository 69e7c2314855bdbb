"""Describe a file and list the shipped weights, as rows of text and as JSON."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from histoscale.errors import explaining
from histoscale.io.formats import describe
from histoscale.io.slide import Description, Mpp
from histoscale.resources import format_bytes

if TYPE_CHECKING:
    from histoscale.weights import Card

SHOWN_SCALES = (2.0, 3.0, 4.0)
"""Scales in the table of results, which has to fit a terminal; the cards have all scales."""


class ModelRow(NamedTuple):
    """One line of the table of models, as text."""

    model: str
    parameters: str
    range: str
    data: str
    licence: str


def info(path: Path) -> Description:
    """Describe an image or slide from its header.

    Raises:
        InputError: if the file is missing, damaged or of an unknown format.
    """
    with explaining(path):
        return describe(path)


def info_rows(description: Description) -> Iterator[tuple[str, str]]:
    """Yield label and value of each property, the most important first."""
    width, height = description.size_xy
    yield "file", f"{description.path} ({format_bytes(bytes_of(description.path))})"
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
    """Return the description as JSON."""
    record: dict[str, Any] = {
        "file": str(description.path),
        "bytes": bytes_of(description.path),
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


def bytes_of(path: Path) -> int:
    """Compute the size on disk of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def profile_name(profile: bytes | None) -> str | None:
    """Read the name inside an ICC profile."""
    if not profile:
        return None
    import io

    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError):
        return f"unreadable ({format_bytes(len(profile))})"


def shipped_cards() -> list["Card"]:
    """Read the cards of the shipped weights."""
    from histoscale import weights

    return [weights.card(name) for name in weights.shipped()]


def model_row(card: "Card") -> ModelRow:
    """Summarise a card without its results."""
    low, high = card.scales
    arguments = ", ".join(f"{key}={value}" for key, value in card.architecture.arguments.items())
    return ModelRow(
        model=f"{card.name} ({arguments})" if arguments else card.name,
        parameters=f"{card.parameters / 1e6:.2f} M, {card.stored}",
        range=f"x{low:g} to x{high:g}",
        data="; ".join(f"{source.set} {source.split} ({source.licence})" for source in card.data),
        licence=card.licence,
    )


def metric_table(cards: Sequence["Card"]) -> list[list[str]]:
    """Make a table of decibels above bicubic on blurred images; the first row is the heading.

    It has a row for each model and group of images, from results such as ``test monuseg, FFPE x4 B gain_db``
    at `SHOWN_SCALES`.
    """
    gains: dict[tuple[str, str], dict[float, str]] = {}
    for card in cards:
        for name, value in card.metrics.items():
            found = re.fullmatch(r"(.+?) x(\d+(?:\.\d+)?) (.+)", name)
            if found and found[3] == "B gain_db" and float(found[2]) in SHOWN_SCALES:
                gains.setdefault((card.name, found[1]), {})[float(found[2])] = f"{value:+.2f}"
    heading = ["Model", "dB above bicubic (degradation B)", *(f"x{scale:g}" for scale in SHOWN_SCALES)]
    return [heading, *([*key, *(row.get(scale, "") for scale in SHOWN_SCALES)] for key, row in gains.items())]


def _mpp(mpp: Mpp | None, source: str | None) -> str:
    """Format micrometres per pixel and where they are stated."""
    if mpp is None:
        return "unknown"
    values = f"{mpp.x:.4g}" if f"{mpp.x:.4g}" == f"{mpp.y:.4g}" else f"{mpp.x:.4g} x {mpp.y:.4g}"
    return f"{values} um/px ({source})"


def _made_by(record: dict[str, Any]) -> str:
    """Summarise the record of a file that histoscale wrote."""
    by = f" with {record['model']}" if record.get("model") else ""
    return f"histoscale {record.get('histoscale')}{by} from {record.get('source')}: {record.get('note')}"
