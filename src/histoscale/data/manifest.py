"""Find images: in a folder, or in a manifest with sets and splits."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from histoscale.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
SPLITS = ("train", "val", "test")
"""Folders of these names contain the images of a split."""


@dataclass(frozen=True)
class ImageRecord:
    """One high-resolution image and its description.

    Attributes:
        id: name, unique within its set.
        path: the file.
        set: name of the data set; without a manifest the name of the folder, or of the one above ``train``.
        split: train, val, test, or an empty string.
        mpp: micrometres per pixel as the manifest writes it, or an empty string.
        prep: preparation (FFPE, frozen), or an empty string.
        sha256: digest of the raw RGB bytes, or an empty string.
    """

    id: str
    path: Path
    set: str
    split: str = ""
    mpp: str = ""
    prep: str = ""
    sha256: str = ""


def find_images(source: Path, sets: Sequence[str] = (), split: str = "") -> list[ImageRecord]:
    """List the images under ``source`` in a fixed order.

    Args:
        source: a folder with ``manifest.csv``, the manifest itself, a folder of images, or one image.
        sets: names of the sets to list. Default: all.
        split: the split to list. Default: all. Without a manifest and folders called `SPLITS`, all images are
            listed.

    Raises:
        DataError: if there are no images, or a set or split does not exist.
    """
    if not source.exists():
        raise DataError(f"{source} does not exist: give a folder of images, an image or a manifest.")
    manifest = source / "manifest.csv" if source.is_dir() else source
    if manifest.suffix == ".csv":
        if manifest.is_file():
            return _select(read_manifest(manifest), manifest, sets, split)
        found = [path for path in sorted(source.rglob("*")) if _is_image_name(path, source)]
        records = [_bare(path, path.relative_to(source).parts[:-1]) for path in found]
        if any(record.split for record in records):
            return _select(records, source, sets, split)
    else:
        records = [_bare(source, ())] if source.is_file() else []
    if not records:
        raise DataError(
            f"{source} holds no images: give a folder of images, an image, or a folder with a manifest.csv."
        )
    return records


def read_manifest(path: Path) -> list[ImageRecord]:
    """Read the rows of a manifest; its ``file`` column is relative to its folder.

    Raises:
        DataError: if it cannot be read, lacks a column, or a row lacks a value.
    """
    return [
        ImageRecord(
            id=row["id"],
            path=path.parent / row["file"],
            set=row["set"],
            split=row["split"],
            mpp=row.get("mpp") or "",
            prep=row.get("prep") or "",
            sha256=row.get("sha256_pixels") or "",
        )
        for row in read_rows(path, ("id", "file", "set", "split"))
    ]


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file in UTF-8, with or without Excel's byte-order mark.

    Args:
        path: the file.
        columns: columns that must exist and have a value in every row.

    Raises:
        DataError: if the file cannot be read, lacks a column, or a row lacks a value.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines(keepends=True)
        reader = csv.DictReader(lines)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{path} lacks the column(s) {', '.join(sorted(missing))}.")
        rows = []
        for row in reader:
            if short := next((name for name in columns if row[name] is None), None):
                raise DataError(f"{path}, line {reader.line_num}: the row ends before the column {short}.")
            rows.append(row)
        return rows
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line} is not in UTF-8: save the file as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}.") from error


def centre_crop(image: Shaped[np.ndarray, "_ _ *c"], side_px: int | None) -> Shaped[np.ndarray, "_ _ *c"]:
    """Crop to the middle ``side_px`` x ``side_px`` pixels; a smaller side is kept, and None keeps both."""
    height, width = (min(side_px or n, n) for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _is_image_name(path: Path, source: Path) -> bool:
    """Tell whether a file under ``source`` has the name of an image.

    Hidden files and folders, folders with the suffix of an image, broken links and the folders that macOS and
    Jupyter create are not images.
    """
    inside = path.relative_to(source).parts
    is_foreign = any(part.startswith(".") or part == "__MACOSX" for part in inside)
    return path.suffix.lower() in SUFFIXES and not is_foreign and path.is_file()


def _bare(path: Path, folders: Sequence[str]) -> ImageRecord:
    """Describe an image without a manifest from the folders in its path."""
    split = next((name for name in folders if name in SPLITS), "")
    above = len(folders) - folders.index(split) if split else 0
    return ImageRecord(id=path.stem, path=path, set=path.absolute().parents[above].name, split=split)


def _select(records: list[ImageRecord], manifest: Path, sets: Sequence[str], split: str) -> list[ImageRecord]:
    """Select the records of the given sets and split."""
    for given, known, what in (
        (set(sets), {r.set for r in records}, "set"),
        ({split} - {""}, {r.split for r in records}, "split"),
    ):
        if given - known:
            names = ", ".join(sorted(given - known))
            raise DataError(f"{manifest} has no {what} {names}; it has {', '.join(sorted(known - {''}))}.")
    chosen = [r for r in records if (not sets or r.set in sets) and (not split or r.split == split)]
    if not chosen:
        raise DataError(f"{manifest} has no image of split {split} in {', '.join(sets)}.")
    return chosen
