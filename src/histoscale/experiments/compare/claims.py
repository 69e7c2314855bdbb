"""Check the paper's claims one by one on the data and the rows of a run.

The paper's data sets are TMA, HistoSR and TCGA lung; here each claim is checked on the data sets of the run,
by the paper's protocol. Only methods of the paper are rivals, and only at scales that they make themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from histoscale.experiments.compare.frechet import Distance, mean_distances
from histoscale.experiments.compare.paper_tables import PRESETS
from histoscale.experiments.compare.score_tables import PROTOCOLS, Column, ScoreGrid
from histoscale.experiments.statistics import mean, paired_test
from histoscale.metrics.paired import PairedTest

Verdict: TypeAlias = Literal["holds", "does not hold", "not in this run"]
Kind: TypeAlias = Literal["order", "significance"]
"""Of a claim: that a method is better, or that it is significantly better."""
SIGNIFICANT = 0.001
"""The paper's level of significance."""
FIXED_SCALE = ("bicubic", "edsr", "rdn", "swinir", "srmfenet", "li2021", "swdnet")
ANY_SCALE = ("liif", "lte", "lmi", "itsrn", "lit")
EXCEPTION = ("table1", "tma", 8.0, "SSIM")
"""The one cell of Tables 1 to 3 in which the paper prints another method best: ITSRN .5997, ISTE .5965."""
REMOVALS = ("iste-tl-ltd", "iste-lfi-lpd", "iste-no-ltd", "iste-no-stf", "iste-no-tl", "iste-no-lfi")
"""Rows of Table 4, in its order."""


class Contest(NamedTuple):
    """The method that a table says is best, and those that it is compared with.

    Attributes:
        apart: whether each rival is a claim of its own.
    """

    table: str
    winner: str
    rivals: tuple[str, ...]
    apart: bool = False


CONTESTS = (
    Contest("table1", "iste", FIXED_SCALE + ANY_SCALE),
    Contest("table2", "iste", ANY_SCALE),
    Contest("table4", "iste", REMOVALS, apart=True),
    Contest("table7", "iste-swinir", ("iste-edsr", "iste-rdn")),
    Contest("table9", "iste", ("liif-star", "lte-star")),  # liif and lte are in Table 1
)


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, and whether it holds in the run."""

    table: str
    where: str
    sentence: str
    verdict: Verdict
    evidence: str
    kind: Kind = "order"


class Rival(NamedTuple):
    """A rival in one cell: how far it is below the winner, and the test of this difference."""

    label: str
    behind: float
    test: PairedTest | None


def check_claims(grids: Sequence[ScoreGrid]) -> list[Claim]:
    """Check the claims of Tables 1, 2, 4, 7 and 9 for each data set and degradation of a run."""
    found = [claim for contest in CONTESTS for claim in _check(contest, grids)]
    if not any(_is_exception(CONTESTS[0], grid, 8.0, "SSIM") for grid in grids):
        where, sentence = "TMA, x8 SSIM", "itsrn is better than iste, the one cell of Tables 1 to 3"
        found.append(Claim("Table 1", where, sentence, "not in this run", "no such images"))
    return found


def check_distances(distances: Sequence[Distance]) -> list[Claim]:
    """Check the claims of Table 3."""
    claims = []
    for (dataset, degradation, scale), rows in mean_distances(distances).items():
        rivals = {label: rows[label] for label in ANY_SCALE if label in rows}
        if "iste" in rows and rivals:
            nearest = min(rivals, key=rivals.__getitem__)
            claims.append(
                Claim(
                    "Table 3",
                    f"{dataset}, degradation {degradation}, x{scale:g} Frechet distance",
                    f"iste is nearer to the originals than {others(len(rivals))}",
                    "holds" if rows["iste"] < rivals[nearest] else "does not hold",
                    f"iste {rows['iste']:.3f}, {nearest} {rivals[nearest]:.3f}",
                )
            )
    if not claims:
        sentence, why = "iste has the smallest Frechet distance", "no such rows, or no distances"
        claims.append(Claim("Table 3", "every cell", sentence, "not in this run", why))
    return claims


def others(n: int) -> str:
    """Name the rivals by their number."""
    return f"the {n} other{'s' if n > 1 else ''} in this run"


def _check(contest: Contest, grids: Sequence[ScoreGrid]) -> Iterator[Claim]:
    table = f"Table {contest.table.removeprefix('table')}"
    present = {label for grid in grids for label in grid.labels}
    absent = [label for label in (contest.winner, *contest.rivals) if label not in present]
    if absent:
        rows = "row" if len(absent) == 1 else "rows"
        yield Claim(
            table,
            f"{rows} {', '.join(absent)}",
            f"{contest.winner} is better",
            "not in this run",
            "no such row",
        )
    for grid in grids:
        if grid.is_whole_set:
            for column in _columns(contest):
                yield from _check_cell(contest, table, grid, column)


def _is_exception(contest: Contest, grid: ScoreGrid, scale: float, measure: str) -> bool:
    return (contest.table, grid.group.lower(), scale, measure) == EXCEPTION


def _columns(contest: Contest) -> list[Column]:
    measures = PROTOCOLS[0].measures
    return [Column(scale, measure) for scale in PRESETS[contest.table].scales for measure in measures]


def _check_cell(contest: Contest, table: str, grid: ScoreGrid, column: Column) -> Iterator[Claim]:
    """Check one cell; there is no claim if the winner has no rival in it."""
    own = grid.figures(contest.winner, column)
    rivals = [
        Rival(label, mean(own.values()) - mean(figures.values()), paired_test(own, figures))
        for label in contest.rivals
        if own and not grid.through(label, column.scale) and (figures := grid.figures(label, column))
    ]
    if not rivals:
        return
    where = f"{grid.group}, degradation {grid.degradation}, x{column.scale:g} {column.measure.title}"
    if _is_exception(contest, grid, column.scale, column.measure.title):
        nearest = _nearest(rivals)
        verdict: Verdict = "does not hold" if nearest.behind > 0 else "holds"
        yield Claim(table, where, f"{contest.winner} is not the best", verdict, _margin(nearest, column))
        return
    for some in [[rival] for rival in rivals] if contest.apart else [rivals]:
        yield _order(contest, table, where, some, column)
        yield _significance(contest, table, where, some)


def _order(contest: Contest, table: str, where: str, rivals: Sequence[Rival], column: Column) -> Claim:
    """Check that the winner is better than these rivals."""
    nearest = _nearest(rivals)
    than = nearest.label if contest.apart else others(len(rivals))
    verdict: Verdict = "holds" if nearest.behind > 0 else "does not hold"
    return Claim(table, where, f"{contest.winner} is better than {than}", verdict, _margin(nearest, column))


def _significance(contest: Contest, table: str, where: str, rivals: Sequence[Rival]) -> Claim:
    """Check that the winner is significantly better than each of these rivals."""
    than = rivals[0].label if contest.apart else "each"
    sentence = f"{contest.winner} is significantly better than {than} (p < {SIGNIFICANT:g}, uncorrected)"
    return Claim(table, where, sentence, *_significance_verdict(rivals), kind="significance")


def _significance_verdict(rivals: Sequence[Rival]) -> tuple[Verdict, str]:
    """Give the verdict of the tests, and its evidence."""
    untested = [rival.label for rival in rivals if rival.test is None]
    if untested:
        return "not in this run", f"too few images to test against {untested[0]}"
    failing = [
        f"{rival.label} {'is ahead' if rival.behind <= 0 else 'is behind'} (p = {rival.test.p:.2g})"
        for rival in rivals
        if rival.test and (rival.behind <= 0 or rival.test.p >= SIGNIFICANT)
    ]
    if failing:
        return "does not hold", "; ".join(failing)
    return "holds", f"largest p = {max(rival.test.p for rival in rivals if rival.test):.2g}"


def _nearest(rivals: Sequence[Rival]) -> Rival:
    return min(rivals, key=lambda rival: rival.behind)


def _margin(nearest: Rival, column: Column) -> str:
    margin = f"{abs(nearest.behind):.{column.measure.places + 1}f} {column.measure.unit}".rstrip()
    return (
        f"{nearest.label} is nearest, {margin} below"
        if nearest.behind > 0
        else (f"{nearest.label} is ahead by {margin}")
    )
