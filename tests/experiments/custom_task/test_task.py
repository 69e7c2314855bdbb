"""What a user's function may return, and its errors with their line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from histoscale.errors import ConfigError, HistoscaleError
from histoscale.experiments.custom_task.sample import Sample
from histoscale.experiments.custom_task.task import load_task

IMAGE = np.zeros((8, 6, 3), np.uint8)
SAMPLE = Sample("p", Path("p.png"), (8, 6), 1.0, np.eye(8, 6, dtype=np.int64), {"organ": "colon"})

Written = Callable[[str], str]


def answer(written: Written, expression: str) -> dict[str, float]:
    task = load_task(written(f"import numpy as np\ndef predict(image, sample):\n    return {expression}\n"))
    return task.scores(IMAGE, SAMPLE, "bicubic")


@pytest.mark.parametrize(
    ("expression", "scores"),
    [
        ("0.5", {"score": 0.5}),
        ("np.float32(2)", {"score": 2}),
        ("True", {"score": 1}),
        ("{'a': 1, 'b': image.shape[0]}", {"a": 1, "b": 8}),
        ("('colon', sample.facts['organ'])", {"accuracy": 1}),
        ("(0, 1)", {"accuracy": 0}),
        ("(sample.mask, sample.mask)", {"dice": 1}),
        ("(np.ones((8, 6), int), sample.mask)", {"dice": 2 * 6 / (48 + 6)}),
        ("(np.ones((4, 3), int), sample.mask)", {"dice": 2 * 6 / (48 + 6)}),
        ("(0 * sample.mask, 0 * sample.mask)", {"dice": 1}),
    ],
)
def test_answers(expression: str, scores: dict[str, float], written: Written) -> None:
    assert answer(written, expression) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("None", "returned a NoneType instead"),
        ("'0.5'", "returned '0.5' instead of a finite number"),
        ("{'a': float('nan')}", "returned nan instead of a finite number"),
        ("{}", "returned an empty dict"),
        ("(sample.mask, 3)", r"shape \(8, 6\) and \(\) instead of two label images"),
        ("([[1], [1, 2]], sample.mask)", "returned something that is not an array"),
    ],
)
def test_wrong_answers(expression: str, sentence: str, written: Written) -> None:
    with pytest.raises(
        HistoscaleError, match=rf"^Your predict in .*mine.py .*{sentence}.* on image p \(bicubic\)\.$"
    ):
        answer(written, expression)


def test_an_error_names_the_line(written: Written) -> None:
    task = load_task(
        written("def half(x):\n    return x / 0\n\ndef predict(image, sample):\n    return half(1)\n")
    )
    with pytest.raises(HistoscaleError) as caught:
        task.scores(IMAGE, SAMPLE, "iste")
    assert str(caught.value) == (
        f"Your task failed in {task.file}, line 2, on image p (iste): ZeroDivisionError: division by zero."
    )


def test_an_error_in_a_library_names_the_line_of_the_call(written: Written) -> None:
    task = load_task(written("import json\n\ndef predict(image, sample):\n    return json.loads('{')\n"))
    with pytest.raises(HistoscaleError, match=r"mine\.py, line 4, on image p .*JSONDecodeError: Expecting"):
        task.scores(IMAGE, SAMPLE, "iste")


def test_a_function_of_one_argument(written: Written) -> None:
    task = load_task(written("def predict(image):\n    return 1\n"))
    with pytest.raises(
        HistoscaleError, match=r"call predict\(image, sample\).* TypeError: predict\(\) takes 1"
    ):
        task.scores(IMAGE, SAMPLE, "iste")


def test_an_exit_is_a_mistake_too(written: Written) -> None:
    task = load_task(written("import sys\ndef predict(image, sample):\n    sys.exit('no licence')\n"))
    with pytest.raises(HistoscaleError, match=r"line 3, .* SystemExit: no licence"):
        task.scores(IMAGE, SAMPLE, "iste")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "import nowhere_to_be_found\n",
            "line 1: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("def predict(image, sample)\n    return 1\n", "line 1: SyntaxError: expected ':'"),
        ("x = 1\n\nraise ValueError('two\\nlines')\n", "line 3: ValueError: two lines"),
    ],
)
def test_a_file_that_does_not_run(text: str, sentence: str, written: Written) -> None:
    with pytest.raises(HistoscaleError) as caught:
        load_task(written(text))
    assert str(caught.value).startswith("Your task failed in ")
    assert str(caught.value).endswith(f"mine.py, {sentence}.")


def test_no_such_task(tmp_path: Path, written: Written) -> None:
    with pytest.raises(ConfigError, match=r"no task glands: .*nuclei"):
        load_task("glands")
    with pytest.raises(ConfigError, match=r"none\.py does not exist"):
        load_task(f"{tmp_path}/none.py:predict")
    with pytest.raises(ConfigError, match=r"mine\.py has no function predict"):
        load_task(written("predict = 3\n"))


def test_a_task_may_write_on_its_image(written: Written) -> None:
    task = load_task(written("def predict(image, sample):\n    image[:] = 7\n    return image.mean()\n"))
    assert task.scores(IMAGE, SAMPLE, "iste") == {"score": 7}
    assert not IMAGE.any()


def test_files_beside_the_task_can_be_imported(tmp_path: Path, written: Written) -> None:
    (tmp_path / "beside_the_task.py").write_text("SCORE = 0.25\n")
    task = load_task(
        written("from beside_the_task import SCORE\n\ndef predict(image, sample):\n    return SCORE\n")
    )
    assert task.scores(IMAGE, SAMPLE, "iste") == {"score": 0.25}
