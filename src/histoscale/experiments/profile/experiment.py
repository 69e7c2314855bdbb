"""All models of any scale side by side: Table 8, in turns, so that a busy machine slows all alike."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from histoscale.errors import ConfigError, HistoscaleError
from histoscale.experiments.profile.measure import Call, Cost, Times, measure
from histoscale.experiments.profile.report import Machine, Profile, Row, machine_name, markdown, plain
from histoscale.files import atomic_files, refuse_existing, refuse_unwritable
from histoscale.models.base import CoordinateSuperResolver, count_parameters
from histoscale.models.catalog import MODELS, build, known_arguments
from histoscale.resources import PrecisionChoice, find_device, find_precision

QUERIES: tuple[int | None, ...] = (48**2, 96**2, 192**2, None)
"""Output pixels a query, as in Table 8; None: a grid, by blocks of the model's own choice."""
FILES = ("profile.md", "profile.json")
"""What is written into the folder."""
Builder = Callable[[], CoordinateSuperResolver]


def subjects(names: Sequence[str] = (), encoder: str = "swinir") -> dict[str, Builder]:
    """What makes each model, on one encoder wherever a model takes one; all with parameters by default.

    Raises:
        ConfigError: for an unknown model or encoder, or a model of fixed scale.
    """
    found = {}
    for name in names or MODELS:
        arguments = {"encoder": encoder} if "encoder" in known_arguments(name) else {}
        with torch.device("meta"):
            model = build(name, **arguments)
        any_scale = isinstance(model, CoordinateSuperResolver)
        if names and not any_scale:
            raise ConfigError(f"Wanted models of any scale to profile, got {name}.")
        if names or (any_scale and count_parameters(model)):
            found[name] = partial(build, name, **arguments)
    return found  # type: ignore[return-value]  # any_scale


def profile(
    models: Mapping[str, Builder],
    output: Path,
    *,
    queries: Sequence[int | None] = QUERIES,
    lr_px: int = 96,
    device: str = "auto",
    precision: PrecisionChoice = "fp32",
    threads: int = 1,
    rounds: int = 2,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Profile:
    """Measure each model at each query size, and write `FILES` into ``output``.

    Args:
        models: what makes each, see `subjects`; ratios are to ``liif`` if it is among them.
        queries: see `QUERIES`.
        lr_px: side of the low-resolution image, which is doubled.
        device: "auto", "cpu", "cuda", "cuda:1".
        precision: "auto" is bf16 where the device multiplies it natively, else fp32.
        threads: of a processor.
        rounds: turns of every model; the best counts.
        overwrite: replace the results of an earlier call.
        progress: called after every measurement with the number done and their total.

    Raises:
        ConfigError: if device or precision is unknown or absent.
        OutputError: if results are there already or cannot be written.
    """
    place = find_device(device)
    numbers = find_precision(precision, place)
    machine = Machine(machine_name(place), str(place), numbers, threads, lr_px, rounds)
    if not overwrite:
        refuse_existing(*(output / name for name in FILES))
    refuse_unwritable(output / FILES[0])
    rows = {name: Row(name, _parameters(model), {}, []) for name, model in models.items()}
    found = Profile(machine, tuple(rows.values()))
    turns = [(query, name) for _ in range(rounds) for query in queries for name in models]
    for done, (query, name) in enumerate(turns, start=1):
        try:
            call = Call(models[name], query, lr_px, device=str(place), precision=numbers, threads=threads)
            cost = measure(call)
            known = rows[name].costs.get(query)
            rows[name].costs[query] = best(known, cost) if known else cost
        except HistoscaleError as error:
            rows[name].failures.append((query, str(error)))
        _write(found, output)  # after every turn, so that stopping loses none
        if progress is not None:
            progress(done, len(turns))
    return found


def best(first: Cost, second: Cost) -> Cost:
    """The smaller of two measurements, figure by figure: other work on the machine only ever adds."""
    encode, decode = (
        Times(*map(min, a, b)) for a, b in ((first.encode, second.encode), (first.decode, second.decode))
    )
    peaks = [cost.peak_mib for cost in (first, second) if cost.peak_mib is not None]
    return Cost(encode, decode, min(peaks, default=None))


def _parameters(model: Builder) -> int:
    with torch.device("meta"):
        return count_parameters(model())


def _write(found: Profile, output: Path) -> None:
    texts = (markdown(found), json.dumps(plain(found), indent=2) + "\n")
    with atomic_files(output) as folder:
        for name, text in zip(FILES, texts, strict=True):
            (folder / name).write_text(text, encoding="utf-8")
