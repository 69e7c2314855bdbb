"""The store of a run: created, or resumed if nothing that decides pixels has changed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from histoscale.errors import ConfigError, OutputError
from histoscale.io.tile_store import TileStore
from histoscale.upscaling.fingerprint import fingerprint
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import SlidePlan

NAMES = {
    "file": "the slide's file",
    "source": "the slide",
    "level": "the level that is read",
    "level_xy": "the region",
    "level_size_xy": "the region",
    "box_xy": "the region",
    "size_xy": "the size of the output",
    "tile_px": "the tile",
    "tissue": "the tissue option",
    "roi": "the annotation",
    "source_mpp": "--source-mpp",
    "name": "the model",
    "sha256": "the model's weights",
    "device": "the device",
    "processor": "the kind of processor",
    "precision": "the precision",
    "version": "the version of histoscale",
}
"""What an entry of the manifest is called in messages."""
FINGERPRINTS = ("file", "roi", "tissue")
"""Entries of the manifest that may be the fingerprint of a file."""


def manifest_of(plan: SlidePlan, options: Options) -> dict[str, Any]:
    """Everything that decides the pixels, as JSON values."""
    entries = asdict(plan) | {
        "source": str(plan.source),
        "file": fingerprint(plan.source),
        "tissue": _choice(options.tissue) if plan.tissue else "all",
        "source_mpp": options.source_mpp,
        "roi": fingerprint(options.roi) if options.roi else None,
        "version": version("histoscale"),
    }
    return cast(dict[str, Any], json.loads(json.dumps(entries)))


def earlier_manifest(store: TileStore, options: Options) -> dict[str, Any] | None:
    """The manifest of the run that is resumed; None for a new run.

    Raises:
        OutputError: if there is an unfinished run, and neither resume nor overwrite is set.
    """
    if not store.exists:
        return None
    if options.resume:
        return store.manifest()
    if options.overwrite:
        store.clear()
        return None
    raise OutputError(
        f"{store.folder} holds an unfinished run: give --resume to finish it, or --overwrite to discard it."
    )


def refuse_changed(store: TileStore, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `ConfigError` naming the first setting that decides pixels and has changed."""
    for key in {**earlier, **now}:
        before, after = earlier.get(key), now.get(key)
        if before == after or (key in FINGERPRINTS and _is_same_file(before, after)):
            continue
        if isinstance(before, dict) and isinstance(after, dict) and key == "setting":
            refuse_changed(store, before, after)
        shown = "" if isinstance(before, dict | list) else f" from {_short(before)} to {_short(after)}"
        raise ConfigError(
            f"{_capital(NAMES.get(key, key))} changed{shown} since the run in {store.folder} was started: "
            "give the earlier value, or use --overwrite instead of --resume."
        )


def _is_same_file(before: Any, after: Any) -> bool:
    """Whether two fingerprints agree; those of earlier versions have other entries beside the common ones."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return False
    return all(before[key] == after[key] for key in before.keys() & after.keys())


def _choice(tissue: str) -> Any:
    """The tissue option; a mask by the fingerprint of its file."""
    return tissue if tissue in ("all", "mask") else fingerprint(Path(tissue))


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:12]
