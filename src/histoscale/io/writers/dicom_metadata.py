"""The header of a DICOM whole slide instance: everything before its pixels.

VL Whole Slide Microscopy Image, https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_A.32.8.html
"""

import io
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from PIL import ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLWholeSlideMicroscopyImageStorage,
    generate_uid,
)
from pydicom.valuerep import DSfloat

from histoscale.io.slide import Mpp
from histoscale.io.writers.base import Encoding, OutputSlide

Flavour: TypeAlias = Literal["VOLUME", "LABEL", "OVERVIEW"]
LOSSY_METHOD = {"jpeg": "ISO_10918_1", "jpeg2000": "ISO_15444_1"}
SLICE_UM = 1.0
"""Thickness of the layer in focus, an assumption: the field is required and no source format has it."""
DIMENSIONS = "RowPositionInTotalImagePixelMatrix", "ColumnPositionInTotalImagePixelMatrix"
MANDATORY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
"""Required keywords of patient and study; empty if unknown."""
LONG, TEXT = 64, 1024
"""Longest text of the representations LO and ST."""
RATIO = "{:08.2f}"
"""Of a fixed width: the ratio is known at the end, and the length of the header must not change."""


def new_uid() -> UID:
    """Make a random identifier, under the root for UUIDs."""
    return generate_uid(prefix=None)


@dataclass(frozen=True)
class Identity:
    """Identifiers and time that all instances of one slide share."""

    when: datetime
    study: UID = field(default_factory=new_uid)
    series: UID = field(default_factory=new_uid)
    frame_of_reference: UID = field(default_factory=new_uid)
    dimensions: UID = field(default_factory=new_uid)
    pyramid: UID = field(default_factory=new_uid)
    specimen: UID = field(default_factory=new_uid)


@dataclass(frozen=True)
class Instance:
    """One file: a level, the label or the overview.

    Attributes:
        number: within the series, from 1.
        size_xy: pixels of the image.
        frame_xy: pixels of a frame.
        mpp: None if unknown.
    """

    flavour: Flavour
    number: int
    size_xy: tuple[int, int]
    frame_xy: tuple[int, int]
    mpp: Mpp | None
    uid: UID = field(default_factory=new_uid)

    @property
    def frames(self) -> int:
        """How many frames cover the image."""
        across, down = (math.ceil(n / side) for n, side in zip(self.size_xy, self.frame_xy, strict=True))
        return across * down

    @property
    def image_type(self) -> list[str]:
        """Levels are resampled; the label and the overview are copies of those of the source."""
        return ["DERIVED", "PRIMARY", self.flavour, "RESAMPLED" if self.flavour == "VOLUME" else "NONE"]


def transfer_syntax(encoding: Encoding) -> UID:
    """Find the transfer syntax of an encoding."""
    if encoding.compression == "none":
        return ExplicitVRLittleEndian
    if encoding.compression == "jpeg":
        return JPEGBaseline8Bit
    return JPEG2000Lossless if encoding.is_lossless else JPEG2000


def head(
    slide: OutputSlide, identity: Identity, instance: Instance, encoding: Encoding, ratio: float
) -> bytes:
    """Encode everything before the table of frames or, uncompressed, before the pixels.

    Args:
        ratio: uncompressed bytes divided by stored bytes; has no influence on the length.
    """
    dataset = Dataset()
    _add_origin(dataset, slide, identity)
    _add_specimen(dataset, slide, identity)
    _add_derivation(dataset, slide, identity)
    _add_image(dataset, identity, instance)
    _add_extent(dataset, slide, instance)
    _add_pixel_format(dataset, instance, encoding, ratio)
    _add_optical_path(dataset, slide)
    _add_functional_groups(dataset, instance)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax(encoding)
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _add_origin(dataset: Dataset, slide: OutputSlide, identity: Identity) -> None:
    """Add patient, study, series and equipment; only a DICOM source has a patient."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for word in MANDATORY:
        setattr(dataset, word, slide.study.get(word, ""))
    dataset.StudyInstanceUID = slide.study.get("StudyInstanceUID", identity.study)
    dataset.SeriesInstanceUID = identity.series
    if "StudyDescription" in slide.study:
        dataset.StudyDescription = slide.study["StudyDescription"]
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = (
        identity.frame_of_reference,
        "SLIDE_CORNER",
    )
    dataset.Modality, dataset.SeriesNumber = "SM", 1
    dataset.SeriesDescription = slide.provenance.note[:LONG]
    day, time = identity.when.strftime("%Y%m%d"), identity.when.strftime("%H%M%S")
    dataset.ContentDate = dataset.InstanceCreationDate = day
    dataset.ContentTime = dataset.InstanceCreationTime = time
    dataset.StudyDate, dataset.StudyTime = (
        slide.study.get("StudyDate", day),
        slide.study.get("StudyTime", time),
    )
    # Required; other formats than DICOM do not say when the slide was scanned.
    dataset.AcquisitionDateTime = slide.study.get("AcquisitionDateTime", day + time)
    dataset.Manufacturer, dataset.ManufacturerModelName = "histoscale", slide.provenance.model or "histoscale"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "none", slide.provenance.software[:LONG]


def _add_specimen(dataset: Dataset, slide: OutputSlide, identity: Identity) -> None:
    """Add container and specimen, with the name in the DICOM source or else that of the file."""
    file = slide.provenance.source.encode("ascii", "replace").decode().replace("\\", "_")[:LONG]
    name = slide.study.get("ContainerIdentifier", file)
    dataset.ContainerIdentifier = name
    dataset.IssuerOfTheContainerIdentifierSequence = Sequence()
    dataset.ContainerTypeCodeSequence = _coded("433466003", "SCT", "Microscope slide")
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = name, identity.specimen
    specimen.IssuerOfTheSpecimenIdentifierSequence = Sequence()
    specimen.SpecimenPreparationSequence = Sequence()
    dataset.SpecimenDescriptionSequence = Sequence([specimen])
    dataset.AcquisitionContextSequence = Sequence()


def _add_derivation(dataset: Dataset, slide: OutputSlide, identity: Identity) -> None:
    """Add the note to be read, the model as contributing equipment, and the whole record for programs."""
    record = slide.provenance
    words = [record.note, f"scale {record.scale_xy[0]:g} x {record.scale_xy[1]:g}"]
    if record.model:
        words += [f"model {record.model}", f"weights SHA-256 {record.weights_sha256}"]
    dataset.DerivationDescription = ", ".join([*words, record.software])[:TEXT]
    dataset.ImageComments = record.to_json()
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = _coded("109103", "DCM", "Modifying Equipment")
    equipment.Manufacturer, equipment.ManufacturerModelName = "histoscale", record.model or "histoscale"
    equipment.SoftwareVersions = record.software[:LONG]
    equipment.ContributionDateTime = identity.when.strftime("%Y%m%d%H%M%S")
    equipment.ContributionDescription = dataset.DerivationDescription
    dataset.ContributingEquipmentSequence = Sequence([equipment])


def _add_image(dataset: Dataset, identity: Identity, instance: Instance) -> None:
    dataset.SOPClassUID, dataset.SOPInstanceUID = VLWholeSlideMicroscopyImageStorage, instance.uid
    dataset.InstanceNumber, dataset.ImageType = instance.number, instance.image_type
    dataset.VolumetricProperties, dataset.FocusMethod, dataset.ExtendedDepthOfField = "VOLUME", "AUTO", "NO"
    is_label = instance.flavour == "LABEL"
    dataset.SpecimenLabelInImage = "YES" if instance.flavour != "VOLUME" else "NO"
    dataset.BurnedInAnnotation = "YES" if is_label else "NO"
    if is_label:
        dataset.LabelText = dataset.BarcodeValue = ""
    if instance.flavour == "VOLUME":
        dataset.PyramidUID = identity.pyramid
    dataset.DimensionOrganizationType = "TILED_FULL"
    organisation = Dataset()
    organisation.DimensionOrganizationUID = identity.dimensions
    dataset.DimensionOrganizationSequence = Sequence([organisation])
    dataset.DimensionIndexSequence = Sequence([_dimension(identity, keyword) for keyword in DIMENSIONS])
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = instance.size_xy
    dataset.TotalPixelMatrixFocalPlanes = dataset.NumberOfOpticalPaths = 1


def _dimension(identity: Identity, keyword: str) -> Dataset:
    index = Dataset()
    index.DimensionOrganizationUID = identity.dimensions
    index.DimensionIndexPointer = Tag(keyword)
    index.FunctionalGroupPointer = Tag("PlanePositionSlideSequence")
    return index


def _add_extent(dataset: Dataset, slide: OutputSlide, instance: Instance) -> None:
    """Add width, height and origin in millimetres.

    The origin is the same for all levels, although their sizes are rounded up to whole pixels, because
    readers group levels by it. It is the corner that is farthest from the label.
    """
    if instance.mpp:
        across, down = _extent_mm(instance.size_xy, instance.mpp)
        dataset.ImagedVolumeWidth, dataset.ImagedVolumeHeight = across, down
        dataset.ImagedVolumeDepth = SLICE_UM  # in micrometres, unlike the other two
    across, down = _extent_mm(slide.size_xy, slide.mpp or Mpp(0, 0))
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = (
        _decimal(down),
        _decimal(across),
    )
    dataset.TotalPixelMatrixOriginSequence = Sequence([origin])
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]


def _extent_mm(size_xy: tuple[int, int], mpp: Mpp) -> tuple[float, float]:
    return size_xy[0] * mpp.x / 1000, size_xy[1] * mpp.y / 1000


def _add_pixel_format(dataset: Dataset, instance: Instance, encoding: Encoding, ratio: float) -> None:
    dataset.Columns, dataset.Rows = instance.frame_xy
    dataset.NumberOfFrames = instance.frames
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.PixelRepresentation = 3, 0, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PhotometricInterpretation = {
        JPEGBaseline8Bit: "YBR_FULL_422",  # names the matrix; the JPEG stream says how colour is sampled
        JPEG2000: "YBR_ICT",
        JPEG2000Lossless: "YBR_RCT",
        ExplicitVRLittleEndian: "RGB",
    }[transfer_syntax(encoding)]
    dataset.LossyImageCompression = "00" if encoding.is_lossless else "01"
    if not encoding.is_lossless:
        dataset.LossyImageCompressionRatio = RATIO.format(ratio)
        dataset.LossyImageCompressionMethod = LOSSY_METHOD[encoding.compression]


def _add_optical_path(dataset: Dataset, slide: OutputSlide) -> None:
    """Add illumination, objective and the required colour profile; without one, viewers assume sRGB."""
    path = Dataset()
    path.OpticalPathIdentifier = "1"
    path.IlluminationTypeCodeSequence = _coded("111744", "DCM", "Brightfield illumination")
    path.IlluminationColorCodeSequence = _coded("414298005", "SCT", "Full Spectrum")
    path.ICCProfile = (
        slide.fitting_profile or ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    )
    if slide.power:
        path.ObjectiveLensPower = _decimal(slide.power)
    dataset.OpticalPathSequence = Sequence([path])


def _add_functional_groups(dataset: Dataset, instance: Instance) -> None:
    groups, frame, path = Dataset(), Dataset(), Dataset()
    if instance.mpp:
        measures = Dataset()
        measures.PixelSpacing = [_decimal(side / 1000) for side in reversed(instance.mpp)]
        measures.SliceThickness = _decimal(SLICE_UM / 1000)
        groups.PixelMeasuresSequence = Sequence([measures])
    frame.FrameType = instance.image_type
    groups.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([frame])
    path.OpticalPathIdentifier = "1"
    groups.OpticalPathIdentificationSequence = Sequence([path])
    dataset.SharedFunctionalGroupsSequence = Sequence([groups])


def _coded(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def _decimal(number: float) -> DSfloat:
    return DSfloat(number, auto_format=True)
