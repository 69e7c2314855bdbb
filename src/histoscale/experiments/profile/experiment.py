"""Measure all arbitrary-scale models: the paper's Table 8."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from histoscale.errors import ConfigError, HistoscaleError
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.profile.measure import Call, Cost, Times, measure
from histoscale.experiments.profile.report import (
    Machine,
    ModelCosts,
    Profile,
    as_json,
    markdown,
)
from histoscale.files import atomic_files, refuse_existing, refuse_unwritable
from histoscale.models.base import CoordinateSuperResolver, count_parameters
from histoscale.models.catalog import MODELS, build, known_arguments
from histoscale.resources import Compute, device_name

QUERIES: tuple[int | None, ...] = (48**2, 96**2, 192**2, None)
"""Output pixels per query, as in Table 8; None is a grid, in blocks of the model's own choice."""
FILES = ("profile.md", "profile.json")
"""Files of the folder."""
ONE_THREAD = Compute(precision="fp32", threads=1)
Builder = Callable[[], CoordinateSuperResolver]


def subjects(names: Sequence[str] = (), encoder: str = "swinir") -> dict[str, Builder]:
    """List functions that build each model, with one encoder for all models that have a choice.

    Args:
        names: of arbitrary-scale models; all of them that have parameters by default.

    Raises:
        ConfigError: for an unknown model or encoder, or a fixed-scale model.
    """
    found = {}
    for name in names or MODELS:
        arguments = {"encoder": encoder} if "encoder" in known_arguments(name) else {}
        with torch.device("meta"):
            model = build(name, **arguments)
        any_scale = isinstance(model, CoordinateSuperResolver)
        if names and not any_scale:
            raise ConfigError(f"{name} is a fixed-scale model: choose arbitrary-scale models.")
        if names or (any_scale and count_parameters(model)):
            found[name] = partial(build, name, **arguments)
    return found  # type: ignore[return-value]  # any_scale


def profile(
    models: Mapping[str, Builder],
    output: Path,
    *,
    queries: Sequence[int | None] = QUERIES,
    lr_px: int = 96,
    compute: Compute = ONE_THREAD,
    repetitions: int = 2,
    overwrite: bool = False,
    progress: OnProgress = ignore_progress,
) -> Profile:
    """Measure each model at each query size, and write `FILES`.

    Args:
        models: functions that build each model, see `subjects`; ratios refer to ``liif`` if it is included.
        output: folder for the results.
        queries: see `QUERIES`.
        lr_px: side of the low-resolution image, which is upscaled by 2.
        repetitions: of every measurement; the fastest is reported.
        overwrite: replace the results of an earlier call.
        progress: called after every measurement.

    Raises:
        ConfigError: if device or precision is unknown or absent.
        OutputError: if results exist already or cannot be written.
    """
    device, precision = compute.resolve()
    threads = max(1, compute.threads)
    machine = Machine(device_name(device), str(device), precision, threads, lr_px, repetitions)
    if not overwrite:
        refuse_existing(*(output / name for name in FILES))
    refuse_unwritable(output / FILES[0])
    found = Profile(
        machine, tuple(ModelCosts(name, _parameters(model), {}, []) for name, model in models.items())
    )
    # One model after the other in every repetition, so that a busy machine slows all alike.
    measurements = list(itertools.product(range(repetitions), queries, found.models))
    for done, (_, query, model) in enumerate(measurements, start=1):
        call = Call(models[model.name], query, lr_px, 2, str(device), precision, threads)
        try:
            cost = measure(call)
            model.costs[query] = best(model.costs.get(query, cost), cost)
        except HistoscaleError as error:
            model.failures.append((query, str(error)))
        _write(found, output)  # after every measurement, so that a stopped run keeps its results
        progress(done / len(measurements), "measuring")
    return found


def best(first: Cost, second: Cost) -> Cost:
    """Take the smaller figures of two measurements, because other work on the machine only adds time."""
    encode, decode = (
        Times(*map(min, a, b)) for a, b in ((first.encode, second.encode), (first.decode, second.decode))
    )
    peaks = [cost.peak_mib for cost in (first, second) if cost.peak_mib is not None]
    return Cost(encode, decode, min(peaks, default=None))


def _parameters(model: Builder) -> int:
    with torch.device("meta"):
        return count_parameters(model())


def _write(found: Profile, output: Path) -> None:
    texts = (markdown(found), as_json(found))
    with atomic_files(output) as folder:
        for name, text in zip(FILES, texts, strict=True):
            (folder / name).write_text(text, encoding="utf-8")
