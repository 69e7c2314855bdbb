"""PatchCamelyon as it is published: an HDF5 file of patches and one of classes for each split.

B. Veeling et al., Rotation equivariant CNNs for digital pathology, MICCAI 2018. ``x``: uint8 [n, 96, 96, 3];
``y``: uint8 [n, 1, 1, 1], 1 where the middle 32 x 32 pixels hold metastatic tissue. The files tell no patient
and no slide, hence every patch stands for itself.
"""

from pathlib import Path
from typing import Any

import numpy as np

from histoscale.errors import DataError, HistoscaleError
from histoscale.workflows.cancer.patches import Classes, Indices, Patches, Pixels

TASK = "metastasis"
FILES = {"train": "train", "val": "valid", "test": "test"}
"""Our splits and theirs."""


def open_pcam(folder: Path) -> dict[str, Patches]:
    """The patches of PCam, by split; pixels are read when they are needed.

    Raises:
        DataError: if a file is missing, still compressed or of another layout.
        HistoscaleError: if h5py is not installed.
    """
    return {split: _open_split(folder, split, theirs) for split, theirs in FILES.items()}


def _open_split(folder: Path, split: str, theirs: str) -> Patches:
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
