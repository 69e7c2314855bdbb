"""What is asked of one file: the options read against its header."""

from dataclasses import dataclass, replace

from histoscale.errors import InputError, explaining
from histoscale.io.annotations import Rectangle, Roi, parse_region, read_roi
from histoscale.io.slide import Description, Mpp, Slide
from histoscale.upscaling.geometry import OutputGeometry, resolve
from histoscale.upscaling.options import Options
from histoscale.upscaling.plan import Method


@dataclass(frozen=True)
class Request:
    """What is asked of one file.

    Attributes:
        region: the rectangle of level 0 that is upscaled.
        roi: polygons within it, if an annotation was given.
        mpp: of level 0, where known.
        output: size and resolution of the output.
    """

    header: Description
    region: Rectangle
    roi: Roi | None
    mpp: Mpp | None
    output: OutputGeometry

    @property
    def method(self) -> Method:
        """The method for a slide; slides have square pixels, or nearly, so one smaller axis means both."""
        if self.output.size_xy == self.region.size_xy:
            return "copy"
        return "reduce" if min(self.output.scale_xy) < 1 else "model"

    @property
    def image_method(self) -> Method:
        """The method for an image: by the model as soon as an axis grows."""
        before, after = self.region.size_xy, self.output.size_xy
        if before == after:
            return "copy"
        return "model" if after[0] > before[0] or after[1] > before[1] else "reduce"

    @property
    def scale(self) -> tuple[float, float]:
        """Down and across."""
        return self.output.scale_xy[1], self.output.scale_xy[0]


def read_request(slide: Slide, options: Options) -> Request:
    """Read the options against the header of an opened file.

    Raises:
        InputError: if the file is refused, or region or polygons are wrong, empty or outside.
        ScaleError: if the size is impossible, or micrometres are unknown.
    """
    header = slide.description
    if header.refusal:
        raise InputError(f"{header.path} {header.refusal}.")
    mpp = Mpp(options.source_mpp, options.source_mpp) if options.source_mpp else header.mpp
    region, roi = Rectangle((0, 0), header.size_xy), None
    if options.roi:
        with explaining(options.roi):  # the annotation, not the slide, is at fault
            roi = read_roi(options.roi, replace(header, mpp=mpp))
        region = roi.rectangle
    elif options.region:
        region = parse_region(options.region, replace(header, mpp=mpp))
    return Request(header, region, roi, mpp, resolve(options, region.size_xy, mpp, header.power))
