"""The loop that trains: Adam on an objective, a moving average, measurements, and a state to go on from."""

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import tomli_w
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.utils.data import DataLoader

from histoscale import weights
from histoscale.config import Run, read_run
from histoscale.data.gpu_pairs import DevicePairs
from histoscale.data.manifest import find_images, read_rgb
from histoscale.data.pairs import Pair, PairDataset
from histoscale.errors import ConfigError, OutputError
from histoscale.files import lock, write_text, writing
from histoscale.models.base import SuperResolver
from histoscale.models.catalog import build
from histoscale.resources import find_precision
from histoscale.training.card import card_of, record_origin
from histoscale.training.checkpoint import (
    read_state,
    stopping_politely,
    take_over,
    update_average,
    write_state,
)
from histoscale.training.curves import draw_curves, read_metrics
from histoscale.training.losses import Objective, objective_for
from histoscale.training.schedule import Progress, average_decay, step_size
from histoscale.training.validation import Validation

Report: TypeAlias = Callable[[Progress, float], None]
"""Called after every step with the progress and the last loss."""


@dataclass
class Trainer:
    """One run from its first step, or from where it was left, to its end.

    Args:
        run: the run file's content.
        output: folder of the run.
        report: told of every step.
    """

    run: Run
    output: Path
    report: Report | None = None
    stopping: bool = field(default=False, init=False)
    validated: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        table = self.run.training
        if table.threads:
            torch.set_num_threads(table.threads)
        torch.manual_seed(self.run.seed)
        in_stages = self.run.loss.kind in ("wavelets", "residual")
        device = torch.accelerator.current_accelerator() or torch.device("cpu")
        self.accelerator = Accelerator(
            cpu=device.type == "cpu",  # else several processes on a CPU are not seen
            mixed_precision="bf16" if find_precision(table.precision, device) == "bf16" else "no",
            # While one stage learns alone, the other has no gradients to wait for.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=in_stages)],
        )
        data = self.run.data
        self.records = find_images(data.root, data.sets, data.split)
        self.model = build(self.run.model.name, **self.run.model.arguments)
        if self.run.model.start_from:
            take_over(self.model, weights.load(self.run.model.start_from).state_dict())
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: SuperResolver = (
            copy.deepcopy(self.model).requires_grad_(False).to(self.accelerator.device)
        )
        objective = objective_for(self.run, self.model)
        self.adversary = objective.adversary
        self.objective, self.optimiser = self.accelerator.prepare(objective, self._optimiser(objective))
        self.progress = Progress(table)
        self.validation = Validation(
            self.run.validation,
            find_images(data.root, self.run.validation.sets or data.sets, self.run.validation.split),
        )
        self.share = self.progress.share()

    def _optimiser(self, objective: Objective) -> torch.optim.Adam:
        """Adam for the model and, with a step size of its own, for an adversary."""
        table = self.run.training
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if objective.adversary is not None:
            groups.append({"params": list(objective.adversary.parameters())})
        return torch.optim.Adam(
            groups, lr=table.rate, betas=table.betas, eps=table.epsilon, weight_decay=table.weight_decay
        )

    def train(self) -> None:
        """Train to the end of the budget, or to an interrupt, and leave weights, curves and state behind."""
        saved = measured = time.monotonic()
        self._measure()
        for pair in self._pairs():
            loss = self._step(pair)
            now = time.monotonic()
            if self.progress.step % self.run.training.log_every == 0:
                self._log(loss=loss, rate=self.optimiser.param_groups[0]["lr"])
            if now - measured > 60 * self.run.validation.minutes:
                self._measure()
                measured = time.monotonic()
            if now - saved > 60 * self.run.training.checkpoint_minutes:
                self.save()
                saved = time.monotonic()
            if self.report:
                self.report(self.progress, loss)
            self.share = self._agreed_share()
            if self.share >= 1:
                break
        self._measure()
        self.save()
        self._export()

    def stop(self) -> None:
        """End after the present step, with everything saved."""
        self.stopping = True

    def _agreed_share(self) -> float:
        """Share of the budget used, the same for all processes; 1 once any of them was asked to stop."""
        own = 1.0 if self.stopping else self.progress.share()
        if self.accelerator.num_processes == 1:
            return own
        shares = self.accelerator.gather(torch.tensor([own], device=self.accelerator.device))
        return float(shares.max())

    def _pairs(self) -> Iterator[Pair]:
        """Batches from the present step on; each process takes its own part of every batch."""
        table, accelerator = self.run.training, self.accelerator
        world, rank = accelerator.num_processes, accelerator.process_index
        pictures = [read_rgb(record.path) for record in self.records]
        recipe = self.run.data.recipe()
        if self.run.data.on_device:
            seed = self.run.seed * 1000 + rank
            yield from DevicePairs(pictures, recipe, table.batch, seed, accelerator.device).batches(
                self.progress.step
            )
        dataset = PairDataset(pictures, recipe, table.batch * world, self.run.seed)
        batches = (
            [(step * world + rank) * table.batch + i for i in range(table.batch)]
            for step in range(self.progress.step, table.steps or 10**9)
        )
        own = torch.Generator()  # else a loader draws from the random numbers that a resumed run continues
        loader: DataLoader[Pair] = DataLoader(
            dataset, batch_sampler=batches, num_workers=table.workers, generator=own
        )
        for pair in loader:
            yield Pair(*(tensor.to(accelerator.device) for tensor in pair))

    def _step(self, pair: Pair) -> float:
        """One step of Adam."""
        table = self.run.training
        rate, heights = step_size(table, self.share), (1.0, self.run.loss.adversary_rate / table.rate)
        for group, height in zip(self.optimiser.param_groups, heights, strict=False):
            group["lr"] = rate * height  # the second group, where there is one, is an adversary
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.objective(pair, self.share)
        self.accelerator.backward(loss)
        if table.clip:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), table.clip)
        self.optimiser.step()
        if table.average:
            update_average(self.average, self.model, average_decay(table.average, self.progress.step))
        self.progress.step += 1
        return float(loss.detach())

    def best(self) -> SuperResolver:
        """The weights to keep: the moving average if there is one."""
        return self.average if self.run.training.average else self.model

    def _measure(self) -> None:
        if not self.accelerator.is_main_process:
            return
        with self.accelerator.autocast():
            scores = self.validation.measure(self.best(), self.accelerator.device)
        kind = f"{self.run.validation.split} {self.run.validation.degradation}"
        self.validated = {f"{key} {kind} psnr_db": round(score, 3) for key, score in scores.items()}
        self._log(psnr=scores, bicubic=self.validation.bicubic)
        draw_curves(self.output / "metrics.jsonl", self.output / "curves.png")

    def _log(self, **values: Any) -> None:
        if not self.accelerator.is_main_process:
            return
        line = {"step": self.progress.step, "elapsed_s": round(self.progress.elapsed_s(), 1), **values}
        with (self.output / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write everything that the next step depends on."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "step": self.progress.step,
            "spent_s": self.progress.elapsed_s(),
            "run": self.run.model_dump_json(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        if self.adversary is not None:
            state["adversary"] = self.adversary.state_dict()
        write_state(self.output / "state.pt", state)

    def resume(self) -> None:
        """Go back to where `save` left off.

        Raises:
            ConfigError: if the run file has changed since.
        """
        state = read_state(self.output / "state.pt")
        if not self.run.trains_as(Run.model_validate_json(state["run"])):
            raise ConfigError(
                f"The run file and --set differ from those that {self.output} was started with: "
                f"{self.output / 'run.toml'} holds those."
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random_cuda"])
        self.progress = Progress(self.run.training, state["step"], state["spent_s"])
        self.share = self.progress.share()

    def _export(self) -> None:
        """Write the weights with their card."""
        if not self.accelerator.is_main_process:
            return
        draw_curves(self.output / "metrics.jsonl", self.output / "curves.png")
        about = card_of(self.run, self.records, self.progress, self.validated)
        weights.save(self.output / f"{self.run.name}.safetensors", self.best(), about)


# ``histoscale train RUN.toml``: Eq. 1, or a method's own loss, by Adam, on one processor or many.


def train(
    run_file: Path,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    report: Report | None = None,
) -> Path:
    """Train the model that a run file describes.

    Args:
        run_file: TOML, see `histoscale.config.Run`.
        output: folder for state, metrics, curves and weights.
        overrides: ``KEY=VALUE`` each, overriding the file's keys, see `histoscale.run_file.override`.
        resume: continue what is in ``output``.

    Returns:
        The weights file.

    Raises:
        ConfigError, DataError, OutputError: one sentence each.
        KeyboardInterrupt: after Ctrl-C or a polite kill, when state and weights so far are written.
    """
    run = read_run(run_file, overrides)
    held = (output / "state.pt").exists()
    if held and not resume:
        raise OutputError(
            f"{output} already holds a run; continue it with --resume or choose another folder."
        )
    if resume and not held:
        raise OutputError(f"There is no run to resume in {output}.")
    with writing(f"The run's folder {output}"):
        output.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(run, output, report)
        if resume:
            trainer.resume()
        is_main = trainer.accelerator.is_main_process
        with lock(output) if is_main else nullcontext(), stopping_politely(trainer.stop):
            if is_main:
                begin_records(trainer)
            trainer.train()
    if trainer.stopping:
        raise KeyboardInterrupt
    return output / f"{run.name}.safetensors"


def begin_records(trainer: Trainer) -> None:
    """Write the run as it was resolved, its origin, and metrics that end where the run begins."""
    output, metrics = trainer.output, trainer.output / "metrics.jsonl"
    run = trainer.run.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    write_text(output / "run.toml", tomli_w.dumps(run))
    record_origin(trainer.run, trainer.records, output / "origin.json")
    step = trainer.progress.step
    kept = (
        [line for line in read_metrics(metrics) if line["step"] <= step] if step and metrics.exists() else []
    )
    write_text(metrics, "".join(json.dumps(line) + "\n" for line in kept))
