"""PNG, JPEG, WebP and BMP, through Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageFile, UnidentifiedImageError

from histoscale.errors import InputError
from histoscale.io.decoding import decoding
from histoscale.io.metadata import (
    Resolution,
    contradiction,
    first_known,
    from_density,
    from_provenance,
    parse_provenance,
    positive,
)
from histoscale.io.slide import Description, Picture, Slide
from histoscale.resources import ensure_memory

# From a file's samples to eight bits a channel, upright: arrays in, arrays out.


TRANSPOSING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def upright(array: Shaped[np.ndarray, "h w *c"], orientation: int) -> Shaped[np.ndarray, "H W *c"]:
    """Undo an EXIF/TIFF orientation (1 to 8), as viewers do."""
    if orientation in TRANSPOSING:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def upright_size(size_xy: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height after `upright`."""
    return (size_xy[1], size_xy[0]) if orientation in TRANSPOSING else size_xy


def to_eight_bits(array: Shaped[np.ndarray, "*shape"], bits: int, name: str) -> UInt8[np.ndarray, "*shape"]:
    """Samples of ``bits`` bits, full range, to 0..255, rounded.

    Args:
        name: of the file, for the message.

    Raises:
        InputError: if 16-bit samples use a sixteenth of their range or less, as a 12-bit camera leaves them:
            made eight bits they would be nearly black.
    """
    if bits == 8:
        return array.astype(np.uint8, copy=False)
    highest = int(array.max(initial=0))
    if bits == 16 and 0 < highest < 4096:
        raise InputError(
            f"{name} has 16-bit samples that end at {highest} of 65535, so their true range is unknown: "
            "stretch them to the full range or to 8 bits first."
        )
    full = 2**bits - 1
    rounded = (array.astype(np.uint32) * 255 + full // 2) // full
    return np.asarray(rounded, np.uint8)


def unpremultiplied(
    colour: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w c"]:
    """Colours as they were before a writer multiplied them by the opacity."""
    opacity = np.maximum(alpha, 1)[..., None].astype(np.uint32)
    restored = (colour.astype(np.uint32) * 255 + opacity // 2) // opacity
    return np.asarray(np.minimum(restored, 255), np.uint8)


def over_white(
    colour: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w"] | None
) -> UInt8[np.ndarray, "h w c"]:
    """What is transparent laid on white paper; colours are not premultiplied."""
    if alpha is None or bool((alpha == 255).all()):
        return colour
    opacity = alpha[..., None].astype(np.uint16)
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
ORIENTATION, DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 270, 282, 283, 296
"""EXIF tags, shared with TIFF."""
NAMES = {"WEBP": "WebP", "MPO": "JPEG"}
COMPRESSION = {"PNG": "deflate", "JPEG": "JPEG", "MPO": "JPEG", "BMP": "none"}
CHANNELS = {
    **dict.fromkeys(("1", "L", "I", "I;16", "I;16B", "I;16L"), "grey"),
    **{"LA": "grey + alpha", "RGB": "RGB", "RGBA": "RGB + alpha", "P": "palette"},
}


def describe_picture(path: Path) -> Description:
    """The header of a PNG, JPEG, WebP or BMP file.

    Raises:
        InputError: if it is none of them or damaged.
    """
    with _opened(path) as image:
        return _description(path, image)


def read_picture(path: Path) -> Picture:
    """The pixels of a PNG, JPEG, WebP or BMP file, upright and in eight bits.

    Raises:
        InputError: if it is none of them, damaged, or of a kind that is refused.
    """
    with _opened(path) as image:
        description = _description(path, image)
        if description.refusal:
            raise InputError(f"{path} {description.refusal}.")
        needed = image.width * image.height * 12
        ensure_memory(needed, InputError, f"{path} is too large to be held in memory as one picture")
        with decoding(path):
            _verify(path, image)
            samples = _samples(image, description)
    samples = upright(samples, _exif(image).get(ORIENTATION, 1))
    opacity = samples[..., -1].copy() if samples.shape[2] in (2, 4) else None
    colour = samples if opacity is None else np.ascontiguousarray(samples[..., :-1])
    return Picture(description, colour, opacity)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """The file as a Pillow image of any size: Pillow's fixed limit gives way to a look at the memory."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        try:
            with decoding(path):
                image = Image.open(path, formats=FORMATS)
        except InputError as error:
            if isinstance(error.__cause__, UnidentifiedImageError):  # whose own words are the path again
                raise InputError(f"{path} is damaged or incomplete: its header cannot be read.") from error
            raise
        with image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _verify(path: Path, image: ImageFile.ImageFile) -> None:
    """Check the checksums of a PNG, which decoding alone does not."""
    if image.format == "PNG":
        with Image.open(path, formats=("PNG",)) as copy:
            copy.verify()


def _samples(image: ImageFile.ImageFile, description: Description) -> np.ndarray:
    """Pixels as uint8 [h, w, 1 to 4]."""
    if image.mode.startswith("I"):
        return to_eight_bits(np.asarray(image).astype(np.uint16), 16, str(description.path))[..., None]
    mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "LA") else "RGBA"
    array = np.array(image if mode == image.mode else image.convert(mode))
    return array[..., None] if array.ndim == 2 else array


def _description(path: Path, image: ImageFile.ImageFile) -> Description:
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
    bits = _bits(path, image)
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
        compression=COMPRESSION.get(form) or _webp_compression(path),
        icc_profile=image.info.get("icc_profile") or None,
        provenance=provenance,
        refusal=_refusal(image),
        notes=tuple(notes),
    )


def _refusal(image: ImageFile.ImageFile) -> str | None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} pictures or frames, and only files with one are taken"
    if image.mode not in CHANNELS:
        return f"is in {image.mode}, not RGB or grey: convert it to RGB with its colour profile first"
    return None


def _bits(path: Path, image: ImageFile.ImageFile) -> int:
    """Per channel; Pillow hides a PNG's 16 bits, so its header is asked."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return max(file.read(25)[24], 8)
    return 8


def _exif(image: ImageFile.ImageFile) -> dict[int, Any]:
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


def _density(image: ImageFile.ImageFile) -> Resolution:
    """PNG's pHYs, JPEG's JFIF density, BMP's pixels per metre."""
    if image.format in ("JPEG", "MPO"):  # Pillow's "dpi" is 72 where a JPEG gives none
        inches = {1: 1.0, 2: 2.54}.get(image.info.get("jfif_unit", 0), 0.0)
        across, down = image.info.get("jfif_density", (0, 0))
        return from_density((across * inches, down * inches), "JPEG density")
    source = "PNG pHYs density" if image.format == "PNG" else "density"
    return from_density(image.info.get("dpi", (0, 0)), source)


def _webp_compression(path: Path) -> str:
    """Whether a WebP file keeps its pixels exactly."""
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            if header[:4] in (b"VP8L", b"VP8 "):
                return "WebP lossless" if header[:4] == b"VP8L" else "WebP lossy"
            length = int.from_bytes(header[4:], "little")
            file.seek(length + length % 2, 1)
            if header[:4] == b"VP8X":
                continue
    return "WebP"


# A picture in memory as a slide of one level.


class PictureSlide(Slide):
    """PNG, JPEG and their like, and TIFF of the rarer kinds; grey becomes three equal channels.

    Args:
        picture: what is transparent in it becomes white.
    """

    def __init__(self, picture: Picture) -> None:
        # in memory is the full resolution alone, whatever lower levels the file has
        self.description = replace(picture.description, levels_xy=picture.description.levels_xy[:1])
        self._pixels = over_white(picture.pixels, picture.alpha)

    def read_region(
        self, level: int, level_xy: tuple[int, int], size_xy: tuple[int, int]
    ) -> UInt8[np.ndarray, "h w 3"]:
        self._place(level, level_xy, size_xy)
        (x, y), (width, height) = level_xy, size_xy
        colours = self._pixels[y : y + height, x : x + width]
        return np.ascontiguousarray(np.broadcast_to(colours, (height, width, 3)))

    def associated_image(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        raise InputError(f"{self.description.path} has no associated image {name!r}.")

    def close(self) -> None:
        """Nothing is held but memory."""
