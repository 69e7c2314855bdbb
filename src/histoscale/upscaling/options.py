"""What a person asks for, the same for all files of a call."""

from dataclasses import dataclass
from pathlib import Path

from histoscale.errors import ConfigError
from histoscale.io.writers.choices import Compression, Layout
from histoscale.upscaling.geometry import Wish, require_positive

TISSUE_CHOICES = ("all", "mask")


@dataclass(frozen=True)
class Options:
    """The wish, and how to carry it out.

    Attributes:
        wish: how large.
        source_mpp: micrometres per pixel that the person knows; goes before what the file says.
        quality: 1 to 100 for JPEG, WebP and JPEG 2000.
        overwrite: whether existing files may be replaced.
        skip_errors: whether the other files are done after one that failed.
        region: of a slide, ``x,y,width,height`` in pixels of level 0 or micrometres.
        roi: of a slide, a GeoJSON file with polygons; outside them is glass.

    Of slides alone:

    Attributes:
        tissue: "mask" finds the tissue, so that glass goes through bicubic; "all" takes all for it; else the
            path of a picture that is not 0 on tissue, or of a GeoJSON file with polygons around it.
        compression: of the pyramid; by default the usual one of its format.
        layout: of an OME-TIFF.
        max_memory_bytes: of all processes together.
        workers: processes; one for each core by default, and 1 computes in this one.
        resume: go on with what an interrupted run left.
        cluster: "local" or the address of a Dask scheduler.

    Raises:
        ScaleError: if ``source_mpp`` is zero, negative or not finite.
        ConfigError: if two options exclude each other, or one is empty, as an unset variable leaves it.
    """

    wish: Wish
    source_mpp: float | None = None
    quality: int | None = None
    overwrite: bool = False
    skip_errors: bool = True
    region: str | None = None
    roi: Path | None = None
    tissue: str = "mask"
    compression: Compression | None = None
    layout: Layout = "ome"
    max_memory_bytes: int | None = None
    workers: int | None = None
    resume: bool = False
    cluster: str | None = None

    def unused(self, form: str, is_lossless: bool) -> tuple[str, ...]:
        """Remarks on what a person gave and has no say in an output.

        Args:
            form: of the output, such as "PNG" or "OME-TIFF".
            is_lossless: whether it keeps pixels as they are, whatever the quality.
        """
        is_picture = form not in {"OME-TIFF", "OME-Zarr", "DICOM"}
        in_vain = {
            "compression": is_picture and self.compression is not None,
            "tissue": is_picture and self.tissue != "mask",
            "layout": form != "OME-TIFF" and self.layout != "ome",
            "quality": is_lossless and self.quality is not None,
        }
        return tuple(
            f"--{name} {getattr(self, name)} has no say in {'lossless ' if name == 'quality' else ''}{form}"
            for name, is_so in in_vain.items()
            if is_so
        )

    def __post_init__(self) -> None:
        if self.source_mpp is not None:
            require_positive("source mpp", self.source_mpp)
        for name in ("region", "tissue", "cluster"):
            if getattr(self, name) == "":
                raise ConfigError(f"Wanted a value for --{name}, got an empty one.")
        if self.region and self.roi:
            raise ConfigError("Wanted one of --region and --roi, got both.")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"Wanted at least 1 worker, got {self.workers}.")
