"""A user's task: a Python function, the scores that it returns, and its errors with their line.

``predict(image, sample)`` is called once for every image and setting with ``image``, uint8 [h, w, 3], and a
`Sample`. It returns a number, a dict of numbers by name, or a pair ``(prediction, truth)``: two label images,
whose nonzero pixels are compared by Dice, or two labels, which are equal or not.
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
from histoscale.experiments.custom_task.sample import Sample, resize_labels

Scores = dict[str, float]
SHIPPED = {"nuclei": nuclei}
"""Modules of the shipped tasks, by name."""
PREDICT = "predict"


@dataclass(frozen=True)
class Task:
    """A function and its file."""

    file: Path
    name: str
    function: Callable[[UInt8[np.ndarray, "h w 3"], Sample], Any]

    def scores(self, image: UInt8[np.ndarray, "h w 3"], sample: Sample, setting: str) -> Scores:
        """Score one image by the function.

        Raises:
            HistoscaleError: naming the line, if the function fails or does not return scores.
        """
        about = f"image {sample.id} ({setting})"
        try:
            returned = self.function(image.copy(), sample)
        except HistoscaleError:  # the function raised a sentence itself
            raise
        except (Exception, SystemExit) as error:
            where = self._line_of(error)
            raise HistoscaleError(
                f"Your task failed in {self.file}, {where}, on {about}: {_one_line(error)}."
            ) from None
        try:
            return _as_scores(returned)
        except ValueError as error:
            raise HistoscaleError(f"Your {self.name} in {self.file} returned {error}, on {about}.") from None

    def _line_of(self, error: BaseException) -> str:
        return line_of(error, self.file) or f"in the call {self.name}(image, sample)"


def load_task(text: str) -> Task:
    """Load the function of ``FILE.py:NAME``, or a shipped task by its name.

    Raises:
        ConfigError: if there is no such file or function.
        HistoscaleError: naming the line, if the file cannot be run.
    """
    if text in SHIPPED:
        return Task(Path(getfile(SHIPPED[text])), PREDICT, SHIPPED[text].predict)
    path, _, name = text.rpartition(":") if ":" in text else (text, "", PREDICT)
    file = Path(path).absolute()  # as tracebacks name it
    if file.suffix == ".py" and not file.is_file():
        raise ConfigError(f"{file} does not exist, or is not a file: give the Python file of your task.")
    if file.suffix != ".py":
        known = ", ".join(SHIPPED)
        raise ConfigError(f"There is no task {text}: give FILE.py:{PREDICT} or a shipped task ({known}).")
    function = getattr(_run(file), name, None)
    if not callable(function):
        raise ConfigError(f"{file} has no function {name}.")
    return Task(file, name, function)


def line_of(error: BaseException, file: Path) -> str:
    """Find the last line of a user's file in a traceback, as ``line 12``; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"line {error.lineno}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return f"line {lines[-1]}" if lines else ""


def _run(file: Path) -> Any:
    """Run a file as a module; it can import files in its folder."""
    spec = spec_from_file_location(f"histoscale_task_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is not a Python file.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle find a module by its name
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        where = line_of(error, file) or "when it was loaded"
        raise HistoscaleError(f"Your task failed in {file}, {where}: {_one_line(error)}.") from None
    return module


def _one_line(error: BaseException) -> str:
    """Write an exception on one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ").removesuffix(".")


def _as_scores(returned: object) -> Scores:
    """Convert the value that a function returned to scores; raise ValueError that names any other value."""
    if isinstance(returned, tuple) and len(returned) == 2:
        return _compare(*returned)
    named = returned if isinstance(returned, Mapping) else {"score": returned}
    scores = {str(name): _number(value) for name, value in named.items()}
    if not scores:
        raise ValueError("an empty dict")
    return scores


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"a {type(value).__name__} instead of a number, a dict of numbers or (prediction, truth)"
        ) from None
    if isinstance(value, str) or not np.isfinite(number):
        raise ValueError(f"{value!r} instead of a finite number")
    return number


def _compare(prediction: object, truth: object) -> Scores:
    """Compute Dice of two label images, the prediction resized to the truth; or compare two labels."""
    try:
        first, second = np.asarray(prediction), np.asarray(truth)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"something that is not an array ({error})") from None
    if first.ndim == 0 and second.ndim == 0:
        return {"accuracy": float(first == second)}
    if first.ndim != 2 or second.ndim != 2:
        raise ValueError(f"arrays of shape {first.shape} and {second.shape} instead of two label images")
    here, there = resize_labels(first != 0, second.shape), second != 0
    total = int(here.sum()) + int(there.sum())
    return {"dice": 2 * int((here & there).sum()) / total if total else 1.0}
