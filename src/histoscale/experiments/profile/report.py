"""A profile as tables and as JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import NamedTuple

import torch

from histoscale.experiments.profile.measure import MIB, Cost, Times
from histoscale.experiments.tables import TextTable, count, markdown_document

REFERENCE = "liif"
"""The model that the ratios refer to."""
Query = int | None


class ModelCosts(NamedTuple):
    """One model: its cost at each query size, and why a cost could not be measured."""

    name: str
    parameters: int
    costs: dict[Query, Cost]
    failures: list[tuple[Query, str]]


@dataclass(frozen=True)
class Machine:
    """The machine, and the conditions of the measurement."""

    name: str
    device: str
    precision: str
    threads: int
    lr_px: int
    repetitions: int


class Profile(NamedTuple):
    """All measurements of one run."""

    machine: Machine
    models: tuple[ModelCosts, ...]


def markdown(found: Profile) -> str:
    """Write the conditions and every table in Markdown."""
    blocks = ["# Cost", *_conditions(found.machine), *(table.markdown("##") for table in tables(found))]
    failures = [
        f"- {model.name}, {label(query)}: {text}" for model in found.models for query, text in model.failures
    ]
    if failures:
        blocks += ["## Not measured", "\n".join(failures)]
    return markdown_document(blocks)


def tables(found: Profile) -> list[TextTable]:
    """Make the tables of memory and time, a row for each model."""
    parameters = {
        "parameters / 10^6": [f"{model.parameters / 1e6:.2f}" for model in found.models],
        "parameters / 2^20": [f"{model.parameters / MIB:.2f}" for model in found.models],
    }
    unit = "seconds by the clock" + (" / of the processor" if found.machine.device == "cpu" else "")
    return [
        _table(found, "Parameters, and peak MiB above the loaded model", _memory, parameters),
        _table(found, f"Encoding and decoding, {unit}", _total, {}),
        _table(found, f"Decoding alone, {unit}", _decoding, {}),
    ]


def as_json(found: Profile) -> str:
    """Write all measurements unrounded; query sizes as in the tables."""
    models = [
        {
            "model": model.name,
            "parameters": model.parameters,
            "costs": {
                label(query): {
                    "encode": cost.encode._asdict(),
                    "decode": cost.decode._asdict(),
                    "peak_mib": cost.peak_mib,
                }
                for query, cost in model.costs.items()
            },
            "failures": {label(query): text for query, text in model.failures},
        }
        for model in found.models
    ]
    content = {"histoscale": version("histoscale"), **vars(found.machine), "models": models}
    return json.dumps(content, indent=2) + "\n"


def label(query: Query) -> str:
    """Write ``48^2`` for 2304 points per query."""
    if query is None:
        return "grid"
    side = round(query**0.5)
    return f"{side}^2" if side**2 == query else str(query)


Figure = Callable[[Cost, bool], tuple[str, float | None]]
"""Writes a cell from a cost, and returns the number of its ratio; its second argument is whether to compare
processor times.
"""


def _memory(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:  # noqa: ARG001
    return ("-" if cost.peak_mib is None else f"{cost.peak_mib:.0f}"), cost.peak_mib


def _total(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:
    return _seconds(Times(*map(sum, zip(cost.encode, cost.decode, strict=True))), on_cpu)


def _decoding(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:
    return _seconds(cost.decode, on_cpu)


def _seconds(times: Times, on_cpu: bool) -> tuple[str, float | None]:
    """Write times; the ratio is of processor times if known: other work hardly changes these."""
    if on_cpu:
        return f"{times.wall_s:.3g} / {times.processor_s:.3g}", times.processor_s
    return f"{times.wall_s:.3g}", times.wall_s


def _table(found: Profile, caption: str, figure: Figure, first: Mapping[str, list[str]]) -> TextTable:
    """Make a table with a column for each query size, and the ratio to `REFERENCE` in brackets.

    Args:
        first: columns before these, by heading.
    """
    queries = list(dict.fromkeys(query for model in found.models for query in model.costs))
    on_cpu = found.machine.device == "cpu"
    reference = next((model.costs for model in found.models if model.name == REFERENCE), {})
    rows = []
    for number, model in enumerate(found.models):
        row = [model.name, *(column[number] for column in first.values())]
        for query in queries:
            text, value = figure(model.costs[query], on_cpu) if query in model.costs else ("-", None)
            unit = figure(reference[query], on_cpu)[1] if query in reference else None
            row.append(f"{text} ({value / unit:.2f})" if value is not None and unit else text)
        rows.append(row)
    return TextTable(["model", *first, *map(label, queries)], rows, caption)


def _conditions(machine: Machine) -> list[str]:
    threads = f", {count(machine.threads, 'thread')}" if machine.device == "cpu" else ""
    ratio = "processor time" if machine.device == "cpu" else "time"
    return [
        f"{date.today().isoformat()}, {machine.name}{threads}, {machine.precision}, "
        f"torch {torch.__version__}, histoscale {version('histoscale')}.",
        f"{machine.lr_px} x {machine.lr_px} low-resolution pixels are upscaled by 2, with a column for each "
        "number of output pixels per query. In the column grid, images are made as by `histoscale "
        "upscale`, in blocks that the model chooses. Every figure is of a new process after a warm-up, and "
        f"the smallest of {count(machine.repetitions, 'repetition')}; the models are measured alternately. "
        f"In brackets the ratio to {REFERENCE}, of memory and of {ratio}.",
    ]
