"""Weights on disk: tensors as safetensors, and a card that describes them. Pickled files are never read."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from typing import Annotated, Any, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from histoscale.errors import ConfigError, OutputError, WeightsError, reason_of
from histoscale.files import atomic_write, write_text
from histoscale.models.base import SuperResolver, count_parameters, moved
from histoscale.models.catalog import build

Stored: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""Type of the stored numbers; in memory they are always float32."""
Scale: TypeAlias = Annotated[float, Field(ge=1, allow_inf_nan=False)]

SHIPPED = Path(__file__).parent / "shipped"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
UNREAD = {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}
"""Types that a file may hold and torch does not compute with."""
SMALL_ARGUMENT = 1024
"""An argument of a model that is not checked: building takes a second at most."""
NOT_STATED = "not stated"
PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".bin"}


class Architecture(BaseModel):
    """The model to build: a name in `histoscale.MODELS` and its arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class DataSource(BaseModel):
    """A set of images that the weights were trained on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    set: str
    split: str = ""
    images: int | None = None
    licence: str = NOT_STATED


class Card(BaseModel):
    """The content, origin and permitted use of a file of weights.

    Fields of later versions are kept unchanged.

    Attributes:
        name: name of the weights.
        architecture: the model.
        parameters: number of trainable scalars.
        scales: smallest and largest scale in training.
        data: the training data.
        licence: licence of the weights.
        limits: sentences that say what the weights should not be used for.
        metrics: results, named by set, scale, degradation and unit: ``monuseg x4 B psnr_db``.
        recipe: tables of the training's run file.
        budget: steps and seconds of the training.
        code_version: version of histoscale that trained or imported the weights.
        created: date of the file.
        stored: type of the stored numbers.
        sha256: digest of the safetensors file.
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
    """Write the weights of a model to ``path`` (.safetensors) and their card to the .json file beside it.

    Each file is written completely or not at all. Existing files are replaced.

    Args:
        path: the file to write.
        model: the model.
        card: fields of `Card`. This function computes parameters, stored and sha256, and adds name,
            code_version and created if they are missing.
        stored: type of the stored numbers.

    Returns:
        The card as written.

    Raises:
        WeightsError: if a weight is not finite in the stored type, or the card is incomplete.
        OutputError: if a file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise OutputError(f"Weights need a name that ends in .safetensors: found {path}.")
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
    """Load a model with its weights, in float32 and evaluation mode.

    Args:
        name_or_path: one of `shipped`, or a .safetensors file with its card beside it.
        device: the device of the model.

    Raises:
        WeightsError: if weights or card are missing, damaged, of another architecture or not finite.
        HistoscaleError: if the device cannot be used.

    Example:
        >>> import histoscale
        >>> model = histoscale.load("iste-fast")
    """
    path = find(name_or_path)
    described = card(path)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise WeightsError(
            f"The weights in {path} do not belong to their card: the sha256 differs. Give the original files."
        )
    try:
        tensors = safetensors.load(content)
    except SafetensorError as error:
        raise WeightsError(f"The weights in {path} cannot be read: {error}.") from None
    _check_size(described.architecture.arguments, tensors, path)
    # Room for a model that differs a little, which `_check_fit` describes better.
    with _at_most(4 * sum(tensor.numel() for tensor in tensors.values()) + 10**6, path):
        model = _built(described.architecture, path)
    _check_fit(tensors, model, path)
    _check_finite(tensors, path)
    model.load_state_dict(tensors)  # casts to the model's float32
    return moved(model, device).eval()


def card(name_or_path: str | Path) -> Card:
    """Read the card of a shipped name or a .safetensors path.

    Raises:
        WeightsError: if the weights or the card are missing, or the card is damaged.
    """
    path = find(name_or_path)
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise WeightsError(f"The weights in {path} have no card: put {beside.name} beside them.")
    return _validated(_read(beside), beside)


def shipped() -> list[str]:
    """List the names of the weights that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find(name_or_path: str | Path) -> Path:
    """Find the .safetensors file of a shipped name or a path.

    Raises:
        WeightsError: if it does not exist or has another type.
    """
    path = Path(name_or_path)
    if path.suffix.lower() in PICKLES:
        raise WeightsError(
            f"{path} is a pickled file, which could run code and is not read: give weights as .safetensors."
        )
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise WeightsError(f"There are no weights at {path}.")
        return path
    if str(name_or_path) not in shipped():
        names = ", ".join(shipped()) or "none"
        raise WeightsError(
            f"There are no weights named {name_or_path}: give one of {names}, or a .safetensors file."
        )
    return SHIPPED / f"{name_or_path}.safetensors"


def _to_stored(tensor: Tensor, stored: Stored) -> Tensor:
    """Copy a tensor to the CPU and convert floats to the stored type; integers are kept."""
    tensor = tensor.detach().cpu()
    return tensor.to(DTYPES[stored] if tensor.is_floating_point() else tensor.dtype, copy=True).contiguous()


def _built(architecture: Architecture, path: Path) -> SuperResolver:
    """Build a model of the architecture in a card."""
    try:
        return build(architecture.name, **architecture.arguments)
    except ConfigError as error:
        raise WeightsError(f"The card of {path} names a model that cannot be built: {error}") from None
    except (MemoryError, RuntimeError, OverflowError) as error:
        reason = reason_of(error)
        raise WeightsError(f"The card of {path} names a model that is too large: {reason}.") from error


def _check_size(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` if an argument in the card exceeds what the tensors show.

    A number of layers is at most the number of tensors, and a width at most a side of one of them. Without
    this check a card could make the building of the model take hours.
    """
    sides = (side for tensor in tensors.values() for side in tensor.shape)
    largest = max(SMALL_ARGUMENT, len(tensors), *sides)
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            _check_size(value, tensors, path)
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(number, int | float) and not number <= largest for number in numbers):
            raise WeightsError(
                f"The card of {path} names a model with {name} above {largest}, which is more than the "
                "weights show: give the original card."
            )


@contextmanager
def _at_most(numbers: int, path: Path) -> Iterator[None]:
    """Stop a block that builds a model of more parameters than ``numbers``.

    `_check_size` bounds each layer, and this their number: a card can name a thousand wide layers.

    Raises:
        WeightsError: as soon as there are more.
    """
    built, thread = 0, get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal built
        if parameter is None or get_ident() != thread:  # the hook sees the models of all threads
            return
        built += parameter.numel()
        if built > numbers:
            raise WeightsError(f"The weights in {path} do not fit their card, which names a larger model.")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _check_fit(tensors: Mapping[str, Tensor], model: SuperResolver, path: Path) -> None:
    """Raise `WeightsError` unless names, shapes and types are those of the model."""
    expected = model.state_dict()
    name = type(model).__name__
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        which = f"{missing[0]} is missing" if missing else f"{unknown[0]} is unknown"
        count = len(missing) + len(unknown)
        raise WeightsError(f"The weights in {path} do not fit {name}: {which} ({count} names differ).")
    for key, like in expected.items():
        tensor = tensors[key]
        if tensor.shape != like.shape:
            shapes = f"expected {tuple(like.shape)}, found {tuple(tensor.shape)}"
            raise WeightsError(f"The weights in {path} do not fit {name}: {key} {shapes}.")
        if tensor.is_floating_point() != like.is_floating_point() or tensor.dtype in UNREAD:
            types = f"expected {like.dtype}, found {tensor.dtype}"
            raise WeightsError(f"The weights in {path} do not fit {name}: {key} {types}.")


def _check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise `WeightsError` at the first tensor with NaN or infinity."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(f"The weights for {path} are not finite: {key} has NaN or infinity.")


def _validated(fields: Mapping[str, Any] | bytes, path: Path) -> Card:
    """Build a card from fields or JSON; raise `WeightsError` with the first wrong field."""
    try:
        if isinstance(fields, bytes):
            return Card.model_validate_json(fields)
        return Card.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole card"
        raise WeightsError(f"The card of {path} is wrong or incomplete: {where}: {first['msg']}.") from None


def _read(path: Path) -> bytes:
    """Read a file; turn errors of the system into `WeightsError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from None
