"""A comparison as data: tables, tests and claims, from the scores alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from histoscale.errors import ConfigError, DataError
from histoscale.experiments.compare.claims import Claim, check_claims, check_distances
from histoscale.experiments.compare.frechet import Distance
from histoscale.experiments.compare.paper_tables import Preset, scales_of
from histoscale.experiments.compare.score_tables import ScoreGrid, ScoreTable, grids_of, tables_of
from histoscale.experiments.methods import check_seeds, label_of
from histoscale.experiments.scoring import Score


@dataclass(frozen=True)
class Comparison:
    """All results of a run.

    Attributes:
        reference: the row that the others are tested against.
        distances: Frechet distances, if a preset has them.
        undertrained: rows whose weights are known to have had too few training steps.
    """

    presets: tuple[Preset, ...]
    reference: str
    tables: list[ScoreTable]
    claims: list[Claim]
    distances: tuple[Distance, ...] = ()
    undertrained: tuple[str, ...] = ()


def compared(
    scores: Sequence[Score],
    presets: Sequence[Preset],
    reference: str | None = None,
    distances: Sequence[Distance] = (),
    undertrained: Sequence[str] = (),
) -> Comparison:
    """Make tables, tests and claims from scores and, for Table 3, distances.

    Args:
        reference: label of the row that the others are tested against; the last row by default.
        undertrained: labels of rows that are marked as undertrained.

    Raises:
        ConfigError: if there is no such row.
        DataError: if there are no scores at the presets' scales, or not all scores are of one comparison.
    """
    check_whole(scores)
    grids = grids_of(scores)
    labels = list(dict.fromkeys(label_of(score.model) for score in scores))
    chosen = find_reference(labels, reference)
    tables = tables_of(grids, presets, chosen, undertrained)
    if not tables:
        asked, scored = (
            ", ".join(f"x{scale:g}" for scale in sorted(scales))
            for scales in (scales_of(presets), {score.scale for score in scores})
        )
        raise DataError(f"There are no scores at {asked}: choose among {scored}.")
    claims = [*check_claims(grids), *check_distances(distances)]
    return Comparison(tuple(presets), chosen, tables, claims, tuple(distances), tuple(undertrained))


def find_reference(labels: Sequence[str], reference: str | None) -> str:
    """Choose the label asked for, or the last.

    Raises:
        ConfigError: if there is no such label.
    """
    if reference is None:
        return labels[-1]
    if reference not in labels:
        raise ConfigError(f"There is no row {reference} to test against: choose one of {', '.join(labels)}.")
    return reference


def check_whole(scores: Sequence[Score]) -> None:
    """Make sure that scores are of one comparison.

    Raises:
        DataError: if there are none, a score comes twice, a model has different weights on different images,
            or the models of a table were scored on different images.
        ConfigError: if a row has models with and without a seed.
    """
    if not scores:
        raise DataError("There are no scores to compare.")
    _check_single(scores)
    _check_weights(scores)
    check_seeds(list(dict.fromkeys(score.model for score in scores)))
    for grid in grids_of(scores):
        if grid.is_whole_set:
            _check_images(grid)


def _check_single(scores: Sequence[Score]) -> None:
    """Refuse two scores of one method on one case."""
    seen = set()
    for s in scores:
        if s.place in seen:
            where = f"{s.dataset} {s.image} at x{s.scale:g}"
            raise DataError(f"{s.model} was scored twice on {where}: delete one of the lines.")
        seen.add(s.place)


def _check_weights(scores: Sequence[Score]) -> None:
    """Refuse a method with different weights on different images."""
    used: dict[tuple[str, float], Score] = {}
    for score in scores:
        first = used.setdefault((score.model, score.scale), score)
        if (first.weights, first.through) != (score.weights, score.through):
            raise DataError(
                f"{score.model} at x{score.scale:g} had other weights on {first.image} than on "
                f"{score.image}: score it again with one file of weights."
            )


def _check_images(grid: ScoreGrid) -> None:
    """Refuse methods that were scored on different images, because their means do not compare."""
    for scale in sorted(grid.scales):
        images: dict[str, set[str]] = {}
        for score in grid.scores:
            if score.scale == scale:
                images.setdefault(score.model, set()).add(score.image)
        everything = set().union(*images.values())
        for model, own in images.items():
            if own != everything:
                missing = min(everything - own)
                raise DataError(
                    f"{model} was not scored on {grid.group} {missing} at x{scale:g}, but other methods "
                    "were: finish the comparison with --resume."
                )
