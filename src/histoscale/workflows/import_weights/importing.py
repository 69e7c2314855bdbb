"""``histoscale import-weights CHECKPOINT --as NAME``: an official checkpoint as one of our models."""

import re
from pathlib import Path
from typing import Any

from histoscale import weights
from histoscale.errors import ConfigError, HistoscaleError, OutputError, WeightsError
from histoscale.models.base import SuperResolver
from histoscale.models.catalog import build
from histoscale.weights import Card
from histoscale.workflows.import_weights import heads
from histoscale.workflows.import_weights.checkpoint import Checkpoint, State, read_checkpoint
from histoscale.workflows.import_weights.fixed_scale import OF_LIIF, PLAIN
from histoscale.workflows.import_weights.layout import Layout, renamed

ANY_SCALE = {
    "liif": heads.LIIF,
    "lte": heads.LTE,
    "lmi": heads.LMI,
    "itsrn": heads.ITSRN,
    "lit": heads.LIT,
    "iste": heads.ISTE,
}
KNOWN = (*ANY_SCALE, *PLAIN)
"""Models of ours that official checkpoints can become."""

LARGEST_TRAINED = 4.0


def import_weights(checkpoint: Path, name: str, output: Path, *, overwrite: bool = False) -> Card:
    """Read an official checkpoint, put its tensors into a model of ours, write that with a card.

    Args:
        checkpoint: a .pth file.
        name: one of `KNOWN`; encoder and sizes are found in the file.
        output: the .safetensors file to write; the card comes beside it.
        overwrite: replace an earlier file.

    Returns:
        The card as written.

    Raises:
        WeightsError: if the file is no checkpoint, or of another model.
        ConfigError: for an unknown name.
        OutputError: if the output exists or cannot be written.
    """
    if name not in KNOWN:
        raise ConfigError(f"Wanted --as one of {', '.join(KNOWN)}, got {name!r}.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists already: give another name or --overwrite.")
    read = read_checkpoint(checkpoint)
    model, arguments, unused = _translated(read, name)
    scale = float(arguments["scale"]) if "scale" in arguments else None
    card = {
        "architecture": {"name": name, "arguments": arguments},
        "scales": (scale or 1.0, scale or LARGEST_TRAINED),
        "data": ({"set": weights.NOT_STATED},),
        "licence": weights.NOT_STATED,
        "limits": (f"imported from {checkpoint.name}: whoever made it decides what it may be used for",),
        "recipe": {"imported_from": checkpoint.name, "sha256": read.sha256, "unused": unused},
    }
    return weights.save(output, model, card)


def _translated(read: Checkpoint, name: str) -> tuple[SuperResolver, dict[str, Any], list[str]]:
    """Our model with the checkpoint's tensors, its arguments, and the tensors that nothing official uses."""
    try:
        layout = ANY_SCALE[name] if name in ANY_SCALE else (OF_LIIF if read.centred else PLAIN)[name]
        arguments = layout.arguments(read.state)
        tensors, unused = _by_our_names(read.state, layout)
        return _filled(build(name, **arguments), tensors), arguments, unused
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except (
        RuntimeError,
        IndexError,
        ValueError,
        HistoscaleError,
    ) as error:  # a tensor of another rank or size
        reason = str(error).splitlines()[0].rstrip(".")
    raise WeightsError(f"{read.path} is no checkpoint of {name} as its authors save it: {reason}.")


def _by_our_names(state: State, layout: Layout) -> tuple[State, list[str]]:
    """The tensors that have a place here, and the names of those that the official forward pass leaves out.

    Raises:
        WeightsError: if there is no place for a tensor.
    """
    unused = [key for key in state if any(re.fullmatch(pattern, key) for pattern in layout.unused)]
    theirs = {key: tensor for key, tensor in state.items() if key not in unused}
    ours = layout.rearranged(theirs)
    unknown = []
    for key, tensor in theirs.items():
        name = renamed(key, layout.names)
        if name is None:
            unknown.append(key)
        else:
            ours[name] = tensor
    if unknown:
        raise WeightsError(f"there is no place for {', '.join(unknown)}")
    return ours, unused


def _filled(model: SuperResolver, tensors: State) -> SuperResolver:
    """The model with these tensors.

    Raises:
        WeightsError: if names or shapes are not those of the model.
    """
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise WeightsError(f"there is nothing for our {', '.join(missing)}")
    if foreign := sorted(tensors.keys() - wanted.keys()):
        raise WeightsError(f"there is no place for what would be our {', '.join(foreign)}")
    for key, like in wanted.items():
        if tensors[key].shape != like.shape:
            shapes = f"wanted {tuple(like.shape)}, got {tuple(tensors[key].shape)}"
            raise WeightsError(f"for our {key} {shapes}")
    model.load_state_dict(tensors)
    return model.eval()
