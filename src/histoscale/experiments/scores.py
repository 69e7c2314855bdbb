"""What an evaluation found: a score an image in a CSV file, and the summaries made from nothing else."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from histoscale.experiments.results import read_rows
from histoscale.metrics.paired import PairedTest, paired_t_test

BICUBIC = "bicubic"
"""Name of the reference that every table holds beside the models."""
MEASURES = ("psnr_shaved", "psnr_whole", "ssim", "ssim_gaussian")
"""The measures of a `Score`, in the order of the columns."""


@dataclass(frozen=True)
class Score:
    """One image, one way of making its low-resolution side, one model; NaN where the model cannot.

    Attributes:
        weights: the first digits of the sha256 of the model's weights; empty for bicubic and older tables.
        through: the scale that a fixed-scale model made before bicubic took that to size; 0 where the model
            made the size itself.
    """

    dataset: str
    prep: str
    image: str
    degradation: str
    scale: float
    model: str
    psnr_shaved: float
    psnr_whole: float
    ssim: float
    ssim_gaussian: float
    weights: str = ""
    through: int = 0


@dataclass(frozen=True)
class Summary:
    """One row of a table: a model on a group of images at one scale and degradation.

    Attributes:
        mean, sd: a figure for each of `MEASURES`; sd is that of the sample, NaN for one image.
        gain_shaved, gain_whole: mean PSNR above bicubic over the same images, in decibels.
        below: images where the model's PSNR is below bicubic's in either protocol.
        psnr_test, ssim_test: model against bicubic on whole images; None where no test is possible.
        through: as in `Score`.
    """

    group: str
    degradation: str
    scale: float
    model: str
    n: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    gain_shaved: float
    gain_whole: float
    below: int
    psnr_test: PairedTest | None
    ssim_test: PairedTest | None
    through: int = 0


def read_scores(path: Path) -> list[Score]:
    """The per-image scores that an evaluation or a comparison wrote.

    Raises:
        DataError: if the file is missing or is not such a table.
    """
    return read_rows(path, Score, "the per-image scores of an evaluation")


def groups_of(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """The scores of each data set and, where it holds several preparations, of each of those; by name."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.dataset, []).append(score)
    for name, members in list(groups.items()):
        preps = dict.fromkeys(score.prep for score in members)
        if len(preps) > 1:
            groups |= {f"{name}, {prep}": [s for s in members if s.prep == prep] for prep in preps}
    return dict(sorted(groups.items()))


def summarise(scores: Sequence[Score]) -> list[Summary]:
    """One `Summary` a group, degradation, scale and model, in the order in which they first appear."""
    return [
        summary for name, members in groups_of(scores).items() for summary in _summarise_group(name, members)
    ]


def paired_test(
    scores: Iterable[Score], first: str, second: str, measure: str = "psnr_whole"
) -> PairedTest | None:
    """Model ``first`` against ``second`` on the images both have finite scores for; None below two images."""
    pairs = [p for p in _pairs(scores, first, second, measure) if all(map(math.isfinite, p))]
    return paired_t_test([a for a, _ in pairs], [b for _, b in pairs]) if len(pairs) > 1 else None


def plain_summaries(scores: Sequence[Score]) -> list[dict[str, object]]:
    """The summaries as JSON can hold them: figures by measure, tests against bicubic with their intervals."""
    records = [asdict(summary) for summary in summarise(scores)]
    for record in records:
        for figure in ("mean", "sd"):
            record[figure] = dict(zip(MEASURES, record[figure], strict=True))
    return [{key: as_plain(value) for key, value in record.items()} for record in records]


def as_plain(value: object) -> object:
    """A value that JSON can hold: infinity becomes text, and NaN null."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _summarise_group(group: str, scores: Sequence[Score]) -> list[Summary]:
    rows: dict[tuple[str, float], list[Score]] = {}
    for score in scores:
        rows.setdefault((score.degradation, score.scale), []).append(score)
    summaries = []
    for (degradation, scale), members in sorted(rows.items()):
        models = dict.fromkeys(score.model for score in members)
        summaries += [_summarise_row(group, degradation, scale, model, members) for model in models]
    return summaries


def _summarise_row(
    group: str, degradation: str, scale: float, model: str, members: Sequence[Score]
) -> Summary:
    columns = [[getattr(score, name) for score in members if score.model == model] for name in MEASURES]
    shaved, whole = (_pairs(members, model, BICUBIC, name) for name in ("psnr_shaved", "psnr_whole"))
    return Summary(
        group=group,
        degradation=degradation,
        scale=scale,
        model=model,
        n=len(columns[0]),
        mean=tuple(sum(column) / len(column) for column in columns),
        sd=tuple(_deviation(column) for column in columns),
        gain_shaved=_mean_gain(shaved),
        gain_whole=_mean_gain(whole),
        below=sum(a < b or c < d for (a, b), (c, d) in zip(shaved, whole, strict=True)),
        psnr_test=None if model == BICUBIC else paired_test(members, model, BICUBIC),
        ssim_test=None if model == BICUBIC else paired_test(members, model, BICUBIC, "ssim"),
        through=max(score.through for score in members if score.model == model),
    )


def _pairs(scores: Iterable[Score], first: str, second: str, measure: str) -> list[tuple[float, float]]:
    """Both models' figures of every image, scale and degradation that both were able to make."""
    figures: dict[str, dict[tuple[str, str, str, float], float]] = {first: {}, second: {}}
    for s in scores:
        if s.model in figures:
            figures[s.model][s.dataset, s.image, s.degradation, s.scale] = getattr(s, measure)
    other = figures[second]
    pairs = [(figure, other[key]) for key, figure in figures[first].items() if key in other]
    return [pair for pair in pairs if not any(map(math.isnan, pair))]


def _mean_gain(pairs: Sequence[tuple[float, float]]) -> float:
    # Two infinite PSNRs are equal images, a gain of nothing rather than no number.
    gains = [0.0 if a == b else a - b for a, b in pairs]
    return sum(gains) / len(gains) if gains else math.nan


def _deviation(column: Sequence[float]) -> float:
    usable = len(column) > 1 and all(map(math.isfinite, column))
    return statistics.stdev(column) if usable else math.nan
