"""What the tags of a TIFF file say: layout, resolution, and whether it holds one image in RGB or grey."""

from collections.abc import Sequence
from pathlib import Path

import tifffile

from histoscale.io.metadata import (
    OmeImage,
    Resolution,
    first_known,
    from_density,
    from_lengths,
    from_provenance,
    notes_on,
    parse_aperio,
    parse_ome,
    possible_power,
)
from histoscale.io.provenance import parse_provenance
from histoscale.io.samples import SIXTEEN_BITS, TRANSPOSING, upright_size
from histoscale.io.slide import Description, Mpp

PLANE_NAMES = {"Z": "focal planes", "T": "time points", "C": "separate channels (fluorescence or multiplex)"}
JPEGS = ("jpeg", "ojpeg", "jpeg_lossy")
"""Compressions whose decoder turns YCbCr into RGB."""
ALWAYS_YCBCR = ("aperio_jp2000_ycbc",)
"""Compressions of YCbCr, whatever the photometric tag says."""
CHANNELS = {
    **{"RGB": "RGB", "YCBCR": "RGB", "MINISBLACK": "grey", "MINISWHITE": "grey", "PALETTE": "palette"},
    "SEPARATED": "CMYK",
}
ICC_PROFILE, ORIENTATION = 34675, 274


def describe_tiff(
    path: Path,
    tiff: tifffile.TiffFile,
    levels: Sequence[tifffile.TiffPage],
    associated: tuple[str, ...],
    refusal: str | None,
) -> Description:
    """Say what an opened TIFF file with at least one image is.

    Args:
        levels: as `level_pages` finds them.
        associated: names of further images.
        refusal: why the file is refused whatever its tags say, if it is.
    """
    series, page = tiff.series[0], tiff.series[0].keyframe
    document = parse_ome(tiff.ome_metadata) if tiff.is_ome and tiff.ome_metadata else None
    ome = document.images[0] if document else None
    aperio_mpp, aperio_power = parse_aperio(page.description)
    provenance, damage = document.provenance if document else parse_provenance(page.description)
    found = first_known(
        from_provenance(provenance),
        ome.resolution if ome else Resolution(),
        Resolution(aperio_mpp, "ImageDescription (Aperio's MPP)"),
        _imagej_resolution(tiff, page),
        _tag_resolution(page),
    )
    orientation, mpp = orientation_of(page), found.mpp
    if mpp and orientation in TRANSPOSING:
        mpp = Mpp(mpp.y, mpp.x)
    profile = page.tags.valueof(ICC_PROFILE)
    power = (ome.power if ome else None) or aperio_power or possible_power((provenance or {}).get("power"))
    sixteen_bits = SIXTEEN_BITS if page.bitspersample == 16 else None
    return Description(
        path=path,
        format="OME-TIFF" if ome else "TIFF",
        size_xy=upright_size((page.imagewidth, page.imagelength), orientation),
        channels=_channels(page, series),
        bits=page.bitspersample if isinstance(page.bitspersample, int) else 0,
        mpp=mpp,
        mpp_source=found.source,
        power=power,
        levels_xy=tuple(upright_size((p.imagewidth, p.imagelength), orientation) for p in levels),
        compression=compression_of(page),
        icc_profile=profile if isinstance(profile, bytes) and profile else None,
        associated=associated,
        provenance=provenance,
        refusal=_refusal(tiff, ome) or refusal,
        notes=notes_on(found._replace(mpp=mpp), power, damage, sixteen_bits),
    )


def level_pages(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Pages of all resolution levels, the full one first: SubIFDs, or pages of their own."""
    pages = [level.keyframe for level in tiff.series[0].levels]
    if tiff.is_ome and len(pages) == len(tiff.series[0].pages) == 1:  # OME-XML does not count chained levels
        listed = {page.offset for series in tiff.series for page in series.pages if page is not None}
        chain = (tiff.pages.get(number, aspage=True) for number in range(1, len(tiff.pages)))
        further = [
            page for page in chain if isinstance(page, tifffile.TiffPage) and page.offset not in listed
        ]
        pages += [page for page in further if page.is_reduced]
    for series in tiff.series[1:]:
        if _is_level(tiff, series):
            pages.append(series.keyframe)
    return pages[:1] + [page for page in pages[1:] if _is_reduction(page, pages[0])]


def associated_pages(tiff: tifffile.TiffFile) -> dict[str, tifffile.TiffPage]:
    """Further images of an OME file, which are its label and overview, by their names there."""
    others = [s for s in tiff.series[1:] if tiff.is_ome and not _is_level(tiff, s) and len(s.pages) == 1]
    return {
        series.name or f"image {number}": series.keyframe
        for number, series in enumerate(others, 1)
        if series.keyframe.dtype == "u1" and _sample_refusal(series.keyframe) is None
    }


def _is_level(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    """Whether a further image is a smaller copy of the first: by its flag, or as old pyramids are."""
    page = series.keyframe
    return page.is_reduced or (_is_reduction(page, tiff.series[0].keyframe) and not tiff.is_ome)


def _is_reduction(page: tifffile.TiffPage, full: tifffile.TiffPage) -> bool:
    """Whether a page is smaller than the full one, and of its proportions but for rounding to pixels."""
    across, down = full.imagewidth / page.imagewidth, full.imagelength / page.imagelength
    rounding = 1 / page.imagewidth + 1 / page.imagelength
    return across > 1.5 and abs(across / down - 1) < 0.02 + rounding


def _refusal(tiff: tifffile.TiffFile, ome: OmeImage | None) -> str | None:
    """Why the first image is not one RGB or grey plane, or None."""
    series = tiff.series[0]
    for axis, length in zip(series.axes, series.shape, strict=True):
        if axis not in "YXS" and length > 1:
            planes = PLANE_NAMES.get(axis, "pages")
            return f"holds {length} {planes}, and only files with one image are read"
    others = 0 if tiff.is_ome else sum(len(s.pages) for s in tiff.series[1:] if not _is_level(tiff, s))
    if others:
        return f"holds {others + 1} pages, and only files with one image are read"
    if ome and ome.is_fluorescence:
        return "is fluorescence by its OME-XML, and the models are trained on bright-field images of stains"
    return _sample_refusal(series.keyframe)


def _sample_refusal(page: tifffile.TiffPage) -> str | None:
    """Why the samples of a page are not RGB or grey in 8 or 16 bits, or None."""
    if not page.imagewidth or not page.imagelength:
        return f"has no pixels: {page.imagewidth} x {page.imagelength} px"
    if page.planarconfig not in (1, 2) or not isinstance(page.bitspersample, int):
        shown = f"PlanarConfiguration {int(page.planarconfig)}, BitsPerSample {page.bitspersample!r}"
        return f"is damaged, by the tags that say how its pixels are stored: {shown}"
    if page.dtype is None or page.dtype.kind not in "bu" or page.dtype.itemsize > 2:
        return f"has {page.bitspersample}-bit {page.dtype} samples, and only 8 and 16 bits are read"
    return _colour_refusal(page)


def _colour_refusal(page: tifffile.TiffPage) -> str | None:
    """Why the channels of a page are not RGB or grey, with or without an opacity, or None."""
    photometric, compression = photometric_of(page), compression_of(page)
    if compression in ALWAYS_YCBCR or (photometric == "YCBCR" and compression not in JPEGS):
        return f"holds YCbCr with {compression} compression, which is not read: convert it to RGB first"
    if CHANNELS.get(photometric, "CMYK") == "CMYK":
        name = CHANNELS.get(photometric, photometric)
        return f"is in {name}, not RGB or grey: convert it to RGB with its colour profile first"
    extra = page.samplesperpixel - (3 if CHANNELS[photometric] == "RGB" else 1)
    if extra == 0 or (extra == 1 and has_alpha(page)):
        return None
    return f"has {page.samplesperpixel} channels, and only grey or RGB, with or without alpha, are read"


def _channels(page: tifffile.TiffPage, series: tifffile.TiffPageSeries) -> str:
    separate = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    if separate > 1:
        return f"{separate} separate channels"
    name = CHANNELS.get(photometric_of(page), photometric_of(page))
    return name + (" + alpha" if has_alpha(page) else "")


def has_alpha(page: tifffile.TiffPage) -> bool:
    """Whether the first extra sample is an opacity; 0 would be something unnamed."""
    return bool(page.extrasamples) and int(page.extrasamples[0]) != 0


def photometric_of(page: tifffile.TiffPage) -> str:
    """The colour space by its name in the TIFF specification, or its number where that is unknown."""
    return str(getattr(page.photometric, "name", page.photometric))


def compression_of(page: tifffile.TiffPage) -> str:
    """The codec's name in lower case."""
    return str(getattr(page.compression, "name", page.compression)).lower().replace("adobe_", "")


def orientation_of(page: tifffile.TiffPage) -> int:
    """EXIF's numbers, 1 to 8."""
    return int(page.tags.valueof(ORIENTATION, 1))


def _resolution_tags(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Pixels per unit along x and y, whatever the unit."""
    pair = []
    for tag in ("XResolution", "YResolution"):
        value = page.tags.valueof(tag)
        if not isinstance(value, tuple) or len(value) != 2 or not value[1] or not value[0]:
            return None
        pair.append(value[0] / value[1])
    return pair[0], pair[1]


def _tag_resolution(page: tifffile.TiffPage) -> Resolution:
    density, unit = _resolution_tags(page), int(page.tags.valueof("ResolutionUnit", 2))
    if density is None or unit not in (2, 3):
        return Resolution()
    inches = 1.0 if unit == 2 else 2.54
    return from_density((density[0] * inches, density[1] * inches), "TIFF resolution")


def _imagej_resolution(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Resolution:
    """ImageJ writes pixels per its own unit."""
    unit = (tiff.imagej_metadata or {}).get("unit") if tiff.is_imagej else None
    density = _resolution_tags(page)
    if unit is None or density is None:
        return Resolution()
    return from_lengths((1 / density[0], 1 / density[1]), (str(unit), str(unit)), "ImageJ calibration")
