"""PNG, JPEG, WebP and BMP through Pillow: as slides of one level, and as arrays for training and scoring.

Pillow refuses large images by a limit for the whole process (``Image.MAX_IMAGE_PIXELS``), which belongs to
the program that uses this package. The classes of the formats are therefore called directly: they have no
such limit, and the size is compared with the available memory.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeAlias

import numpy as np
from jaxtyping import Bool, Integer, UInt8
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from histoscale.errors import InputError
from histoscale.io.decoding import decoding, open_file, start_of
from histoscale.io.image_metadata import ORIENTATION, describe_image, exif_of, unsupported_jpeg
from histoscale.io.samples import (
    over_white,
    three_channels,
    to_eight_bits,
    upright,
    upright_size,
)
from histoscale.io.slide import Pixels, Slide
from histoscale.resources import ensure_memory

Opener: TypeAlias = Callable[[BinaryIO], ImageFile]
OPENERS: dict[bytes, Opener] = {
    b"\x89PNG": PngImageFile,
    b"\xff\xd8\xff": jpeg_factory,
    b"RIFF": WebPImageFile,
    b"BM": BmpImageFile,
}
"""First bytes of a file, and what of Pillow opens it."""
TIFF_OPENERS: dict[bytes, Opener] = dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile)
"""For the small TIFF files of data sets; `tiff_reader` reads slides in TIFF."""
BYTES_PER_PX = 12
"""Memory that decoding takes for a pixel: four channels in Pillow, in an array, and upright."""
EIGHT_BIT_MODES = frozenset({"L", "RGB", "P", "LA", "RGBA"})
"""Pillow's kinds of pixels that 8-bit RGB holds without loss, as long as they are opaque."""


def is_image(_path: Path, file: BinaryIO | None) -> bool:
    """Whether a file starts as one of the formats does."""
    return file is not None and start_of(file).startswith(tuple(OPENERS))


class ImageSlide(Slide):
    """A PNG, JPEG, WebP or BMP file, decoded into memory on first use.

    Args:
        file: the opened file, which the slide closes.

    Raises:
        InputError: if the header is damaged.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self._pixels: Pixels | None = None
        self._lock = Lock()
        self._image = _image_in(file, path, OPENERS)
        with decoding(path):
            self.description = describe_image(path, self._image, file)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        self._place(level, level_xy, size_xy)
        return three_channels(over_white(*self.read_pixels(level_xy, size_xy)))

    def read_pixels(self, l0_xy: tuple[int, int] = (0, 0), size_xy: tuple[int, int] | None = None) -> Pixels:
        (x, y), (width, height) = l0_xy, size_xy or self.description.size_xy
        self._place(0, l0_xy, (width, height))
        with self._lock:
            pixels = self._pixels = self._pixels or self._decoded()
        part = slice(y, y + height), slice(x, x + width)
        return Pixels(pixels.colour[part], None if pixels.alpha is None else pixels.alpha[part])

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        raise self._refuse_associated(name)

    def close(self) -> None:
        self._image.close()
        self._file.close()

    def _decoded(self) -> Pixels:
        """Decode all pixels, upright and in eight bits."""
        path, image = self.description.path, self._image
        self._ensure_memory(BYTES_PER_PX, image.size)
        with decoding(path):
            samples = upright(_samples(image, str(path)), exif_of(image).get(ORIENTATION, 1))
            if image.format == "PNG":  # decoding alone does not compare the checksums
                self._file.seek(0)
                PngImageFile(self._file).verify()
            image.close()  # frees Pillow's copy of the pixels
        if samples.shape[2] in (1, 3):
            return Pixels(samples)
        return Pixels(np.ascontiguousarray(samples[..., :-1]), samples[..., -1].copy())


def read_rgb(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as 8-bit RGB, upright; images that the conversion would change are refused.

    Raises:
        InputError: if the file cannot be read, or has more than 8 bits, another colour space or transparency.
    """
    with _opened(path) as image:
        mode = _mode_on_disk(image)
        if mode not in EIGHT_BIT_MODES:
            raise InputError(
                f"{path} has pixels of kind {mode}, not 8-bit RGB, grey or a palette: convert it."
            )
        turned = ImageOps.exif_transpose(image)
        if turned.has_transparency_data and np.asarray(turned.convert("RGBA"))[..., 3].min() < 255:
            raise InputError(f"{path} is transparent in places: lay it on white first.")
        return np.asarray(turned.convert("RGB"))


def read_size(path: Path) -> tuple[int, int]:
    """Read the height and width of an image, upright, from its header.

    Raises:
        InputError: if the file cannot be read.
    """
    with _opened(path) as image:
        width, height = upright_size(image.size, image.getexif().get(ORIENTATION, 1))
    return height, width


def read_labels(path: Path) -> Integer[np.ndarray, "h w"]:
    """Read a label image: a whole number for each pixel, which for a palette is the number of its colour.

    Raises:
        InputError: if the file cannot be read, or has more than one channel or other numbers.
    """
    with _opened(path) as image:
        labels = np.asarray(image)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        kind = f"{labels.dtype} in {labels.shape[2] if labels.ndim == 3 else 1} channel(s)"
        raise InputError(f"{path} holds {kind}, not one whole number a pixel: save it as a grey image.")
    return labels.astype(np.int64)


def read_mask(path: Path) -> Bool[np.ndarray, "h w"]:
    """Find where an image is not 0 in a colour channel, or in the number of a colour of its palette.

    Raises:
        InputError: if the file cannot be read.
    """
    with _opened(path) as image:
        values = np.asarray(image)
        has_alpha = image.mode in ("LA", "RGBA")
    channels = values[..., None] if values.ndim == 2 else values[..., :-1] if has_alpha else values
    return np.asarray((channels != 0).any(axis=2))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image that is decoded whole within the block, in any format of data sets."""
    with open_file(path) as file, _image_in(file, path, OPENERS | TIFF_OPENERS) as image:
        width, height = image.size
        sentence = f"{path}: {width} x {height} px are too large to be held in memory"
        ensure_memory(BYTES_PER_PX * width * height, InputError, sentence)
        with decoding(path):
            yield image


def _image_in(file: BinaryIO, path: Path, openers: dict[bytes, Opener]) -> ImageFile:
    """Open the file as an image of Pillow, which reads its header."""
    start = file.read(4)
    file.seek(0)
    opener = next((opener for magic, opener in openers.items() if start.startswith(magic)), None)
    if opener is None:
        raise InputError(f"{path} is not an image of a known format (PNG, JPEG, TIFF, WebP, BMP).")
    try:
        return opener(file)
    except Image.DecompressionBombError as error:  # Pillow's WebP reader has a limit of its own
        raise InputError(
            f"{path} is larger than Pillow reads a WebP file: save it as PNG or TIFF."
        ) from error
    except Exception as error:  # of any class; the words are about the inside of Pillow
        if kind := unsupported_jpeg(file):
            raise InputError(
                f"{path} is not supported: {kind}; convert it to JPEG of 8 bits or PNG."
            ) from error
        raise InputError(f"{path} is damaged or incomplete: its header cannot be read.") from error


def _mode_on_disk(image: ImageFile) -> str:
    """Pillow's mode, or its raw mode if 16-bit samples would lose their low byte on loading."""
    raw = [args if isinstance(args := tile[3], str) else args[0] for tile in image.tile if tile[3]]
    return next((str(mode) for mode in raw if ";16" in str(mode)), image.mode)


def _samples(image: ImageFile, name: str) -> UInt8[np.ndarray, "h w c"]:
    """Decode all pixels, with one to four channels."""
    if image.mode.startswith("I"):
        return to_eight_bits(np.asarray(image).astype(np.uint16), 16, name)[..., None]
    mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    array = np.array(image if mode == image.mode else image.convert(mode))
    return array[..., None] if array.ndim == 2 else array
