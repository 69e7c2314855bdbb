"""Import an official checkpoint as a model of this package: ``histoscale import-weights``."""

from pathlib import Path
from typing import Any

from histoscale import weights
from histoscale.errors import ConfigError, HistoscaleError, WeightsError
from histoscale.files import refuse_existing
from histoscale.importing.checkpoint import Checkpoint, read_checkpoint
from histoscale.importing.fitting import KNOWN, filled, fit
from histoscale.importing.layout import Layout
from histoscale.models.catalog import build
from histoscale.weights import Card

LARGEST_TRAINED = 4.0


def import_weights(checkpoint: Path, name: str, output: Path, *, overwrite: bool = False) -> Card:
    """Read an official checkpoint, copy its tensors into a model and write its weights with a card.

    Args:
        checkpoint: a .pth file.
        name: one of `KNOWN`; encoder and sizes are found from the file.
        output: the .safetensors file to write; its card is written beside it.
        overwrite: replace existing files.

    Returns:
        The card as written.

    Raises:
        WeightsError: if the file is not a checkpoint or belongs to another model.
        ConfigError: for an unknown name.
        OutputError: if the output or its card exists or cannot be written.
    """
    if name not in KNOWN:
        raise ConfigError(f"Expected --as one of {', '.join(KNOWN)}, found {name!r}.")
    if not overwrite:
        refuse_existing(output)
        refuse_existing(output.with_suffix(".json"))
    read = read_checkpoint(checkpoint)
    layout, arguments = _fitted(read, name)
    model = filled(build(name, **arguments), layout, read.state)
    unused = [key for key in read.state if key not in layout.used(read.state)]
    scale = float(arguments["scale"]) if "scale" in arguments else None
    card = {
        "architecture": {"name": name, "arguments": arguments},
        "scales": (scale or 1.0, scale or LARGEST_TRAINED),
        "data": ({"set": weights.NOT_STATED},),
        "licence": weights.NOT_STATED,
        "limits": (f"imported from {checkpoint.name}: its authors decide what it may be used for",),
        "recipe": {"imported_from": checkpoint.name, "sha256": read.sha256, "unused": unused},
    }
    return weights.save(output, model, card)


def _fitted(read: Checkpoint, name: str) -> tuple[Layout, dict[str, Any]]:
    """Find layout and arguments of the checkpoint as a checkpoint of ``name``.

    Raises:
        WeightsError: if it does not fit. The message names the tensors, or only the model that does fit.
    """
    try:
        return fit(read, name)
    except HistoscaleError as error:
        reason = str(error).splitlines()[0].rstrip(".")
    for other in KNOWN:
        if other != name and _fits(read, other):
            raise WeightsError(f"{read.path} is a checkpoint of {other}, not of {name}: give --as {other}.")
    raise WeightsError(f"{read.path} is not a checkpoint of {name} as its authors save it: {reason}.")


def _fits(read: Checkpoint, name: str) -> bool:
    """Tell whether the checkpoint fits a model."""
    try:
        fit(read, name)
    except HistoscaleError:
        return False
    return True
