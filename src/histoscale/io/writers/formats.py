"""The table of formats that are written, and the two functions that write an image or a slide by it.

A new format is a file beside this one and a row of `FORMATS`. A module is imported when its format is
written: some take long, and those of DICOM are an extra.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeAlias

from histoscale.errors import OutputError
from histoscale.files import atomic_folder, atomic_write, refuse_existing, refuse_unwritable
from histoscale.io.writers.choices import Compression, Layout

if TYPE_CHECKING:
    from histoscale.io.slide import Mpp
    from histoscale.io.writers.base import Encoding, OutputImage, OutputSlide

Function: TypeAlias = Callable[..., Any]

SLIDE_QUALITY, IMAGE_QUALITY = 90, 95
"""Default qualities of JPEG: an image is small and keeps its colours at full density."""


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        name: as in messages.
        suffixes: ends of file names that choose the format, in lower case.
        writer: ``module:function`` of this folder. For an image it is called with an open file, an
            `OutputImage` and the quality; for a slide with the path to write, `OutputSlide`, `Encoding` and
            `PyramidLevels`.
        verifier: ``module:function``, called after the writer of a slide and with the same arguments; raises
            `VerificationError`.
        check: ``module:function``, called with target and `Encoding` of a slide before the work; raises
            `OutputError` for what the format cannot hold.
        compressions: of a slide, the default first; none of an image.
        quality: default, 1 to 100; None writes without loss.
        is_lossy: whether the quality of an image has an effect; for a slide its compression decides.
        needs_mpp: whether it requires micrometres per pixel.
        is_folder: whether it is a folder of files.
        shard_tiles: tiles along a side of what is written at once.
        longest_side_px: limit of its headers or of its library.
        has_alpha: whether it holds opacity.
        extra: the optional dependencies of histoscale that it needs.
    """

    name: str
    suffixes: tuple[str, ...]
    writer: str
    verifier: str = ""
    check: str = ""
    compressions: tuple[Compression, ...] = ()
    quality: int | None = None
    is_lossy: bool = False
    needs_mpp: bool = False
    is_folder: bool = False
    shard_tiles: int = 1
    longest_side_px: int = 2**31 - 1
    has_alpha: bool = True
    extra: str = ""

    @property
    def is_slide(self) -> bool:
        """Whether it is a pyramid that is written tile by tile; else it is an image in memory."""
        return bool(self.compressions)


FORMATS = (
    Format(
        "OME-TIFF",
        (".ome.tiff", ".ome.tif"),
        writer="ome_tiff:write_ome_tiff",
        verifier="ome_tiff:verify_ome_tiff",
        check="ome_tiff:refuse_unreadable",
        compressions=("jpeg", "jpeg2000", "zstd", "deflate", "none"),
        quality=SLIDE_QUALITY,
    ),
    Format(
        "OME-Zarr",
        (".ome.zarr", ".zarr"),
        writer="ome_zarr:write_ome_zarr",
        verifier="ome_zarr:verify_ome_zarr",
        check="ome_zarr:refuse_foreign",
        compressions=("zstd", "deflate", "none"),
        is_folder=True,
        shard_tiles=4,
    ),
    Format(
        "DICOM",
        (".dcm",),
        writer="dicom:write_dicom",
        verifier="dicom:verify_dicom",
        check="dicom:refuse_foreign",
        compressions=("jpeg", "jpeg2000", "none"),
        quality=SLIDE_QUALITY,
        needs_mpp=True,
        is_folder=True,
        extra="dicom",
    ),
    Format("PNG", (".png",), writer="image:write_png"),
    Format(
        "JPEG",
        (".jpg", ".jpeg"),
        writer="image:write_jpeg",
        quality=IMAGE_QUALITY,
        is_lossy=True,
        longest_side_px=65_500,  # its header counts to 65535, libjpeg stops here
        has_alpha=False,
    ),
    Format("WebP", (".webp",), writer="image:write_webp", is_lossy=True, longest_side_px=16_383),
    Format("TIFF", (".tif", ".tiff"), writer="image:write_tiff"),
)
"""The first whose suffix ends a name is chosen, so that ``x.ome.tiff`` is a slide."""


def format_of(target: Path) -> Format:
    """Find the format by the suffix of a name.

    Raises:
        OutputError: if its suffix is not in the table.
    """
    found = _find(target)
    if found is None:
        known = " ".join(suffix for form in FORMATS for suffix in form.suffixes)
        raise OutputError(f"{target} has no suffix that can be written: choose one of {known}.")
    return found


def names_a_format(path: Path) -> bool:
    """Whether a name ends in the suffix of a format."""
    return _find(path) is not None


def is_slide_target(path: Path) -> bool:
    """Whether the suffix is that of a slide, which is written as a pyramid."""
    found = _find(path)
    return found is not None and found.is_slide


def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the formats of images."""
    return tuple(suffix for form in FORMATS if not form.is_slide for suffix in form.suffixes)


def encoding_for(
    target: Path,
    compression: Compression | None = None,
    quality: int | None = None,
    layout: Layout = "ome",
) -> "Encoding":
    """Complete the choices for a slide by the defaults of its format.

    Raises:
        OutputError: if the suffix is not that of a slide, or a value is out of range.
    """
    from histoscale.io.writers.base import Encoding

    form = _slide_format(target)
    return Encoding(compression or form.compressions[0], quality or form.quality or SLIDE_QUALITY, layout)


def refuse_impossible_image(target: Path, size_xy: tuple[int, int], has_transparency: bool) -> None:
    """Raise `OutputError` if the format cannot hold that size or the opacity."""
    form = format_of(target)
    if max(size_xy) > form.longest_side_px:
        size = f"{size_xy[0]} x {size_xy[1]} px"
        raise OutputError(
            f"{target} would be {size}, and {form.name} holds at most {form.longest_side_px} px a side."
        )
    if has_transparency and not form.has_alpha:
        raise OutputError(
            f"{target} would lose its transparency, which {form.name} does not hold: write .png or .tiff."
        )


def refuse_impossible_slide(target: Path, encoding: "Encoding", overwrite: bool) -> None:
    """Check before the work whether the slide can be written.

    Raises:
        OutputError: if the format has no such encoding, or the target exists or cannot be created.
    """
    form = _slide_format(target)
    if encoding.compression not in form.compressions:
        known = ", ".join(form.compressions)
        raise OutputError(
            f"{target}: {form.name} has no {encoding.compression} compression, choose one of {known}."
        )
    _function(form, form.check, target)(target, encoding)
    if not overwrite:
        refuse_existing(target)
    refuse_unwritable(target, is_folder=form.is_folder)


def refuse_unknown_mpp(target: Path, mpp: "Mpp | None") -> None:
    """Raise `OutputError` if the format needs micrometres per pixel and they are not known."""
    form = format_of(target)
    if mpp is None and form.needs_mpp:
        raise OutputError(
            f"{target}: {form.name} needs micrometres per pixel, which the source does not have: "
            "give --source-mpp."
        )


def write_image(
    target: Path, image: "OutputImage", *, quality: int | None = None, overwrite: bool = False
) -> None:
    """Write ``target`` whole or not at all, in the format of its suffix.

    Args:
        quality: 1 to 100 where the format is lossy; None for its default.

    Raises:
        OutputError: if the format cannot hold the image, or the file cannot be written.
    """
    form = format_of(target)
    height, width = image.pixels.shape[:2]
    refuse_impossible_image(target, (width, height), not image.is_opaque)
    write = _function(form, form.writer, target)
    with atomic_write(target, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        write(file, image, quality or form.quality)


def write_slide(
    target: Path, slide: "OutputSlide", encoding: "Encoding", scratch: Path, overwrite: bool
) -> None:
    """Write ``target`` whole or not at all, in the format of its suffix.

    Args:
        scratch: a folder for lower levels until they are written; made where it is missing, and left empty.

    Raises:
        OutputError: if the format cannot hold the slide, the disk is full, or verification fails.
    """
    from histoscale.io.writers.pyramid import PyramidLevels
    from histoscale.io.writers.verify import verifying

    refuse_impossible_slide(target, encoding, overwrite)
    refuse_unknown_mpp(target, slide.mpp)
    form = _slide_format(target)
    write, verify = (_function(form, name, target) for name in (form.writer, form.verifier))
    begin = atomic_folder if form.is_folder else atomic_write
    with (
        begin(target, overwrite=overwrite) as partial,
        PyramidLevels(slide, form.shard_tiles * encoding.tile_px, scratch) as levels,
    ):
        write(partial, slide, encoding, levels)
        with verifying(target):
            verify(partial, slide, encoding, levels)


def _find(path: Path) -> Format | None:
    name = path.name.lower()
    return next((form for form in FORMATS if name.endswith(form.suffixes)), None)


def _slide_format(target: Path) -> Format:
    form = format_of(target)
    if not form.is_slide:
        known = " ".join(suffix for form in FORMATS if form.is_slide for suffix in form.suffixes)
        raise OutputError(f"{target} has no suffix of a slide: choose one of {known}.")
    return form


def _function(form: Format, name: str, target: Path) -> Function:
    """A function of the module that writes the format."""
    try:
        found: Function = resolve_name(f"{__package__}.{name}")
    except ModuleNotFoundError:
        if not form.extra:
            raise
        command = f"pip install 'histoscale[{form.extra}]'"
        raise OutputError(f"{target} needs packages that are not installed: {command}.") from None
    return found
