"""What the header of a TIFF or OME-TIFF file says."""

from pathlib import Path

import tifffile

from histoscale.io.metadata import (
    OmeDocument,
    Resolution,
    first_known,
    from_density,
    from_lengths,
    from_provenance,
    notes_on,
    parse_aperio,
    possible_power,
)
from histoscale.io.provenance import parse_provenance
from histoscale.io.samples import SIXTEEN_BITS, TRANSPOSING, upright_size
from histoscale.io.slide import Description, Mpp
from histoscale.io.tiff_structure import TiffImages
from histoscale.io.tiff_tags import channels_of, compression_of, orientation_of, refusal_of
from histoscale.io.units import um_per

PLANE_NAMES = {"Z": "focal planes", "T": "time points", "C": "separate channels (fluorescence or multiplex)"}
ICC_PROFILE, RESOLUTION_UNIT = 34675, 296
UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "um"}
"""Numbers of ResolutionUnit. The standard has 1 (none), inch and centimetre; some programs use the others."""


def describe_tiff(
    path: Path, tiff: tifffile.TiffFile, images: TiffImages, document: OmeDocument | None, damage: str | None
) -> Description:
    """Describe an opened TIFF file.

    Args:
        document: its OME-XML.
        damage: why the file is refused whatever its tags say, if it is.
    """
    page, ome = images.levels[0], images.ome
    aperio_mpp, aperio_power = parse_aperio(page.description)
    provenance, remark = document.provenance if document else parse_provenance(page.description)
    found = first_known(
        from_provenance(provenance),
        ome.resolution if ome else Resolution(),
        Resolution(aperio_mpp, "ImageDescription (Aperio's MPP)"),
        _imagej_resolution(tiff, page),
        _tag_resolution(page),
    )
    orientation = orientation_of(page)
    if found.mpp and orientation in TRANSPOSING:
        found = found._replace(mpp=Mpp(found.mpp.y, found.mpp.x))
    profile = page.tags.valueof(ICC_PROFILE)
    power = (ome.power if ome else None) or aperio_power or possible_power((provenance or {}).get("power"))
    sixteen_bits = SIXTEEN_BITS if page.bitspersample == 16 else None
    return Description(
        path=path,
        format="OME-TIFF" if document else "TIFF",
        size_xy=upright_size((page.imagewidth, page.imagelength), orientation),
        channels=_channels(images),
        bits=page.bitspersample if isinstance(page.bitspersample, int) else 0,
        mpp=found.mpp,
        mpp_source=found.source,
        power=power,
        levels_xy=tuple(upright_size((p.imagewidth, p.imagelength), orientation) for p in images.levels),
        compression=compression_of(page),
        icc_profile=profile if isinstance(profile, bytes) and profile else None,
        associated=tuple(images.associated),
        provenance=provenance,
        refusal=_refusal(images) or damage,
        notes=notes_on(found, power, remark, sixteen_bits, images.note),
    )


def _refusal(images: TiffImages) -> str | None:
    """Why the slide is not one plane in RGB or grey, or None."""
    for axis, length in zip(images.slide.axes, images.slide.shape, strict=True):
        if axis not in "YXS" and length > 1:
            planes = PLANE_NAMES.get(axis, "pages")
            return f"holds {length} {planes}, and only files with one image are read"
    if images.pages:
        return f"holds {images.pages + 1} pages, and only files with one image are read"
    if images.ome and images.ome.is_fluorescence:
        return "is fluorescence by its OME-XML, and the models are trained on bright-field images of stains"
    return refusal_of(images.levels[0])


def _channels(images: TiffImages) -> str:
    separate = dict(zip(images.slide.axes, images.slide.shape, strict=True)).get("C", 1)
    return f"{separate} separate channels" if separate > 1 else channels_of(images.levels[0])


def _density(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Pixels per unit along x and y, whatever the unit."""
    pair = []
    for tag in ("XResolution", "YResolution"):
        value = page.tags.valueof(tag)
        if not isinstance(value, tuple) or len(value) != 2 or not value[1] or not value[0]:
            return None
        pair.append(value[0] / value[1])
    return pair[0], pair[1]


def _tag_resolution(page: tifffile.TiffPage) -> Resolution:
    """The resolution tags, which also hold densities of printers."""
    density, unit = _density(page), page.tags.valueof(RESOLUTION_UNIT, 2)
    if density is None or unit == 1:
        return Resolution()
    um = um_per(UNITS.get(unit)) if isinstance(unit, int) else None
    if um is None:
        return Resolution(
            note=f"the TIFF resolution has the unknown ResolutionUnit {unit!r:.20} and was ignored"
        )
    inches = 25_400.0 / um
    return from_density((density[0] * inches, density[1] * inches), "TIFF resolution")


def _imagej_resolution(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Resolution:
    """The calibration by ImageJ: pixels per a unit that it names; inches are those of a printer."""
    unit = (tiff.imagej_metadata or {}).get("unit") if tiff.is_imagej else None
    density = _density(page)
    if unit is None or density is None or str(unit).lower() in ("inch", "inches"):
        return Resolution()
    return from_lengths((1 / density[0], 1 / density[1]), (str(unit), str(unit)), "ImageJ calibration")
