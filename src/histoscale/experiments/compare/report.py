"""A comparison as text: tables, seeds and tests, and the paper's claims."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from histoscale.experiments.compare.claims import SIGNIFICANT, Claim
from histoscale.experiments.compare.comparison import Comparison
from histoscale.experiments.compare.frechet import Distance, mean_distances
from histoscale.experiments.compare.score_tables import Column, ScoreCell, ScoreTable
from histoscale.experiments.methods import label_of
from histoscale.experiments.tables import (
    TextCell,
    TextTable,
    count,
    interval,
    latex_document,
    markdown_document,
    mean_sd,
    number,
    p_value,
    signed,
)

WEAKLY_SIGNIFICANT = 0.05
DAGGER = "†"
UNDERTRAINED = f"{DAGGER}: undertrained, with too few training steps to judge the method."
FRECHET_PLACES = 3


def markdown(comparison: Comparison) -> str:
    """Write the `overview`, then the seeds and tests of each table."""
    behind = [part for table in comparison.tables for part in (*_spreads(table), *_tests(table))]
    return markdown_document([overview(comparison).rstrip(), *(table.markdown() for table in behind)])


def overview(comparison: Comparison) -> str:
    """Write a summary of the claims, every table and every claim."""
    tables = (table.markdown() for table in main_tables(comparison))
    claims = _claims(comparison.claims)
    return markdown_document([_tally(comparison.claims), *tables, claims.markdown()])


def latex(comparison: Comparison) -> str:
    """Write every table in LaTeX."""
    return latex_document(main_tables(comparison))


def main_tables(comparison: Comparison) -> list[TextTable]:
    """Make the tables of scores and of Frechet distances."""
    return [
        *map(score_table, comparison.tables),
        *frechet_tables(comparison.distances, comparison.undertrained),
    ]


# Scores.


def score_table(table: ScoreTable) -> TextTable:
    """Make a table of scores."""
    heads = [
        (f"x{c.scale:g}", f"{c.measure.title}{' (out)' if is_out(table, c) else ''}") for c in table.columns
    ]
    return TextTable(
        heads=["method", *heads],
        rows=[
            [row_name(table, label), *map(_cell, cells, table.columns)] for label, cells in table.rows.items()
        ],
        caption=_caption(table),
        legend=_legend(table),
    )


def row_name(table: ScoreTable, label: str) -> str:
    """Name a row: its label, a mark if it is undertrained, and its number of seeds."""
    marked = label + DAGGER if label in table.undertrained else label
    return f"{marked} ({table.seeds[label]} seeds)" if table.seeds[label] > 1 else marked


def is_out(table: ScoreTable, column: Column) -> bool:
    """Tell whether a column is out of distribution."""
    return table.preset.trained_to is not None and column.scale > table.preset.trained_to


def _caption(table: ScoreTable) -> str:
    where = f"{table.group} ({count(table.n, 'image')}), degradation {table.degradation}"
    return f"{table.preset.title}. {where}; {table.protocol.title}"


def _legend(table: ScoreTable) -> str:
    """Explain the marks of a table, and name the rows that it leaves out."""
    sentences = ["Mean ± standard deviation over images, best in bold."]
    cells = [cell for row in table.rows.values() for cell in row]
    if any(cell.against for cell in cells):
        sentences.append(
            f"Paired two-sided t-test against {table.reference}: ** p < {SIGNIFICANT:g}, "
            f"* p < {WEAKLY_SIGNIFICANT:g}, uncorrected."
        )
    if any(cell.is_empty for cell in cells):
        sentences.append("-: the method does not make the scale, or was not scored at it.")
    if any(cell.through for cell in cells):
        sentences.append("‡: the image of another integer scale, resized by bicubic.")
    if any(is_out(table, column) for column in table.columns):
        sentences.append(f"(out): above x{table.preset.trained_to:g}, out of distribution.")
    if any(n > 1 for n in table.seeds.values()):
        sentences.append("The figure of an image is the mean over the seeds.")
    return " ".join([*sentences, *_marked_and_left_out(bool(table.undertrained), table.left_out)])


def _marked_and_left_out(has_undertrained: bool, left_out: Sequence[str]) -> Iterator[str]:
    """Write the sentences at the end of a legend, of scores and of distances."""
    if has_undertrained:
        yield UNDERTRAINED
    if left_out:
        yield f"Left out because they do not make every scale: {', '.join(left_out)}."


def _cell(cell: ScoreCell, column: Column) -> str | TextCell:
    if cell.is_empty:
        return "-"
    return TextCell(mean_sd(cell.mean, cell.sd, column.measure.places), cell.is_best, _marks(cell))


def _marks(cell: ScoreCell) -> str:
    """Write stars for the test against the reference, and a double dagger for resized images."""
    p = cell.against.test.p if cell.against else 1.0
    stars = "**" if p < SIGNIFICANT else "*" if p < WEAKLY_SIGNIFICANT else ""
    return stars + ("‡" if cell.through else "")


def _tests(table: ScoreTable) -> Iterator[TextTable]:
    """Make the table of the tests: differences with their intervals, p before and after correction."""
    rows = [
        [label, f"x{column.scale:g}", column.measure.title, *_test(cell, column)]
        for label, cells in table.rows.items()
        for cell, column in zip(cells, table.columns, strict=True)
        if cell.against
    ]
    if rows:
        yield TextTable(
            heads=[
                *("against", "scale", "measure", "n", f"{table.reference} is ahead by"),
                *("95 % interval", "p", "p, Holm"),
            ],
            rows=rows,
            caption=f"Tests against {table.reference}. {_caption(table)}",
        )


def _test(cell: ScoreCell, column: Column) -> list[str]:
    if cell.against is None:
        return []
    test, places = cell.against.test, column.measure.places + 1
    ahead = f"{signed(test.difference, places)} {column.measure.unit}".rstrip()
    p_values = p_value(test.p), p_value(cell.against.holm)
    return [str(test.n), ahead, interval(test.low, test.high, places), *p_values]


def _spreads(table: ScoreTable) -> Iterator[TextTable]:
    """Make the table of the standard deviations over seeds."""
    rows = [
        [row_name(table, label), *map(_spread, cells, table.columns)]
        for label, cells in table.rows.items()
        if table.seeds[label] > 1
    ]
    if rows:
        heads = [f"x{column.scale:g} {column.measure.title}" for column in table.columns]
        yield TextTable(["method", *heads], rows, f"Standard deviation over seeds. {_caption(table)}")


def _spread(cell: ScoreCell, column: Column) -> str:
    return number(cell.spread, column.measure.places + 1)


# Frechet distances, as the paper's Table 3 prints them.


def frechet_tables(distances: Sequence[Distance], undertrained: Sequence[str] = ()) -> list[TextTable]:
    """Make a table for each data set and degradation, with a row for each method and a column for each scale.

    Args:
        undertrained: labels of rows that are marked as undertrained.
    """
    groups: dict[tuple[str, str], list[Distance]] = {}
    for one in distances:
        groups.setdefault((one.dataset, one.degradation), []).append(one)
    return [_frechet_table(members, undertrained) for members in groups.values()]


def frechet_markdown(distances: Sequence[Distance], undertrained: Sequence[str] = ()) -> str:
    """Write all tables of distances in Markdown."""
    return markdown_document(table.markdown() for table in frechet_tables(distances, undertrained))


def _frechet_table(distances: Sequence[Distance], undertrained: Sequence[str]) -> TextTable:
    """Make the table of one data set and degradation, of the methods that make every scale themselves."""
    labels = list(dict.fromkeys(label_of(one.model) for one in distances))
    whole = [label for label in labels if _scales(distances, label) == _scales(distances)] or labels
    shown = [one for one in distances if label_of(one.model) in whole]
    first, columns = shown[0], dict(sorted(mean_distances(shown).items()))
    legend = ["A smaller distance is better, best in bold. Compare figures within one table only."]
    if any(math.isnan(one.distance) for one in shown):
        legend.append("-: fewer patches than the features need.")
    left_out = [label for label in labels if label not in whole]
    legend += _marked_and_left_out(any(label in undertrained for label in whole), left_out)
    return TextTable(
        heads=["method", *(f"x{scale:g}" for _, _, scale in columns)],
        rows=[
            [
                label + DAGGER * (label in undertrained),
                *(_distance(rows.get(label, math.nan), rows.values()) for rows in columns.values()),
            ]
            for label in whole
        ],
        caption=f"Table 3: Frechet distance. {first.dataset}, degradation {first.degradation}; "
        f"{first.extractor} features, n = {_range(shown)} patches of {first.patch_px} px",
        legend=" ".join(legend),
    )


def _scales(distances: Sequence[Distance], label: str | None = None) -> set[float]:
    """Find the scales with a distance (NaN included) of a row, or of any row."""
    return {one.scale for one in distances if label in (None, label_of(one.model))}


def _distance(figure: float, column: Iterable[float]) -> TextCell:
    """Write a distance, in bold if no other of its column prints a smaller one."""
    smallest = min((round(one, FRECHET_PLACES) for one in column), default=math.nan)
    return TextCell(number(figure, FRECHET_PLACES), is_bold=round(figure, FRECHET_PLACES) == smallest)


def _range(distances: Sequence[Distance]) -> str:
    """Write the number of patches, which differs if some scale leaves fewer whole patches."""
    low, high = min(one.n for one in distances), max(one.n for one in distances)
    return str(low) if low == high else f"{low} to {high}"


# The paper's claims.


def _tally(claims: Sequence[Claim]) -> str:
    verdicts = Counter((claim.kind, claim.verdict) for claim in claims)
    held, failed = verdicts["order", "holds"], verdicts["order", "does not hold"]
    surely, unsurely = verdicts["significance", "holds"], verdicts["significance", "does not hold"]
    return (
        f"Of the paper's claims that a method is better, {held} hold and {failed} do not hold in this run; "
        f"of its claims that a method is significantly better, {surely} hold and {unsurely} do not hold. "
        "They are listed below the tables. The images are not those of the paper."
    )


def _claims(claims: Sequence[Claim]) -> TextTable:
    return TextTable(
        heads=["verdict", "paper", "where", "claim", "evidence"],
        rows=[[c.verdict, c.table, c.where, c.sentence, c.evidence] for c in claims],
        caption="The paper's claims in this run",
    )
