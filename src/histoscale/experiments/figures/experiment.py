"""``histoscale figures``: draw every figure that the given weights allow, and the page that shows them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from histoscale.data.manifest import ImageRecord
from histoscale.errors import ConfigError, ScaleError
from histoscale.experiments.figures.comparisons import (
    SCALES,
    branches_removed,
    error_maps,
    gallery,
    many_scales,
)
from histoscale.experiments.figures.crops import RULE, open_scene, pair_of
from histoscale.experiments.figures.edges import edge_densities
from histoscale.experiments.figures.features import inside_iste
from histoscale.experiments.figures.figure import Drawn, Example, LeftOut, Material, Models
from histoscale.experiments.figures.page import SHOWN, Saved, page
from histoscale.experiments.figures.panels import DPI
from histoscale.experiments.images import ImageSelection, plan_cases, spread
from histoscale.experiments.methods import read_methods
from histoscale.experiments.parallel import OnProgress, ignore_progress
from histoscale.experiments.tables import count
from histoscale.files import atomic_files, refuse_existing
from histoscale.resources import EXACT, Compute

INDEX = "index.html"
CROPS_PX = range(64, 513)
"""Sides of a crop. The smallest has eight pixels at the largest scale of Fig. 7; the largest fills a page."""
CSS_DPI = DPI / 2
"""The page shows images at half their size in pixels, for high-resolution screens."""
FIGURES: tuple[Callable[[Material], Iterator[Drawn | LeftOut]], ...] = (
    edge_densities,
    error_maps,
    many_scales,
    inside_iste,
    branches_removed,
    gallery,
)
"""Every figure of the page, in the order of the paper."""


def figures(
    models: Sequence[str],
    selection: ImageSelection,
    output: Path,
    *,
    images: Sequence[str] = (),
    scale: float = 4.0,
    mpp: float | None = None,
    compute: Compute = EXACT,
    overwrite: bool = False,
    progress: OnProgress = ignore_progress,
) -> list[Saved | LeftOut]:
    """Draw the figures, and write them with ``index.html``.

    Args:
        models: ``LABEL=WEIGHTS``, see `histoscale.experiments.methods`; a figure that needs other labels is
            left out, with the reason.
        selection: the images, one degradation, the side of the crop that is shown (192 by default), and the
            number of images of each data set that are shown (3 by default). Fig. 1d measures all images.
        output: folder for the page.
        images: names of the images to show, instead of images spread evenly over each data set.
        scale: of all figures except Fig. 7.
        mpp: micrometres per pixel of images that do not state it.

    Raises:
        ConfigError: if there is no model, or a model, image, crop, degradation, device or precision is wrong.
        ScaleError: if the scale is below 1 or no number, or too large for the crop.
        DataError: if there is no image, or no such set or split.
        InputError: if an image is smaller than the crop.
        WeightsError: if weights are missing or damaged.
        OutputError: if a page exists already or cannot be written.
    """
    crop_px = selection.crop_px or 192
    if not models:
        raise ConfigError("There is no model: give at least one -m LABEL=WEIGHTS.")
    if crop_px not in CROPS_PX:
        raise ConfigError(f"--crop must be {CROPS_PX[0]} to {CROPS_PX[-1]} pixels, but found {crop_px}.")
    records = replace(selection, limit=None).records()
    chosen = find_named(records, images) if images else spread(records, selection.limit or 3)
    degradation = plan_cases(chosen, [scale], selection.degradations)[0].degradation
    if crop_px / scale < CROPS_PX[0] / max(SCALES):
        raise ScaleError(f"A crop of {crop_px} pixels is too small for x{scale:g}: choose a larger --crop.")
    device, precision = compute.resolve()
    if not overwrite:
        refuse_existing(output / INDEX)
    methods = read_methods(models, device)
    loaded = Models(methods, precision, str(device))
    scenes = [open_scene(record, crop_px, mpp) for record in chosen]
    total = len(scenes) + len(FIGURES)
    earlier = images_of(output / INDEX)
    entries: list[Saved | LeftOut] = []
    with atomic_files(output) as folder:
        examples = []
        for scene in scenes:
            pair = pair_of(scene, scale, degradation)
            examples.append(Example(scene, pair, loaded.upscaled(pair, scale)))
            progress(len(examples) / total, "upscaling")
        material = Material(tuple(records), tuple(examples), loaded, scale, degradation)
        for done, figure in enumerate(FIGURES, start=len(scenes) + 1):
            entries += [save(one, folder) if isinstance(one, Drawn) else one for one in figure(material)]
            progress(done / total, "drawing")
        intro = introduction(material, selection.split, by_name=bool(images))
        text = page("Figures by histoscale", intro, entries, methods)
        (folder / INDEX).write_text(text, encoding="utf-8")
        drawn = {path.name for path in folder.glob("*.png")}
    for name in earlier - drawn:
        (output / name).unlink(missing_ok=True)
    return entries


def find_named(records: Sequence[ImageRecord], images: Sequence[str]) -> list[ImageRecord]:
    """Find images by name, in the order of the names.

    Raises:
        ConfigError: if there is no such image.
    """
    for image in images:
        if not any(record.id == image for record in records):
            few = ", ".join([*(record.id for record in records[:3]), *(["..."] if len(records) > 3 else [])])
            raise ConfigError(f"There is no image {image} in the data: choose from {few}.")
    return [record for image in dict.fromkeys(images) for record in records if record.id == image]


def introduction(material: Material, split: str, by_name: bool) -> str:
    """Write the introduction: what the page shows, and how its images were chosen."""
    n, side = len(material.examples), material.examples[0].scene.window.side_px
    of = f" of split {split}" if split and any(record.split for record in material.records) else ""
    how = (
        "chosen by name"
        if by_name
        else "spread evenly over each data set in the order of the data, not chosen by hand"
    )
    return (
        f"{count(n, 'image')}{of}, {how}. Each image shows {RULE}, of {side} x {side} px, downsampled and "
        f"upscaled by every method ({material.setting}, unless a caption says otherwise). Except in Fig. "
        "1d, every pixel is drawn as a square of whole screen pixels, without smoothing. Click on an image "
        "to open it in full size."
    )


def save(drawn: Drawn, folder: Path) -> Saved:
    """Write a figure as a PNG with its caption in the metadata."""
    metadata = {"Title": drawn.section, "Description": f"{drawn.caption} {drawn.credit}".strip()}
    drawn.figure.savefig(folder / f"{drawn.name}.png", dpi=DPI, metadata=metadata)
    width, height = (round(side * CSS_DPI) for side in drawn.figure.get_size_inches())
    return Saved(drawn.name, drawn.section, drawn.caption, drawn.credit, width, height)


def images_of(page: Path) -> set[str]:
    """List the names of the images that an earlier page shows, if there is one."""
    return set(SHOWN.findall(page.read_text(encoding="utf-8"))) if page.exists() else set()
