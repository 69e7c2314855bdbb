"""``histoscale train RUN.toml``: train a super-resolution model, on one processor or many."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from histoscale import weights
from histoscale.config import Run, read_run
from histoscale.data.manifest import find_images
from histoscale.data.pairs import Pair, largest_side
from histoscale.errors import ConfigError, OutputError, WeightsError
from histoscale.files import lock, write_text, writing
from histoscale.io.image_reader import read_rgb
from histoscale.models.base import SuperResolver
from histoscale.models.catalog import build
from histoscale.resources import find_precision
from histoscale.training.batches import endless_batches
from histoscale.training.card import card_of, record_origin
from histoscale.training.checkpoint import copy_fitting, read_state, update_average
from histoscale.training.loop import STATE, Intervals, Loop, Report, random_state, restore_random_state
from histoscale.training.losses import Objective, objective_for
from histoscale.training.schedule import Progress, average_decay, step_size
from histoscale.training.validation import Validation

ADVICE = "lower training.rate, set training.clip = 1.0 or training.precision = fp32,"


class Trained(NamedTuple):
    """The result of `train`.

    Attributes:
        weights: the file.
        was_finished: whether the run was complete before, so that nothing was changed.
    """

    weights: Path
    was_finished: bool


class Trainer:
    """The model of a run file as a `histoscale.training.loop.Learner`.

    Args:
        run: the run file's content.
    """

    curve_label = "validation PSNR over bicubic, dB"

    def __init__(self, run: Run):
        self.run, table, data = run, run.training, run.data
        if table.threads:
            torch.set_num_threads(table.threads)
        torch.manual_seed(run.seed)
        self.accelerator = _accelerator(run)
        self.precision = find_precision(table.precision, self.accelerator.device)
        self.records = find_images(data.root, data.sets, data.split)
        self.model = build(run.model.name, **run.model.arguments)
        if run.model.start_from:
            copy_fitting(self.model, weights.load(run.model.start_from).state_dict())
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: SuperResolver = (
            copy.deepcopy(self.model).requires_grad_(False).to(self.accelerator.device)
        )
        objective = objective_for(run, self.model)
        self.adversary = objective.adversary
        self.objective, self.optimiser = self.accelerator.prepare(objective, self._adam(objective))
        self.progress = Progress(table.steps, table.minutes, table.clock)
        validated = find_images(data.root, run.validation.sets or data.sets, run.validation.split)
        self.validation = Validation(run.validation, validated)
        self.scores: dict[str, float] = {}
        self.batches: Iterator[Pair] | None = None

    def _adam(self, objective: Objective) -> torch.optim.Adam:
        """Adam for the model and, with a step size of its own, for an adversary."""
        table = self.run.training
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if objective.adversary is not None:
            groups.append({"params": list(objective.adversary.parameters())})
        return torch.optim.Adam(
            groups, lr=table.rate, betas=table.betas, eps=table.epsilon, weight_decay=table.weight_decay
        )

    def learn(self, step: int, share: float) -> float:
        """Take a step of Adam on the next batch, and return the loss."""
        table = self.run.training
        if self.batches is None:
            images = [read_rgb(record.path) for record in self.records]
            largest_side(images, self.run.data.recipe(), [record.path for record in self.records])
            self.batches = endless_batches(self.run, images, step, self.accelerator)
        pair = next(self.batches)
        rate, heights = step_size(table, share), (1.0, self.run.loss.adversary_rate / table.rate)
        for group, height in zip(self.optimiser.param_groups, heights, strict=False):
            group["lr"] = rate * height  # the second group, where there is one, is an adversary
        self.optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self.objective(pair, share)
        self.accelerator.backward(loss)
        if table.clip:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), table.clip)
        self.optimiser.step()
        if table.average:
            update_average(self.average, self.model, average_decay(table.average, step))
        return float(loss.detach())

    def _autocast(self) -> torch.autocast:
        """Compute in the precision of the run, which is this run's alone: Accelerate's is the process's."""
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def best(self) -> SuperResolver:
        """The weights to keep: the moving average if there is one."""
        return self.average if self.run.training.average else self.model

    def measure(self) -> dict[str, Any]:
        """Measure PSNR on the validation images."""
        with self._autocast():
            self.scores = self.validation.measure(self.best(), self.accelerator.device)
        return {"psnr": self.scores, "bicubic": self.validation.bicubic}

    def curve_values(self, line: Mapping[str, Any]) -> dict[str, float]:
        """Return PSNR over bicubic, if a line of the metrics has it."""
        scores, bicubic = line.get("psnr") or {}, line.get("bicubic") or {}
        known = [key for key in scores if scores[key] is not None and bicubic.get(key) is not None]
        return {key: scores[key] - bicubic[key] for key in known}

    def state(self, is_last: bool) -> dict[str, Any]:  # noqa: ARG002
        """Return everything that the next step depends on."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"run": self.run.model_dump_json(), **parts, **random_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        restore_random_state(state)

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "average": self.average, "optimiser": self.optimiser}
        return parts | ({"adversary": self.adversary} if self.adversary is not None else {})

    def agree(self, own: float) -> float:
        """The largest share of the budget of all processes, so that they stop together."""
        if self.accelerator.num_processes == 1:
            return own
        shares = self.accelerator.gather(torch.tensor([own], device=self.accelerator.device))
        return float(shares.max())

    def export(self, path: Path, progress: Progress) -> None:
        """Write the weights with their card."""
        run = self.run
        kind = f"{run.validation.split} {run.validation.degradation}"
        metrics = {f"{key} {kind} psnr_db": round(score, 3) for key, score in self.scores.items()}
        weights.save(path, self.best(), card_of(run, self.records, progress, metrics))


def _accelerator(run: Run) -> Accelerator:
    """Accelerate's entry to the device and to the other processes."""
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    in_stages = run.loss.kind in ("wavelets", "residual")
    return Accelerator(
        cpu=device.type == "cpu",  # else several processes on a CPU are not seen
        mixed_precision="no",  # each run has its own, see `Trainer._autocast`
        # While one stage learns alone, the other has no gradients to wait for.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=in_stages)],
    )


def train(
    run_file: Path,
    output: Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    report: Report | None = None,
) -> Trained:
    """Train the model that a run file describes.

    Args:
        run_file: TOML, see `histoscale.config.Run`.
        output: folder for state, metrics, curves and weights.
        overrides: ``KEY=VALUE`` each, overriding the file's keys, see `histoscale.run_file.override`.
        resume: continue what is in ``output``; what is finished there is left as it is.
        report: called after every step.

    Raises:
        ConfigError: if the run file is wrong, or differs from that of the run to resume.
        DataError: if images are missing.
        InputError: if one cannot be read.
        OutputError: if the folder holds a run, or none to resume, or cannot be written.
        TrainingError: if the loss is not a number; the last good state is kept.
        WeightsError: if the state to resume from is damaged.
        KeyboardInterrupt: after SIGINT or SIGTERM, when state and weights so far are written.
    """
    run = read_run(run_file, overrides)
    written, state = output / f"{run.name}.safetensors", _state_to_resume(run, output, resume)
    if state is not None and _is_finished(run, state, written):
        return Trained(written, was_finished=True)
    with writing(f"The run's folder {output}"):
        output.mkdir(parents=True, exist_ok=True)
        trainer, table = Trainer(run), run.training
        is_main = trainer.accelerator.is_main_process
        intervals = Intervals(
            table.log_every, table.checkpoint_minutes, measure_minutes=run.validation.minutes
        )
        loop = Loop(trainer, output, trainer.progress, intervals, ADVICE, trainer.agree, is_main)
        if state is not None:
            loop.resume(state)
        with lock(output) if is_main else nullcontext():
            if is_main:
                resolved = run.model_dump(mode="json", exclude_none=True, exclude_unset=True)
                write_text(output / "run.toml", tomli_w.dumps(resolved))
                record_origin(run, trainer.records, output / "origin.json")
            loop.run(report)
            if is_main:
                trainer.export(written, loop.progress)
    if loop.is_stopped:
        raise KeyboardInterrupt
    return Trained(written, was_finished=False)


def _state_to_resume(run: Run, output: Path, resume: bool) -> dict[str, Any] | None:
    """The state in a folder, or None for a run that starts anew.

    Raises:
        OutputError, ConfigError, WeightsError: see `train`.
    """
    path = output / STATE
    if path.exists() and not resume:
        raise OutputError(f"{output} already holds a run: give --resume, or choose another folder.")
    if not resume:
        return None
    if not path.exists():
        raise OutputError(f"There is no run to resume in {output}.")
    state = read_state(path)
    try:
        started_with = Run.model_validate_json(state["run"])
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path} is not the state of a super-resolution training: choose another folder."
        ) from error
    if not run.trains_as(started_with):
        raise ConfigError(
            f"The run file and --set differ from those that {output} was started with: "
            f"{output / 'run.toml'} holds those."
        )
    return state


def _is_finished(run: Run, state: Mapping[str, Any], written: Path) -> bool:
    """Whether the whole budget is used and the weights are those of its last step."""
    table = run.training
    step, spent_s = state.get("step", 0), state.get("spent_s", 0.0)
    is_used = step >= table.steps if table.steps else spent_s >= 60 * table.minutes
    return bool(is_used) and written.exists() and weights.card(written).budget.get("steps") == step
