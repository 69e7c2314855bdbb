"""Patches with their classes: cut from larger pictures by a list, or read from PCam's files."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from histoscale.data.manifest import SPLITS, read_rgb
from histoscale.errors import DataError, HistoscaleError
from histoscale.experiments.cancer.config import PatchTable, TaskTable

Indices = Int[np.ndarray, " b"]
Pixels = UInt8[np.ndarray, "b side side 3"]


@dataclass(frozen=True)
class Classes:
    """One task's part of some patches.

    Attributes:
        indices: of the patches that have a class in this task.
        positive: whether each of these is of the positive class.
    """

    indices: Int[np.ndarray, " n"]
    positive: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Patches:
    """The patches of one split, read when they are needed.

    Attributes:
        names: one a patch, unique.
        pictures: the picture that each was cut from: patches of one are alike.
        patients: of each, or an empty string.
        side_px: of a patch.
        tasks: the classes by task.
        read: indices to pixels.
    """

    names: Sequence[str]
    pictures: Sequence[str]
    patients: Sequence[str]
    side_px: int
    tasks: Mapping[str, Classes]
    read: Callable[[Indices], Pixels]


def open_list(table: PatchTable) -> dict[str, Patches]:
    """The patches of a list, by split.

    Raises:
        DataError: if the list cannot be read, lacks a column, a split or a class, or splits share a patient.
    """
    path = table.root / (table.patches or "")
    rows = _read_rows(path)
    wanted = {"split", "file", "x", "y"}
    wanted |= {name for task in table.tasks for name in (task.column, *task.where)}
    if missing := wanted - set(rows[0] if rows else ()):
        raise DataError(f"{path} lacks the column(s) {', '.join(sorted(missing))}.")
    _check_disjoint(rows, path)
    return {split: _open_split(rows, split, table, path) for split in SPLITS}


def find_classes(rows: Sequence[Mapping[str, str]], task: TaskTable, where: str) -> Classes:
    """Which rows a task has a class for.

    Raises:
        DataError: if one of its classes is not there.
    """
    known = (task.positive, task.negative)
    found = [
        (i, row[task.column] == task.positive)
        for i, row in enumerate(rows)
        if row[task.column] in known and all(row[key] == value for key, value in task.where.items())
    ]
    counts = Counter(positive for _, positive in found)
    if len(counts) < 2:
        absent = task.negative if counts[True] else task.positive
        raise DataError(f"{where} has no patch with {task.column} {absent} for task {task.name}.")
    return Classes(np.array([i for i, _ in found]), np.array([positive for _, positive in found]))


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Wanted a list of patches, but {path} cannot be read ({error}).") from error


def _check_disjoint(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Make sure that no patient is learnt from and tested on."""
    seen: dict[str, str] = {}
    for row in rows:
        patient = row.get("patient") or row["file"]
        if seen.setdefault(patient, row["split"]) != row["split"]:
            raise DataError(f"{path} has patches of {patient} in both {seen[patient]} and {row['split']}.")


def _open_split(rows: Sequence[Mapping[str, str]], split: str, table: PatchTable, path: Path) -> Patches:
    members = [row for row in rows if row["split"] == split]
    try:
        corners = [(int(row["x"]), int(row["y"])) for row in members]
    except ValueError as error:
        raise DataError(f"{path} has a corner that is no number of pixels: {error}.") from None
    files = [table.root / row["file"] for row in members]
    names = [f"{file.stem}-x{x}-y{y}" for file, (x, y) in zip(files, corners, strict=True)]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise DataError(f"{path} has patch {twice[0]} twice in {split}.")
    where = f"{path} ({split})"
    return Patches(
        names=names,
        pictures=[file.stem for file in files],
        patients=[row.get("patient", "") for row in members],
        side_px=table.patch_px,
        tasks={task.name: find_classes(members, task, where) for task in table.tasks},
        read=_cutter(files, corners, table.patch_px),
    )


def _cutter(
    files: Sequence[Path], corners: Sequence[tuple[int, int]], side: int
) -> Callable[[Indices], Pixels]:
    """Cuts patches; every picture is read once and kept."""
    picture = cache(read_rgb)

    def read(indices: Indices) -> Pixels:
        return np.stack([cut(files[i], *corners[i]) for i in indices])

    def cut(file: Path, x: int, y: int) -> UInt8[np.ndarray, "side side 3"]:
        patch = picture(file)[max(0, y) : y + side, max(0, x) : x + side]
        if patch.shape != (side, side, 3):
            raise DataError(f"Wanted {side} x {side} pixels at {x},{y} of {file}, which ends before that.")
        return patch

    return read


# PatchCamelyon as it is published: an HDF5 file of patches and one of classes for each split.
#
# B. Veeling et al., Rotation equivariant CNNs for digital pathology, MICCAI 2018. ``x``: uint8 [n, 96, 96,
# 3];
# ``y``: uint8 [n, 1, 1, 1], 1 where the middle 32 x 32 pixels hold metastatic tissue. The files tell no
# patient
# and no slide, hence every patch stands for itself.


TASK = "metastasis"
FILES = {"train": "train", "val": "valid", "test": "test"}
"""Our splits and theirs."""


def open_pcam(folder: Path) -> dict[str, Patches]:
    """The patches of PCam, by split; pixels are read when they are needed.

    Raises:
        DataError: if a file is missing, still compressed or of another layout.
        HistoscaleError: if h5py is not installed.
    """
    return {split: _open_split_pcam(folder, split, theirs) for split, theirs in FILES.items()}


def _open_split_pcam(folder: Path, split: str, theirs: str) -> Patches:
    x, y = (_dataset(folder / f"camelyonpatch_level_2_split_{theirs}_{name}.h5", name) for name in "xy")
    n, side = x.shape[0], x.shape[1]
    if x.shape[1:] != (side, side, 3) or x.dtype != np.uint8 or y.shape != (n, 1, 1, 1):
        raise DataError(
            f"Wanted PCam's x of n x side x side x 3 bytes and y of n x 1 x 1 x 1 in {folder} ({theirs}), "
            f"got {x.dtype} {x.shape} and {y.shape}."
        )
    positive = np.asarray(y)[:, 0, 0, 0] == 1
    if positive.all() or not positive.any():
        raise DataError(f"All patches of PCam's {theirs} split in {folder} are of one class.")

    def read(indices: Indices) -> Pixels:
        places, back = np.unique(indices, return_inverse=True)  # h5py takes only rising indices
        return np.asarray(x[places])[back]

    return Patches(
        names=[f"{split}-{i}" for i in range(n)],
        pictures=[f"{split}-{i}" for i in range(n)],
        patients=[""] * n,
        side_px=side,
        tasks={TASK: Classes(np.arange(n), positive)},
        read=read,
    )


def _dataset(path: Path, name: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise HistoscaleError("PCam needs h5py: pip install 'histoscale[downstream]'.") from None
    if not path.exists() and path.with_name(path.name + ".gz").exists():
        raise DataError(f"Wanted {path}, but there it is still compressed: gunzip {path}.gz first.")
    try:
        return h5py.File(path, "r")[name]
    except (OSError, KeyError) as error:
        raise DataError(
            f"Wanted PCam's {path.name} with dataset {name}, but {path} cannot be read ({error})."
        ) from error
