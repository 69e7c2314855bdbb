"""Where weights come from: the card beside them, and the record of a run's images, configuration and code."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from histoscale import weights
from histoscale.config import Run
from histoscale.data.manifest import ImageRecord
from histoscale.files import write_text
from histoscale.training.schedule import Progress


def card_of(
    run: Run, records: Sequence[ImageRecord], progress: Progress, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """What a run says of its weights, see `histoscale.weights.Card`."""
    data = run.data
    return {
        "name": run.name,
        "architecture": {"name": run.model.name, "arguments": run.model.arguments},
        "data": describe_data(records, data.split, run.card.data_licences),
        "licence": run.card.licence,
        "limits": run.card.limits,
        "history": run.card.history,
        "recipe": json.loads(run.model_dump_json(exclude={"data": {"root"}, "card": True})),
        "code_version": code_version(),
        "scales": [min(data.scales or data.scale_range), max(data.scales or data.scale_range)],
        "budget": {"steps": progress.step, "seconds": round(progress.elapsed_s())},
        "metrics": metrics,
    }


def record_origin(run: Run, records: Sequence[ImageRecord], path: Path) -> None:
    """Configuration, seed, data hashes and code version of a run."""
    origin = {
        "run": json.loads(run.model_dump_json()),
        "code_version": code_version(),
        "torch": torch.__version__,
        "images": {f"{r.set}/{r.id}": r.sha256 or hash_file(r.path) for r in records},
    }
    write_text(path, json.dumps(origin, indent=1) + "\n")


def describe_data(
    records: Sequence[ImageRecord], split: str, licences: Mapping[str, str]
) -> list[dict[str, str | int]]:
    """Per set: how many images of which split, under which licence."""
    return [
        {
            "set": name,
            "split": split,
            "images": sum(record.set == name for record in records),
            "licence": licences.get(name, weights.NOT_STATED),
        }
        for name in sorted({record.set for record in records})
    ]


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_version() -> str:
    """Version of the package and, in a checkout, the commit."""
    here = Path(__file__).parent
    asked = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    commit = f"+{asked.stdout.strip()}" if asked.returncode == 0 else ""
    return version("histoscale") + commit
