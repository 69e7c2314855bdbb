"""Patches with their classes: cut from larger images as a list says, or read from PCam's files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from histoscale.data.manifest import SPLITS, read_rows
from histoscale.errors import DataError, HistoscaleError
from histoscale.experiments.cancer.config import PatchTable, TaskTable
from histoscale.io.image_reader import read_rgb

Indices = Int[np.ndarray, " b"]
Pixels = UInt8[np.ndarray, "b side side 3"]


@dataclass(frozen=True)
class Classes:
    """The classes of some patches in one task.

    Attributes:
        indices: of the patches that have a class in this task.
        positive: whether each of these is positive.
    """

    indices: Int[np.ndarray, " n"]
    positive: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Patches:
    """The patches of one split, read when they are needed.

    Attributes:
        names: of the patches, unique.
        images: name of the image that each patch was cut from; patches of one image are alike.
        patients: of each patch, or an empty string.
        side_px: of a patch.
        tasks: the classes by task.
        read: returns the pixels of some indices.
    """

    names: Sequence[str]
    images: Sequence[str]
    patients: Sequence[str]
    side_px: int
    tasks: Mapping[str, Classes]
    read: Callable[[Indices], Pixels]


def open_patches(table: PatchTable) -> dict[str, Patches]:
    """Open the patches of a run, by split; see `open_list` and `open_pcam`."""
    return open_list(table) if table.pcam is None else open_pcam(table.root / table.pcam)


def open_list(table: PatchTable) -> dict[str, Patches]:
    """Open the patches of a list, by split.

    Raises:
        DataError: if the list cannot be read, lacks a column, a split or a class, or splits share a patient.
    """
    path = table.root / (table.patches or "")
    columns = [name for task in table.tasks for name in (task.column, *task.where)]
    rows = read_rows(path, ("split", "file", "x", "y", *columns))
    _check_disjoint(rows, path)
    return {split: _open_split(rows, split, table, path) for split in SPLITS}


def find_classes(rows: Sequence[Mapping[str, str]], task: TaskTable, where: str) -> Classes:
    """Find the rows that have a class in a task.

    Raises:
        DataError: if one of its classes is missing.
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


def _check_disjoint(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Make sure that no patient is both trained on and tested on."""
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
        raise DataError(f"{path} has an x or y that is not a whole number: {error}.") from None
    files = [table.root / row["file"] for row in members]
    names = [f"{file.stem}-x{x}-y{y}" for file, (x, y) in zip(files, corners, strict=True)]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise DataError(f"{path} has patch {twice[0]} twice in split {split}.")
    where = f"{path} ({split})"
    return Patches(
        names=names,
        images=[file.stem for file in files],
        patients=[row.get("patient") or "" for row in members],
        side_px=table.patch_px,
        tasks={task.name: find_classes(members, task, where) for task in table.tasks},
        read=_cutter(files, corners, table.patch_px),
    )


def _cutter(
    files: Sequence[Path], corners: Sequence[tuple[int, int]], side: int
) -> Callable[[Indices], Pixels]:
    """Return a function that cuts patches; every image is read once and kept in memory."""
    image = cache(read_rgb)

    def read(indices: Indices) -> Pixels:
        return np.stack([cut(files[i], *corners[i]) for i in indices])

    def cut(file: Path, x: int, y: int) -> UInt8[np.ndarray, "side side 3"]:
        patch = image(file)[max(0, y) : y + side, max(0, x) : x + side]
        if patch.shape != (side, side, 3):
            raise DataError(f"The patch of {side} x {side} pixels at {x},{y} is not inside {file}.")
        return patch

    return read


# PatchCamelyon (B. Veeling et al., Rotation equivariant CNNs for digital pathology, MICCAI 2018) is published
# as two HDF5 files for each split: patches ``x``, uint8 [n, 96, 96, 3], and classes ``y``, uint8
# [n, 1, 1, 1], 1 where the central 32 x 32 pixels contain metastatic tissue. The files name no patient and no
# slide, so every patch counts as one image.

TASK = "metastasis"
FILES = {"train": "train", "val": "valid", "test": "test"}
"""PCam's names of the splits."""


def open_pcam(folder: Path) -> dict[str, Patches]:
    """Open the patches of PCam, by split; pixels are read when they are needed.

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
            f"PCam's split {theirs} in {folder} has another layout: x has to be uint8 (n, side, side, 3) "
            f"and y (n, 1, 1, 1), but they are {x.dtype} {x.shape} and {y.shape}."
        )
    positive = np.asarray(y)[:, 0, 0, 0] == 1
    if positive.all() or not positive.any():
        raise DataError(f"All patches of PCam's {theirs} split in {folder} are of one class.")

    def read(indices: Indices) -> Pixels:
        places, back = np.unique(indices, return_inverse=True)  # h5py accepts only rising indices
        return np.asarray(x[places])[back]

    return Patches(
        names=[f"{split}-{i}" for i in range(n)],
        images=[f"{split}-{i}" for i in range(n)],
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
        raise DataError(f"{path} is still compressed: run gunzip {path}.gz first.")
    try:
        return h5py.File(path, "r")[name]
    except (OSError, KeyError) as error:
        raise DataError(f"Dataset {name} of PCam cannot be read from {path}: {error}.") from error
