"""The tables of a cancer detection run, from its predictions and settings alone."""

import math
from collections.abc import Sequence

from histoscale.experiments.cancer.statistics import Estimate, SeedTest, TaskResult
from histoscale.experiments.downstream.settings import LOW, ORIGINAL, Setting
from histoscale.experiments.tables import TextTable, markdown_document, p_to_thousandth, percent

INTERVALS = (
    "Mean of the seeds ± standard deviation, with 95 % intervals from resampled images. Recovered is the "
    "share of the accuracy between low resolution and original; it has no interval if the loss is uncertain, "
    "and there is none if nothing was lost."
)
INDEPENDENT = (
    "McNemar's test (exact, and the chi-square with continuity correction) and DeLong's test of each seed's "
    "classifier treat the patches as independent. Patches of one image are not, so trust the intervals above "
    "first. Holm corrects for all tests of a kind in this table."
)


def markdown(results: Sequence[TaskResult], settings: Sequence[Setting]) -> str:
    """Write all tables of all tasks in Markdown."""
    blocks = ["# Cancer detection"]
    for task in results:
        further = (ahead_table(task).markdown(), tests_table(task).markdown())
        blocks += [*_overview_blocks(task, settings), *further]
    return markdown_document(blocks)


def overview(results: Sequence[TaskResult], settings: Sequence[Setting]) -> str:
    """Write the main table of each task in Markdown."""
    return markdown_document(block for task in results for block in _overview_blocks(task, settings))


def _overview_blocks(task: TaskResult, settings: Sequence[Setting]) -> list[str]:
    patients = f" of {task.patients} patients" if task.patients else ""
    seeds = ", ".join(map(str, task.seeds))
    about = (
        f"{task.patches} test patches ({task.positive} positive) of {task.images} images{patients}. "
        f"The classifier was trained on originals, once for each of the seeds {seeds}, and tested without "
        "further training."
    )
    return [f"## {task.task}", about, main_table(task, settings).grid(), INTERVALS]


def main_table(task: TaskResult, settings: Sequence[Setting]) -> TextTable:
    """Make the paper's Table 6 for one task, with the images that each setting's weights were trained on."""
    trained_on = {setting.name: setting.learnt_from for setting in settings}
    rows = [
        (
            row.setting,
            _estimate(row.accuracy, 100, " %"),
            _estimate(row.f1),
            _estimate(row.auc),
            "-" if row.setting in (ORIGINAL, LOW) else percent(*row.recovered),
            trained_on.get(row.setting) or "-",
        )
        for row in task.rows
    ]
    heads = ("setting", "accuracy", "F1", "AUC", "recovered", "super-resolution trained on")
    return TextTable(heads, rows)


def ahead_table(task: TaskResult) -> TextTable:
    """Make the table of the reference's lead in accuracy over every other setting."""
    rows = [
        (row.setting, f"{100 * ahead.mean:+.1f} points [{100 * ahead.low:+.1f}, {100 * ahead.high:+.1f}]")
        for row in task.rows
        if row.setting != task.reference
        for ahead in (row.ahead,)
    ]
    caption = f"{task.task}: {task.reference} against the others"
    return TextTable(("against", "ahead in accuracy by"), rows, caption)


def tests_table(task: TaskResult) -> TextTable:
    """Make the table of the tests of each seed's classifier."""
    heads = ["setting", "seed", "AUC (DeLong)", "right: reference only", "right: other only", "McNemar p"]
    heads += ["corrected", "Holm", "AUC of reference ahead by", "DeLong p", "Holm"]
    rows = [_test(test, is_reference=test.setting == task.reference) for test in task.tests]
    return TextTable(heads, rows, f"{task.task}: tests of each seed against {task.reference}", INDEPENDENT)


def _test(test: SeedTest, is_reference: bool) -> list[str]:
    low, high = test.auc_interval
    own = [test.setting, str(test.seed), f"{test.auc:.3f} [{low:.3f}, {high:.3f}]"]
    if is_reference:
        return own + ["-"] * 8
    mcnemar, delong = test.mcnemar, test.delong
    return [
        *own,
        str(mcnemar.only_first),
        str(mcnemar.only_second),
        *map(p_to_thousandth, (mcnemar.exact, mcnemar.corrected, test.mcnemar_holm)),
        f"{delong.difference:+.3f} [{delong.low:+.3f}, {delong.high:+.3f}]",
        *map(p_to_thousandth, (delong.p, test.delong_holm)),
    ]


def _estimate(figure: Estimate, factor: float = 1, unit: str = "") -> str:
    places = 1 if factor > 1 else 3
    mean, sd, low, high = (f"{factor * value:.{places}f}" for value in figure)
    spread = "" if math.isnan(figure.sd) else f" ± {sd}"
    return f"{mean}{unit}{spread} [{low}, {high}]"
