"""PNG, JPEG, WebP and BMP through Pillow: as slides of one level, and as arrays for training and scoring.

Pillow refuses large images by a limit for the whole process (``Image.MAX_IMAGE_PIXELS``). That belongs to the
program that uses this package and is left alone. Here the class of a format is called itself, which has no
such limit, and the size is compared with the memory there is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, TypeAlias

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
from histoscale.io.decoding import decoding, open_file
from histoscale.io.metadata import (
    Resolution,
    contradiction,
    first_known,
    from_density,
    from_provenance,
    positive,
)
from histoscale.io.provenance import parse_provenance
from histoscale.io.samples import (
    TRANSPOSING,
    over_white,
    three_channels,
    to_eight_bits,
    upright,
    upright_size,
)
from histoscale.io.slide import Description, Pixels, Slide
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
"""For the small TIFF files of data sets; slides in TIFF have a reader of their own."""
BYTES_PER_PX = 12
"""Memory that decoding takes for a pixel: four channels as Pillow holds them, as an array, and upright."""
ORIENTATION, DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 270, 282, 283, 296
"""EXIF tags, shared with TIFF."""
NAMES = {"WEBP": "WebP", "MPO": "JPEG"}
COMPRESSION = {"PNG": "deflate", "JPEG": "JPEG", "MPO": "JPEG", "BMP": "none"}
CHANNELS = {
    **dict.fromkeys(("1", "L", "I", "I;16", "I;16B", "I;16L"), "grey"),
    **{"LA": "grey + alpha", "RGB": "RGB", "RGBA": "RGB + alpha", "P": "palette"},
}
EIGHT_BIT_MODES = frozenset({"L", "RGB", "P", "LA", "RGBA"})
"""Pillow's kinds of pixels that 8-bit RGB holds without loss, as long as they are opaque."""


def locate(path: Path, start: bytes) -> Path | None:
    """The file itself if it starts as one of the formats does."""
    return path if start.startswith(tuple(OPENERS)) else None


class ImageSlide(Slide):
    """A PNG, JPEG, WebP or BMP file, decoded into memory when a pixel is first asked for.

    Raises:
        InputError: if the header is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_file(path)
        self._pixels: Pixels | None = None
        self._lock = Lock()
        try:
            self._image = _image_in(self._file, path, OPENERS)
            with decoding(path):
                self.description = _description(path, self._image, self._file)
        except BaseException:
            self._file.close()
            raise

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
        """All pixels, upright and in eight bits."""
        path, image = self.description.path, self._image
        self._ensure_memory(BYTES_PER_PX, image.size)
        with decoding(path):
            samples = upright(_samples(image, str(path)), _exif(image).get(ORIENTATION, 1))
            if image.format == "PNG":  # decoding alone does not compare the checksums
                self._file.seek(0)
                PngImageFile(self._file).verify()
            image.close()  # frees Pillow's copy of the pixels
        if samples.shape[2] in (1, 3):
            return Pixels(samples)
        return Pixels(np.ascontiguousarray(samples[..., :-1]), samples[..., -1].copy())


def read_rgb(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as 8-bit RGB, upright; what would not survive the conversion is refused.

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
    """Read where an image is not 0: in some colour channel, or in the number of its palette's colour.

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
    """An image that is decoded whole within the block, of any of the formats that data sets come in."""
    with open_file(path) as file, _image_in(file, path, OPENERS | TIFF_OPENERS) as image:
        width, height = image.size
        sentence = f"{path}: {width} x {height} px are too large to be held in memory"
        ensure_memory(BYTES_PER_PX * width * height, InputError, sentence)
        with decoding(path):
            yield image


def _image_in(file: BinaryIO, path: Path, openers: dict[bytes, Opener]) -> ImageFile:
    """The file as a Pillow image with its header read."""
    start = file.read(4)
    file.seek(0)
    opener = next((opener for magic, opener in openers.items() if start.startswith(magic)), None)
    if opener is None:
        raise InputError(f"{path} is not an image of a known format (PNG, JPEG, TIFF, WebP, BMP).")
    try:
        return opener(file)
    except Image.DecompressionBombError as error:  # Pillow's WebP reader has a limit that cannot be passed by
        raise InputError(
            f"{path} is larger than Pillow reads a WebP file: save it as PNG or TIFF."
        ) from error
    except Exception as error:  # Pillow's classes raise anything; their words are of their own machinery
        raise InputError(f"{path} is damaged or incomplete: its header cannot be read.") from error


def _mode_on_disk(image: ImageFile) -> str:
    """Pillow's mode; its raw mode where 16-bit samples would lose their low byte on loading as 8-bit."""
    raw = [args if isinstance(args := tile[3], str) else args[0] for tile in image.tile if tile[3]]
    return next((str(mode) for mode in raw if ";16" in str(mode)), image.mode)


def _samples(image: ImageFile, name: str) -> UInt8[np.ndarray, "h w c"]:
    """All pixels, with one to four channels."""
    if image.mode.startswith("I"):
        return to_eight_bits(np.asarray(image).astype(np.uint16), 16, name)[..., None]
    mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    array = np.array(image if mode == image.mode else image.convert(mode))
    return array[..., None] if array.ndim == 2 else array


def _description(path: Path, image: ImageFile, file: BinaryIO) -> Description:
    exif, form = _exif(image), str(image.format)
    text = image.info.get("Description") or exif.get(DESCRIPTION)
    provenance = parse_provenance(text if isinstance(text, str) else None)
    found = first_known(from_provenance(provenance), _exif_resolution(exif), _density(image))
    mpp, orientation = found.mpp, exif.get(ORIENTATION, 1)
    if mpp and orientation in TRANSPOSING:
        mpp = mpp._replace(x=mpp.y, y=mpp.x)
    channels = CHANNELS.get(image.mode, image.mode)
    if image.has_transparency_data and "alpha" not in channels:
        channels += " + alpha"
    bits = _bits(image, file)
    power = positive((provenance or {}).get("power"))
    notes = [*([found.note] if found.note else []), *contradiction(mpp, power)]
    if bits == 16:
        notes.append("16 bits a channel are read as 8")
    return Description(
        path=path,
        format=NAMES.get(form, form),
        size_xy=upright_size(image.size, orientation),
        channels=channels,
        bits=bits,
        mpp=mpp,
        mpp_source=found.source,
        power=power,
        levels_xy=(upright_size(image.size, orientation),),
        compression=COMPRESSION.get(form) or _webp_compression(file),
        icc_profile=image.info.get("icc_profile") or None,
        provenance=provenance,
        refusal=_refusal(image),
        notes=tuple(notes),
    )


def _refusal(image: ImageFile) -> str | None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} images or frames, and only files with one are read"
    if image.mode not in CHANNELS:
        return f"is in {image.mode}, not RGB or grey: convert it to RGB with its colour profile first"
    return None


def _bits(image: ImageFile, file: BinaryIO) -> int:
    """Bits of a channel; Pillow hides the 16 bits of a PNG, so its header is asked."""
    if image.format != "PNG":
        return 8
    return max(_peek(file, 24, 1)[0], 8)


def _peek(file: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes of the file; its position stays where Pillow left it."""
    position = file.tell()
    try:
        file.seek(offset)
        return file.read(length)
    finally:
        file.seek(position)


def _exif(image: ImageFile) -> dict[int, Any]:
    """EXIF tags of the header; a damaged EXIF block counts as none."""
    try:
        return dict(Image.Image.getexif(image))  # the subclass' method would decode all pixels of a PNG
    except Exception:  # the block is foreign, optional and parsed by a decoder that raises anything
        return {}


def _exif_resolution(exif: dict[int, Any]) -> Resolution:
    inches = {2: 1.0, 3: 2.54}.get(exif.get(RESOLUTION_UNIT, 0))
    try:
        per_unit = float(exif[X_RESOLUTION]), float(exif[Y_RESOLUTION])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return Resolution()
    if inches is None:
        return Resolution()
    return from_density((per_unit[0] * inches, per_unit[1] * inches), "EXIF resolution")


def _density(image: ImageFile) -> Resolution:
    """PNG's pHYs, JPEG's JFIF density, BMP's pixels per metre."""
    if image.format in ("JPEG", "MPO"):  # Pillow's "dpi" is 72 where a JPEG gives none
        inches = {1: 1.0, 2: 2.54}.get(image.info.get("jfif_unit", 0), 0.0)
        across, down = image.info.get("jfif_density", (0, 0))
        return from_density((across * inches, down * inches), "JPEG density")
    source = "PNG pHYs density" if image.format == "PNG" else "density"
    return from_density(image.info.get("dpi", (0, 0)), source)


def _webp_compression(file: BinaryIO) -> str:
    """Whether a WebP file keeps its pixels exactly, by its first chunk of pixels."""
    offset = 12
    while len(header := _peek(file, offset, 8)) == 8:
        if header[:4] in (b"VP8L", b"VP8 "):
            return "WebP lossless" if header[:4] == b"VP8L" else "WebP lossy"
        length = int.from_bytes(header[4:], "little")
        offset += 8 + length + length % 2  # chunks start at even places
    return "WebP"
