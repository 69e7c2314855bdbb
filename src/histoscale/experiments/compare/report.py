"""A comparison as text: every table, what stands behind it, and the paper's claims."""

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
UNDERTRAINED = f"{DAGGER}: undertrained, after too few steps to say anything of the method."
FRECHET_PLACES = 3


def markdown(comparison: Comparison) -> str:
    """The `overview`, then what stands behind each table: seeds and tests."""
    behind = [part for table in comparison.tables for part in (*_spreads(table), *_tests(table))]
    return markdown_document([overview(comparison).rstrip(), *(table.markdown() for table in behind)])


def overview(comparison: Comparison) -> str:
    """Claims in short, every table, every claim."""
    tables = (table.markdown() for table in main_tables(comparison))
    claims = _claims(comparison.claims)
    return markdown_document([_tally(comparison.claims), *tables, claims.markdown()])


def latex(comparison: Comparison) -> str:
    """Every table in LaTeX."""
    return latex_document(main_tables(comparison))


def main_tables(comparison: Comparison) -> list[TextTable]:
    """The tables of scores and of Frechet distances."""
    return [
        *map(score_table, comparison.tables),
        *frechet_tables(comparison.distances, comparison.undertrained),
    ]


# Scores.


def score_table(table: ScoreTable) -> TextTable:
    """One table of scores."""
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
    """A row's label, whether it is undertrained, and of how many trainings it is the mean."""
    marked = label + DAGGER if label in table.undertrained else label
    return f"{marked} ({table.seeds[label]} seeds)" if table.seeds[label] > 1 else marked


def is_out(table: ScoreTable, column: Column) -> bool:
    """Whether a column is out of distribution."""
    return table.preset.trained_to is not None and column.scale > table.preset.trained_to


def _caption(table: ScoreTable) -> str:
    where = f"{table.group} ({count(table.n, 'image')}), degradation {table.degradation}"
    return f"{table.preset.title}. {where}; {table.protocol.title}"


def _legend(table: ScoreTable) -> str:
    """What the marks of a table mean, and what it leaves out."""
    sentences = ["Mean ± standard deviation over images, best in bold."]
    cells = [cell for row in table.rows.values() for cell in row]
    if any(cell.against for cell in cells):
        sentences.append(
            f"Paired two-sided t-test against {table.reference}: ** p < {SIGNIFICANT:g}, "
            f"* p < {WEAKLY_SIGNIFICANT:g}, uncorrected."
        )
    if any(cell.is_empty for cell in cells):
        sentences.append("-: the method does not make the scale, or was not scored there.")
    if any(cell.through for cell in cells):
        sentences.append("‡: the image of another integer scale, taken to size by bicubic.")
    if any(is_out(table, column) for column in table.columns):
        sentences.append(f"(out): above x{table.preset.trained_to:g}, out of distribution.")
    if any(n > 1 for n in table.seeds.values()):
        sentences.append("Of several seeds each image has the mean.")
    return " ".join([*sentences, *_marked_and_left_out(bool(table.undertrained), table.left_out)])


def _marked_and_left_out(has_undertrained: bool, left_out: Sequence[str]) -> Iterator[str]:
    """Sentences at the end of a legend, of scores and of distances."""
    if has_undertrained:
        yield UNDERTRAINED
    if left_out:
        yield f"Left out, as not of every scale: {', '.join(left_out)}."


def _cell(cell: ScoreCell, column: Column) -> str | TextCell:
    if cell.is_empty:
        return "-"
    return TextCell(mean_sd(cell.mean, cell.sd, column.measure.places), cell.is_best, _marks(cell))


def _marks(cell: ScoreCell) -> str:
    """Stars for the test against the reference, and a dagger for what was resized."""
    p = cell.against.test.p if cell.against else 1.0
    stars = "**" if p < SIGNIFICANT else "*" if p < WEAKLY_SIGNIFICANT else ""
    return stars + ("‡" if cell.through else "")


def _tests(table: ScoreTable) -> Iterator[TextTable]:
    """What stands behind the stars: differences with their intervals, p before and after correction."""
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
    """How far the seeds of a row are apart."""
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
    """A table for each data set and degradation, a row a method and a column a scale.

    Args:
        undertrained: labels that are marked so.
    """
    groups: dict[tuple[str, str], list[Distance]] = {}
    for one in distances:
        groups.setdefault((one.dataset, one.degradation), []).append(one)
    return [_frechet_table(members, undertrained) for members in groups.values()]


def frechet_markdown(distances: Sequence[Distance], undertrained: Sequence[str] = ()) -> str:
    """All tables of distances in Markdown."""
    return markdown_document(table.markdown() for table in frechet_tables(distances, undertrained))


def _frechet_table(distances: Sequence[Distance], undertrained: Sequence[str]) -> TextTable:
    """That of one data set and degradation: methods that make every scale themselves."""
    labels = list(dict.fromkeys(label_of(one.model) for one in distances))
    whole = [label for label in labels if _scales(distances, label) == _scales(distances)] or labels
    shown = [one for one in distances if label_of(one.model) in whole]
    first, columns = shown[0], dict(sorted(mean_distances(shown).items()))
    legend = ["Smaller is nearer to the originals, best in bold; compare within one table only."]
    if any(math.isnan(one.distance) for one in shown):
        legend.append("-: too few patches for the features.")
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
    """At which scales there is a distance, be it of too few patches, of a row or of any."""
    return {one.scale for one in distances if label in (None, label_of(one.model))}


def _distance(figure: float, column: Iterable[float]) -> TextCell:
    """A distance, best where no other of its column prints smaller."""
    smallest = min((round(one, FRECHET_PLACES) for one in column), default=math.nan)
    return TextCell(number(figure, FRECHET_PLACES), is_bold=round(figure, FRECHET_PLACES) == smallest)


def _range(distances: Sequence[Distance]) -> str:
    """Number of patches; they differ where a scale leaves fewer whole ones."""
    low, high = min(one.n for one in distances), max(one.n for one in distances)
    return str(low) if low == high else f"{low} to {high}"


# The paper's claims.


def _tally(claims: Sequence[Claim]) -> str:
    verdicts = Counter((claim.kind, claim.verdict) for claim in claims)
    held, failed = verdicts["order", "holds"], verdicts["order", "does not hold"]
    surely, unsurely = verdicts["significance", "holds"], verdicts["significance", "does not hold"]
    return (
        f"Of the paper's claims that a method is ahead {held} hold and {failed} do not hold in this run; of "
        f"those that it is significantly so {surely} and {unsurely}. Line by line they stand below the "
        "tables. The images are not the paper's."
    )


def _claims(claims: Sequence[Claim]) -> TextTable:
    return TextTable(
        heads=["verdict", "paper", "where", "claim", "evidence"],
        rows=[[c.verdict, c.table, c.where, c.sentence, c.evidence] for c in claims],
        caption="The paper's claims in this run",
    )
