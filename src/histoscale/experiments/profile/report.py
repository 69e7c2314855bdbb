"""A profile as Markdown, as rows for a terminal and as plain data; no figure is typed by hand."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from histoscale.experiments.profile.measure import MIB, Cost, Times
from histoscale.experiments.tables import TextTable

REFERENCE = "liif"
"""The model that ratios are to."""
Query = int | None


class Row(NamedTuple):
    """One model: what it costs at each query size, and what could not be measured."""

    model: str
    parameters: int
    costs: dict[Query, Cost]
    failures: list[tuple[Query, str]]


@dataclass(frozen=True)
class Machine:
    """Where and how it was measured."""

    name: str
    device: str
    precision: str
    threads: int
    lr_px: int
    rounds: int


class Profile(NamedTuple):
    """All that was measured in one run."""

    machine: Machine
    rows: tuple[Row, ...]


def markdown(found: Profile) -> str:
    """Every table below what it was measured on."""
    parts = [_head(found.machine)]
    for title, rows in tables(found):
        parts.append(f"## {title}\n\n{TextTable(rows[0], rows[1:]).grid()}")
    failures = [f"- {row.model}, {label(q)}: {text}" for row in found.rows for q, text in row.failures]
    if failures:
        parts.append("## Not measured\n\n" + "\n".join(failures))
    return "\n\n".join(parts) + "\n"


def tables(found: Profile) -> list[tuple[str, list[list[str]]]]:
    """Title and cells of each table, a row a model, the first row the heading."""
    memory, whole, decoding = (_cells(found, figure) for figure in (_memory, _whole, _decoding))
    parameters = [["parameters / 10^6", "parameters / 2^20"]]
    parameters += [[f"{row.parameters / 1e6:.2f}", f"{row.parameters / MIB:.2f}"] for row in found.rows]
    memory = [[row[0], *counts, *row[1:]] for row, counts in zip(memory, parameters, strict=True)]
    unit = "seconds by the clock" + (" / of the processor" if found.machine.device == "cpu" else "")
    return [
        ("Parameters, and peak MiB above the loaded model", memory),
        (f"Encoding and decoding, {unit}", whole),
        (f"Decoding alone, {unit}", decoding),
    ]


def plain(found: Profile) -> dict[str, Any]:
    """The same for programs; query sizes as in the tables."""
    rows = [
        {
            "model": row.model,
            "parameters": row.parameters,
            "costs": {
                label(query): {
                    "encode": cost.encode._asdict(),
                    "decode": cost.decode._asdict(),
                    "peak_mib": cost.peak_mib,
                }
                for query, cost in row.costs.items()
            },
            "failures": {label(query): text for query, text in row.failures},
        }
        for row in found.rows
    ]
    return {"histoscale": version("histoscale"), **vars(found.machine), "models": rows}


def label(query: Query) -> str:
    """``48^2`` for 2304 points a query."""
    if query is None:
        return "grid"
    side = round(query**0.5)
    return f"{side}^2" if side**2 == query else str(query)


Figure = Callable[[Cost, bool], tuple[str, float | None]]
"""A cell's words and the number that ratios are made of; whether processor time counts."""


def _memory(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:  # noqa: ARG001
    return ("-" if cost.peak_mib is None else f"{cost.peak_mib:.0f}"), cost.peak_mib


def _whole(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:
    total = Times(*(a + b for a, b in zip(cost.encode, cost.decode, strict=True)))
    return _seconds(total, on_cpu)


def _decoding(cost: Cost, on_cpu: bool) -> tuple[str, float | None]:
    return _seconds(cost.decode, on_cpu)


def _seconds(times: Times, on_cpu: bool) -> tuple[str, float | None]:
    """Processor time counts where there is one: it does not grow when others work on the machine."""
    if on_cpu:
        return f"{times.wall_s:.3g} / {times.processor_s:.3g}", times.processor_s
    return f"{times.wall_s:.3g}", times.wall_s


def _cells(found: Profile, figure: Figure) -> list[list[str]]:
    """Figures of all models at all query sizes, with the ratio to `REFERENCE` in brackets."""
    queries = list(dict.fromkeys(query for row in found.rows for query in row.costs))
    on_cpu = found.machine.device == "cpu"
    reference = next((row.costs for row in found.rows if row.model == REFERENCE), {})
    lines = [["model", *map(label, queries)]]
    for row in found.rows:
        cells = []
        for query in queries:
            words, number = figure(row.costs[query], on_cpu) if query in row.costs else ("-", None)
            unit = figure(reference[query], on_cpu)[1] if query in reference else None
            cells.append(f"{words} ({number / unit:.2f})" if number is not None and unit else words)
        lines.append([row.model, *cells])
    return lines


def _head(machine: Machine) -> str:
    threads = f", {machine.threads} thread{'s' * (machine.threads > 1)}" if machine.device == "cpu" else ""
    turns = f"best of {machine.rounds} turn{'s' * (machine.rounds > 1)}, one model after the other"
    ratio = "processor time" if machine.device == "cpu" else "time"
    return (
        f"# Cost\n\n{date.today().isoformat()}, {machine.name}{threads}, {machine.precision}, "
        f"torch {torch.__version__}, histoscale {version('histoscale')}.\n\n"
        f"{machine.lr_px} x {machine.lr_px} low-resolution pixels to twice as many a side, "
        f"a column for each number of output pixels a query; grid is how the package makes images, by blocks "
        f"of the model's own choice. Every figure is of a fresh process, warmed up: {turns}. In brackets the "
        f"ratio to {REFERENCE}, of memory and of {ratio}."
    )


def machine_name(device: torch.device) -> str:
    """The processor's or graphics card's name, as far as the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines: Sequence[str] = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
