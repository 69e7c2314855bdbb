"""Weights on disk: tensors in safetensors, and beside them a card that says what they are. Never pickle."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from histoscale.errors import ConfigError, OutputError, WeightsError
from histoscale.files import atomic_write, write_text
from histoscale.models.base import SuperResolver, count_parameters, moved
from histoscale.models.catalog import build

Stored: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""How numbers are stored; in memory they are always float32."""
Scale: TypeAlias = Annotated[float, Field(ge=1, allow_inf_nan=False)]

SHIPPED = Path(__file__).parent / "shipped"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NOT_STATED = "not stated"
PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".bin"}


class Architecture(BaseModel):
    """What to build: a name in `histoscale.MODELS` and the arguments for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class DataSource(BaseModel):
    """A set of images the weights were trained on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    set: str
    split: str = ""
    images: int | None = None
    licence: str = NOT_STATED


class Card(BaseModel):
    """What a file of weights is, where it came from and what it may be used for.

    Fields that a later version adds are kept as they are.

    Attributes:
        parameters: number of scalars that training sets.
        sha256: of the safetensors file.
        stored: how its numbers are stored.
        recipe: how it was trained, as in the run file; ``budget``: the steps and seconds it had.
        code_version: of histoscale, at training.
        metrics: figures under names that say set, scale, degradation and unit: ``monuseg x4 B psnr_db``.
        limits: sentences on what the weights should not be used for.
        scales: smallest and largest scale trained on.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(min_length=1)
    architecture: Architecture
    parameters: int = Field(ge=0)
    scales: tuple[Scale, Scale]
    data: tuple[DataSource, ...]
    licence: str = NOT_STATED
    limits: tuple[str, ...] = ()
    metrics: dict[str, float] = {}
    recipe: dict[str, Any] = {}
    budget: dict[str, Any] = {}
    code_version: str
    created: datetime
    stored: Stored
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def save(path: str | Path, model: SuperResolver, card: Mapping[str, Any], stored: Stored = "fp32") -> Card:
    """Write a model's weights to ``path`` (.safetensors) and their card to the .json beside it.

    Each file is written whole or not at all; what was there before is replaced.

    Args:
        path: where to.
        model: the weights to write.
        card: the fields of `Card`, of which parameters, stored and sha256 are computed here, and name,
            code_version and created filled in where they are missing.
        stored: how to store the numbers.

    Returns:
        The card as written.

    Raises:
        WeightsError: if a weight is not finite once stored, or the card is incomplete.
        OutputError: if a file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise OutputError(f"Wanted a name ending in .safetensors for weights, got {path}.")
    tensors = {name: _to_stored(tensor, stored) for name, tensor in model.state_dict().items()}
    _check_finite(tensors, path)
    content = safetensors.save(tensors)
    filled = {
        "name": path.stem,
        "code_version": version("histoscale"),
        "created": datetime.now(UTC).replace(microsecond=0),
        **card,
        "parameters": count_parameters(model),
        "stored": stored,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    checked = _validated(filled, path)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    write_text(path.with_suffix(".json"), checked.model_dump_json(indent=2) + "\n")
    return checked


def load(name_or_path: str | Path, device: torch.device | str = "cpu") -> SuperResolver:
    """The model of a shipped name or a .safetensors path, with its weights, in float32 and evaluation mode.

    Args:
        name_or_path: one of `shipped`, or a path with its card beside it.
        device: where the model goes.

    Raises:
        WeightsError: if weights or card are missing, damaged, of another architecture or not finite.
        HistoscaleError: if the device is not there.

    Example:
        >>> import histoscale
        >>> model = histoscale.load("iste-fast")
    """
    path = find(name_or_path)
    described = card(path)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise WeightsError(f"The weights in {path} are not those its card describes: the sha256 differs.")
    try:
        tensors = safetensors.load(content)
    except SafetensorError as error:
        raise WeightsError(f"The weights in {path} cannot be read: {error}.") from None
    model = _built(described.architecture, path)
    _check_fit(tensors, model, path)
    _check_finite(tensors, path)
    model.load_state_dict(tensors)  # casts to the model's float32
    return moved(model, device).eval()


def card(name_or_path: str | Path) -> Card:
    """The card of a shipped name or a .safetensors path.

    Raises:
        WeightsError: if the weights or the card are missing, or the card is damaged.
    """
    path = find(name_or_path)
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise WeightsError(f"The weights in {path} have no card: wanted {beside.name} beside them.")
    return _validated(_read(beside), beside)


def shipped() -> list[str]:
    """The names of the weights inside the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find(name_or_path: str | Path) -> Path:
    """The .safetensors file of a shipped name or a path.

    Raises:
        WeightsError: if there is none, or if it is another kind of file.
    """
    path = Path(name_or_path)
    if path.suffix.lower() in PICKLES:
        raise WeightsError(
            f"Wanted weights in .safetensors, got {path}: pickled files can run code and are not read."
        )
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise WeightsError(f"There are no weights at {path}.")
        return path
    if str(name_or_path) not in shipped():
        names = ", ".join(shipped()) or "none"
        raise WeightsError(
            f"There are no weights named {name_or_path}; shipped: {names}; or give a .safetensors path."
        )
    return SHIPPED / f"{name_or_path}.safetensors"


def _to_stored(tensor: Tensor, stored: Stored) -> Tensor:
    """A copy of its own on the CPU, numbers cast; integers stay."""
    tensor = tensor.detach().cpu()
    return tensor.to(DTYPES[stored] if tensor.is_floating_point() else tensor.dtype, copy=True).contiguous()


def _built(architecture: Architecture, path: Path) -> SuperResolver:
    """A fresh model of the architecture on a card."""
    try:
        return build(architecture.name, **architecture.arguments)
    except ConfigError as error:
        raise WeightsError(f"The card of {path} names a model that cannot be built: {error}") from None


def _check_fit(tensors: Mapping[str, Tensor], model: SuperResolver, path: Path) -> None:
    """Raise `WeightsError` unless names, shapes and kinds of number are those of the model."""
    wanted = model.state_dict()
    name = type(model).__name__
    missing, unexpected = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or unexpected:
        which = f"{missing[0]} is missing" if missing else f"{unexpected[0]} is unknown to it"
        count = len(missing) + len(unexpected)
        raise WeightsError(f"The weights in {path} do not fit {name}: {which} ({count} such in all).")
    for key, like in wanted.items():
        tensor = tensors[key]
        if tensor.shape != like.shape:
            shapes = f"wanted {tuple(like.shape)}, got {tuple(tensor.shape)}"
            raise WeightsError(f"The weights in {path} do not fit {name}: {key} {shapes}.")
        if tensor.is_floating_point() != like.is_floating_point():
            kinds = f"wanted {like.dtype}, got {tensor.dtype}"
            raise WeightsError(f"The weights in {path} do not fit {name}: {key} {kinds}.")


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` at the first value that is no number or too large for how it is stored."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(f"The weights for {path} are not finite: {key} has NaN or infinity.")


def _validated(fields: Mapping[str, Any] | bytes, path: Path) -> Card:
    """The card of these fields or this JSON; `WeightsError` names the first that is wrong."""
    try:
        if isinstance(fields, bytes):
            return Card.model_validate_json(fields)
        return Card.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise WeightsError(f"The card of {path} is not complete: {where}: {first['msg']}.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from None
