"""The tables of a cancer run in Markdown."""

import math
from collections.abc import Sequence

from histoscale.experiments.cancer.statistics import Estimate, Row, SeedTest, TaskTable
from histoscale.experiments.methods import LOW, ORIGINAL, Setting
from histoscale.experiments.tables import TextTable

INTERVALS = (
    "Means of the seeds ± their standard deviation, and 95 % intervals from resampled pictures. Recovered is "
    "the share of the accuracy between low resolution and original; it has no interval where the loss itself "
    "is not certain, and is not there at all where nothing was lost."
)
INDEPENDENT = (
    "McNemar's (exact, and the chi-square with continuity correction) and DeLong's tests of each seed's "
    "classifier take the patches as independent; those of one picture are not, so trust the intervals above "
    "first. Holm corrects for all tests of a kind in this table."
)


def markdown(tables: Sequence[TaskTable], settings: Sequence[Setting]) -> str:
    """Everything, task by task."""
    parts = [
        part for table in tables for part in (overview_of(table, settings), _ahead(table), _tests(table))
    ]
    return "\n\n".join(["# Cancer detection", *parts]) + "\n"


def overview(tables: Sequence[TaskTable], settings: Sequence[Setting]) -> str:
    """The table of each task without what stands behind it."""
    return "\n\n".join(overview_of(table, settings) for table in tables) + "\n"


def overview_of(table: TaskTable, settings: Sequence[Setting]) -> str:
    """Table 6 for one task, and which images each setting's weights learnt from."""
    learnt = {setting.name: setting.learnt_from for setting in settings}
    heads = ["setting", "accuracy", "F1", "AUC", "recovered", "super-resolution learnt from"]
    lines = [
        [
            row.setting,
            _estimate(row.accuracy, 100, " %"),
            _estimate(row.f1),
            _estimate(row.auc),
            _recovered(row),
            learnt.get(row.setting) or "-",
        ]
        for row in table.rows
    ]
    return "\n\n".join([f"## {table.task}", _about(table), _grid(heads, lines), INTERVALS])


def _about(table: TaskTable) -> str:
    patients = f" of {table.patients} patients" if table.patients else ""
    seeds = ", ".join(map(str, table.seeds))
    return (
        f"{table.patches} test patches ({table.positive} positive) of {table.pictures} pictures{patients}; "
        f"the classifier was trained on originals once for each of the seeds {seeds} and tested as it is."
    )


def _ahead(table: TaskTable) -> str:
    lines = [
        [row.setting, _signed(row.ahead, 100, " points")]
        for row in table.rows
        if row.setting != table.reference
    ]
    return "\n\n".join(
        [
            f"### {table.task}: {table.reference} against the others",
            _grid(["against", "ahead in accuracy by"], lines),
        ]
    )


def _tests(table: TaskTable) -> str:
    heads = ["setting", "seed", "AUC (DeLong)", "right: reference only", "right: other only"]
    heads += ["McNemar p", "corrected", "Holm", "AUC of reference ahead by", "DeLong p", "Holm"]
    lines = [_test(test, is_other=test.setting != table.reference) for test in table.tests]
    title = f"### {table.task}: tests of each seed against {table.reference}"
    return "\n\n".join([title, _grid(heads, lines), INDEPENDENT])


def _test(test: SeedTest, is_other: bool) -> list[str]:
    low, high = test.auc_interval
    own = [test.setting, str(test.seed), f"{test.auc:.3f} [{low:.3f}, {high:.3f}]"]
    if not is_other:
        return own + ["-"] * 8
    mcnemar, delong = test.mcnemar, test.delong
    return [
        *own,
        str(mcnemar.only_first),
        str(mcnemar.only_second),
        *map(_p, (mcnemar.exact, mcnemar.corrected, test.mcnemar_holm)),
        f"{delong.difference:+.3f} [{delong.low:+.3f}, {delong.high:+.3f}]",
        *map(_p, (delong.p, test.delong_holm)),
    ]


def _estimate(figure: Estimate, times: float = 1, unit: str = "") -> str:
    places = 1 if times > 1 else 3
    mean, sd, low, high = (f"{times * value:.{places}f}" for value in figure)
    spread = "" if math.isnan(figure.sd) else f" ± {sd}"
    return f"{mean}{unit}{spread} [{low}, {high}]"


def _signed(figure: Estimate, times: float, unit: str) -> str:
    mean, low, high = (f"{times * value:+.1f}" for value in (figure.mean, figure.low, figure.high))
    return f"{mean}{unit} [{low}, {high}]"


def _recovered(row: Row) -> str:
    share = row.recovered
    if row.setting in (ORIGINAL, LOW) or math.isnan(share.mean):
        return "-"
    interval = "" if math.isnan(share.low) else f" [{share.low:.0%}, {share.high:.0%}]"
    return f"{share.mean:.0%}{interval}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return TextTable(heads, lines).grid()
