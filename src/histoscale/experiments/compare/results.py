"""Where a comparison lies, finished or not: rows are written as they come, and none is lost."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple, TypeVar

from histoscale.errors import OutputError
from histoscale.experiments.compare.frechet import Distance, FeatureStore, read_distances
from histoscale.experiments.methods import Member
from histoscale.experiments.results import append_rows, write_rows
from histoscale.experiments.scores import BICUBIC, Score, read_scores
from histoscale.experiments.scoring import Job
from histoscale.files import atomic_files, atomic_write, writing

SCORES, PARTIAL, SETTINGS = "scores.csv", "scores.partial.csv", "settings.json"
DISTANCES, FEATURES = "frechet.csv", "features"
TABLES = ("tables.md", "tables.tex", "tables.json")
"""What is made from the scores alone."""
LASTING = ("data", "split", "limit", "crop_px", "device", "precision")
"""Settings that all rows of a comparison share."""


class ScoreFolder:
    """The folder of a comparison."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def is_unfinished(self) -> bool:
        """Whether a stopped comparison left rows."""
        return (self.path / PARTIAL).exists()

    @property
    def undertrained(self) -> list[str]:
        """Labels of the rows that an earlier comparison marked so; none where it left no settings."""
        return list(self._settings().get("undertrained", ()))

    def refuse_results(self) -> None:
        """Find out that there are results before the hours of work, not after.

        Raises:
            OutputError: naming them.
        """
        self._refuse((PARTIAL, SCORES, *TABLES), "to replace it, or --resume to go on with it")

    def refuse_tables(self) -> None:
        """Find out that there are tables.

        Raises:
            OutputError: naming them.
        """
        self._refuse(TABLES, "to replace it")

    def earlier_rows(self, settings: Mapping[str, Any]) -> list[Score]:
        """The rows of an earlier comparison, stopped or finished, that these settings can go on with.

        Raises:
            OutputError: if it had other settings.
            DataError: if they cannot be read.
        """
        if not (self.is_unfinished or (self.path / SCORES).exists()):
            return []
        before = self._settings()
        if not before:
            raise OutputError(
                f"Wanted the settings of a comparison to go on with in {self.path / SETTINGS}, got none."
            )
        for key in LASTING:
            if before.get(key) != settings[key]:
                raise OutputError(
                    f"The comparison in {self.path} has {key} {before.get(key)}, not {settings[key]}: wanted "
                    "the same to go on with it, or another folder."
                )
        if self.is_unfinished:
            self._drop_torn_line()
            return read_scores(self.path / PARTIAL)
        return read_scores(self.path / SCORES)

    def earlier_distances(self) -> list[Distance]:
        """The distances of an earlier comparison that was finished; none where it had none.

        Raises:
            DataError: if they cannot be read.
        """
        path = self.path / DISTANCES
        return read_distances(path) if path.exists() else []

    def forget_features(self) -> None:
        """Remove what an earlier comparison, perhaps of other images, has kept of its pictures."""
        rmtree(self.path / FEATURES, ignore_errors=True)

    def begin(self, settings: Mapping[str, Any], rows: Sequence[Score]) -> None:
        """Make the folder and write down what there is so far: once something new is found, not before.

        Raises:
            OutputError: if it cannot be written.
        """
        with atomic_files(self.path) as folder:
            _write_texts(folder, _as_file(settings))
            write_rows(folder / PARTIAL, Score, rows)

    def add(self, rows: Sequence[Score]) -> None:
        """Write rows down as soon as they are found."""
        with self._writing():
            append_rows(self.path / PARTIAL, rows)

    def finish(
        self,
        settings: Mapping[str, Any],
        rows: Sequence[Score],
        distances: Sequence[Distance],
        tables: Mapping[str, str],
    ) -> None:
        """Write all scores, in order, distances and the texts of `TABLES`; nothing is unfinished any more."""
        with self._writing():
            with atomic_files(self.path) as folder:
                _write_texts(folder, {**tables, **_as_file(settings)})
                write_rows(folder / SCORES, Score, rows)
                if distances:
                    write_rows(folder / DISTANCES, Distance, distances)
            (self.path / PARTIAL).unlink(missing_ok=True)

    def write_tables(self, tables: Mapping[str, str]) -> None:
        """Write the texts of `TABLES` alone."""
        with atomic_files(self.path) as folder:
            _write_texts(folder, tables)

    def _refuse(self, names: Sequence[str], way_out: str) -> None:
        for name in names:
            if (self.path / name).exists():
                raise OutputError(f"{self.path / name} exists already; pass --overwrite {way_out}.")

    def _writing(self) -> AbstractContextManager[None]:
        return writing(f"The comparison in {self.path}")

    def _settings(self) -> dict[str, Any]:
        """Those of an earlier comparison; empty where there are none, or they cannot be read."""
        try:
            found = json.loads((self.path / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _drop_torn_line(self) -> None:
        """A killed process may have written half a row."""
        partial = self.path / PARTIAL
        content = partial.read_bytes()
        if not content.endswith(b"\n"):
            with atomic_write(partial) as temporary:
                temporary.write_bytes(content[: content.rfind(b"\n") + 1])


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _as_file(settings: Mapping[str, Any]) -> dict[str, str]:
    return {SETTINGS: json.dumps(settings, indent=2) + "\n"}


# What is left to do of a comparison, given earlier rows: told by weights, not by names alone.


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
