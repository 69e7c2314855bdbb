"""Jobs in parallel: results, errors and killed processes."""

import os
import signal

import pytest

from histoscale.errors import DataError, HistoscaleError
from histoscale.experiments.parallel import run_jobs


def double(number: int) -> int:
    if number < 0:
        raise DataError("Wanted a positive number.")
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come(workers: int) -> None:
    assert sorted(run_jobs(double, [1, 2, 3], workers)) == [2, 4, 6]


def test_an_error_comes_as_it_is() -> None:
    with pytest.raises(DataError, match="positive number"):
        list(run_jobs(double, [-1], 2))


def test_a_killed_process_is_an_error() -> None:
    with pytest.raises(HistoscaleError, match="killed"):
        list(run_jobs(double, [0], 2))
