"""A person's task: a Python function, its answers, and its mistakes told as theirs.

The contract: ``predict(image, sample)`` is called once for every image and setting with ``image``, uint8
[h, w, 3], and a `Sample`. It returns a number; or several by name, as a dict; or ``(prediction, truth)``, two
label images whose nonzero pixels are compared by Dice, or two labels, which are equal or not.
"""

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from histoscale.errors import ConfigError, HistoscaleError
from histoscale.experiments.custom_task import nuclei
from histoscale.experiments.custom_task.sample import Sample, enlarged

Scores = dict[str, float]
SHIPPED = {"nuclei": nuclei}
"""Modules by the name of their task."""
PREDICT = "predict"


@dataclass(frozen=True)
class Task:
    """A function and the file it came from."""

    file: Path
    name: str
    function: Callable[[UInt8[np.ndarray, "h w 3"], Sample], Any]

    def scores(self, image: UInt8[np.ndarray, "h w 3"], sample: Sample, setting: str) -> Scores:
        """What the function says of one image, by measure.

        Raises:
            HistoscaleError: if the function fails or returns something else; the sentence says where.
        """
        about = f"image {sample.id} ({setting})"
        try:
            answer = self.function(image.copy(), sample)
        except HistoscaleError:  # ours, in a sentence already
            raise
        except (Exception, SystemExit) as error:
            where = self._line_of(error)
            raise HistoscaleError(
                f"Your task failed in {self.file}, {where}, on {about}: {_said(error)}."
            ) from None
        try:
            return _as_scores(answer)
        except ValueError as error:
            raise HistoscaleError(f"Your {self.name} in {self.file} returned {error} for {about}.") from None

    def _line_of(self, error: BaseException) -> str:
        return line_of(error, self.file) or f"as {self.name}(image, sample) was called"


def load_task(wanted: str) -> Task:
    """The function of ``FILE.py:NAME``, or the shipped task of that name.

    Raises:
        ConfigError: if there is no such file or function.
        HistoscaleError: if the file cannot be run; the sentence says where.
    """
    if wanted in SHIPPED:
        return Task(Path(getfile(SHIPPED[wanted])), PREDICT, SHIPPED[wanted].predict)
    path, _, name = wanted.rpartition(":") if ":" in wanted else (wanted, "", PREDICT)
    file = Path(path).absolute()  # as tracebacks name it
    if file.suffix != ".py" or not file.is_file():
        known = ", ".join(SHIPPED)
        raise ConfigError(f"Wanted a task as FILE.py:{PREDICT}, or one that ships ({known}), got {wanted}.")
    function = getattr(_run(file), name, None)
    if not callable(function):
        raise ConfigError(f"Wanted a function {name} in {file}, found none.")
    return Task(file, name, function)


def line_of(error: BaseException, file: Path) -> str:
    """``line 12``: the last line of a person's file on the way to their mistake; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"line {error.lineno}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return f"line {lines[-1]}" if lines else ""


def _run(file: Path) -> Any:
    """The module of a file; files beside it can be imported."""
    spec = spec_from_file_location(f"histoscale_task_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"Wanted a Python file, got {file}.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a module up by its name
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        where = line_of(error, file) or "while it was loaded"
        raise HistoscaleError(f"Your task failed in {file}, {where}: {_said(error)}.") from None
    return module


def _said(error: BaseException) -> str:
    """A person's exception on one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ").removesuffix(".")


def _as_scores(answer: object) -> Scores:
    """An answer by measure; ValueError says what it was if it is none."""
    if isinstance(answer, tuple) and len(answer) == 2:
        return _compare(*answer)
    named = answer if isinstance(answer, Mapping) else {"score": answer}
    scores = {str(name): _number(value) for name, value in named.items()}
    if not scores:
        raise ValueError("no score")
    return scores


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{type(value).__name__} where a number, a dict of numbers or (prediction, truth) was wanted"
        ) from None
    if isinstance(value, str) or not np.isfinite(number):
        raise ValueError(f"{value!r} where a finite number was wanted")
    return number


def _compare(prediction: object, truth: object) -> Scores:
    """Dice of two label images, the prediction enlarged to the truth; or whether two labels are equal."""
    try:
        first, second = np.asarray(prediction), np.asarray(truth)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"what is no array ({error})") from None
    if first.ndim == 0 and second.ndim == 0:
        return {"accuracy": float(first == second)}
    if first.ndim != 2 or second.ndim != 2:
        raise ValueError(
            f"arrays of shape {first.shape} and {second.shape} where two label images were wanted"
        )
    here, there = enlarged(first != 0, second.shape), second != 0
    total = int(here.sum()) + int(there.sum())
    return {"dice": 2 * int((here & there).sum()) / total if total else 1.0}
