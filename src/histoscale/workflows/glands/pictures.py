"""Every kind of image that U-Nets learn from and are tested on, made from the originals."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from histoscale import weights
from histoscale.data.degradation import enlarge_bicubic
from histoscale.data.folders import read_rgb
from histoscale.errors import DataError
from histoscale.inference import upscale
from histoscale.models.base import SuperResolver
from histoscale.workflows.cases import Picture, make_pair
from histoscale.workflows.glands.material import GlandImage, read_labels
from histoscale.workflows.glands.run_file import BICUBIC, LR, ORIGINAL, Enlarger, GlandRun
from histoscale.workflows.processor import find_device, find_precision
from histoscale.workflows.result_files import whole, writing
from histoscale.workflows.scoring import DIGEST_DIGITS


class Pictures:
    """The images of a run: those of the models lie in ``folder``, a folder for each weights.

    Originals are cropped at their right and bottom to multiples of the scale: all kinds show the same.
    """

    def __init__(self, run: GlandRun, folder: Path):
        self.scale, self.device, self.precision = run.data.scale, run.device, run.precision
        self.shrink = run.network.shrink
        self.folders = {model.label: folder / _folder_name(model) for model in run.models}

    def picture(self, image: GlandImage, kind: str) -> Picture:
        """One image of a kind.

        Raises:
            DataError: if it cannot be read.
        """
        if kind in self.folders:
            return read_rgb(self.file(image, kind))
        lr, original = make_pair(read_rgb(image.path), self.scale, "none")
        size = original.shape[0], original.shape[1]
        return {ORIGINAL: original, LR: lr, BICUBIC: enlarge_bicubic(lr, size)}[kind]

    def seen(self, image: GlandImage, kind: str) -> Picture:
        """One image of a kind in the pixels that a U-Net sees.

        Raises:
            DataError: if it cannot be read.
        """
        picture = self.picture(image, kind)
        return picture if kind == LR else np.asarray(Image.fromarray(picture).reduce(self.shrink))

    def step(self, kind: str) -> int:
        """How many pixels of the original, a side, one pixel covers that a U-Net sees."""
        return self.scale if kind == LR else self.shrink

    def labels(self, image: GlandImage, step: int = 1) -> Int[np.ndarray, "h w"]:
        """The annotation of an image, at the middle of every ``step`` x ``step`` pixels.

        Raises:
            DataError: if it cannot be read or is of another size than the image.
        """
        with Image.open(image.path) as picture:
            width, height = picture.size
        labels = read_labels(image.mask)
        if labels.shape != (height, width):
            raise DataError(
                f"Wanted an annotation of {height} x {width} pixels as {image.path}, got {labels.shape[0]} x "
                f"{labels.shape[1]} in {image.mask}."
            )
        labels = labels[: height // self.scale * self.scale, : width // self.scale * self.scale]
        return labels[step // 2 :: step, step // 2 :: step]

    def file(self, image: GlandImage, label: str) -> Path:
        """Where a model's image is."""
        return self.folders[label] / f"{image.id}.png"

    def enlarge(self, image: GlandImage, model: Enlarger) -> None:
        """Make a model's image, unless it is there.

        Raises:
            DataError: if the original cannot be read.
            WeightsError: if weights are missing or damaged.
            ScaleError: if the model does not make the scale.
            OutputError: if it cannot be written.
        """
        if self.file(image, model.label).exists():
            return
        lr, original = make_pair(read_rgb(image.path), self.scale, "none")
        size = original.shape[0], original.shape[1]
        place = find_device(self.device)
        network, numbers = _load(model.weights, str(place)), find_precision(self.precision, place)
        write_picture(upscale(network, lr, size, precision=numbers), self.file(image, model.label))


@lru_cache(maxsize=1)
def _load(source: str, device: str) -> SuperResolver:
    """The model, once a process."""
    return weights.load(source, device)


def write_picture(picture: Picture, path: Path) -> None:
    """Write a PNG whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    with writing(path), whole(path) as partial:
        Image.fromarray(picture).save(partial, "PNG", compress_level=1)


def _folder_name(model: Enlarger) -> str:
    """A folder of its own for each weights, so that none are taken for others'."""
    return f"{model.label}-{weights.card(model.weights).sha256[:DIGEST_DIGITS]}"
