"""What is left to do of a comparison, given earlier rows: told by weights, not by names alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from histoscale.workflows.compare.features import FeatureStore
from histoscale.workflows.compare.frechet import Distance
from histoscale.workflows.scores import BICUBIC, Score
from histoscale.workflows.scoring import Job, Member

Found = TypeVar("Found", Score, Distance)
"""What an earlier run found of a model."""


class Place(NamedTuple):
    """Where a score belongs: one model on one case."""

    dataset: str
    image: str
    degradation: str
    scale: float
    model: str


class Made(NamedTuple):
    """What a score was made with; as in `Score`."""

    weights: str = ""
    through: int = 0


def place_of(score: Score) -> Place:
    """Where a score belongs."""
    return Place(score.dataset, score.image, score.degradation, score.scale, score.model)


def wanted_of(job: Job) -> Iterator[tuple[Place, Made]]:
    """Every score of a job, in order."""
    about = (job.case.record.set, job.case.record.id, job.case.degradation, job.case.scale)
    yield Place(*about, BICUBIC), Made()
    for entry in job.entries:
        yield Place(*about, entry.model), Made(entry.file.digest, entry.through)


def still_good(earlier: Sequence[Score], jobs: Sequence[Job], members: Sequence[Member]) -> list[Score]:
    """Earlier rows without those of a model whose weights, or use of them, are others now."""
    wanted = dict(pair for job in jobs for pair in wanted_of(job))
    good = []
    for row in of_these_weights(earlier, members):
        made = Made(row.weights, row.through)
        if wanted.get(place_of(row), made) == made:
            good.append(row)
    return good


def of_these_weights(earlier: Iterable[Found], members: Sequence[Member]) -> list[Found]:
    """What was found before without that of a model which has other weights now, at whatever scale."""
    digests = {member.name: {file.digest for file in member.files} for member in members}
    return [one for one in earlier if one.model not in digests or one.weights in digests[one.model]]


def remaining(jobs: Sequence[Job], rows: Sequence[Score], store: FeatureStore | None = None) -> list[Job]:
    """The jobs that lack a row, or features where these are kept, each with the models that lack one."""
    there = {place_of(row) for row in rows}
    left = []
    for job in jobs:
        missing = {place.model for place, _ in wanted_of(job) if place not in there}
        missing |= store.missing(job) if store else set()
        if missing:
            left.append(Job(job.case, tuple(entry for entry in job.entries if entry.model in missing)))
    return left


def in_order(rows: Sequence[Score], jobs: Sequence[Job]) -> list[Score]:
    """Rows that are no longer asked for, then the others as one run without a stop writes them."""
    order = {
        place: number for number, place in enumerate(place for job in jobs for place, _ in wanted_of(job))
    }
    return sorted(rows, key=lambda row: order.get(place_of(row), -1))
