"""``histoscale figures``: draw every figure that the weights given allow, and the page that shows them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from histoscale.data.manifest import ImageRecord, find_images
from histoscale.errors import ConfigError, ScaleError
from histoscale.experiments.figures.comparisons import branches_removed, error_maps, gallery
from histoscale.experiments.figures.crops import RULE, open_scene, pair_of
from histoscale.experiments.figures.edges import edge_densities
from histoscale.experiments.figures.features import inside_iste
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material, Shown
from histoscale.experiments.figures.methods import Rows
from histoscale.experiments.figures.page import SHOWN, Saved, page
from histoscale.experiments.figures.panels import DPI
from histoscale.experiments.figures.scales import SCALES, many_scales
from histoscale.experiments.images import plan_cases, spread
from histoscale.experiments.methods import read_methods
from histoscale.files import atomic_files, refuse_existing
from histoscale.resources import PrecisionChoice, find_device, find_precision

INDEX = "index.html"
CROPS_PX = range(64, 513)
"""The smallest still has eight pixels a side at the largest scale of Fig. 7; larger ones fill a page."""
CSS_DPI = DPI / 2
"""The page shows pictures at half their pixels, for dense screens."""
FIGURES: tuple[Callable[[Material], Iterator[Drawn | LeftOut]], ...] = (
    edge_densities,
    error_maps,
    many_scales,
    inside_iste,
    branches_removed,
    gallery,
)
"""All that the page can have, in the order of the paper."""
Progress: TypeAlias = Callable[[int, int], None]
"""Called after every image and figure with the number done and their total."""


def figures(
    models: Sequence[str],
    data: Path,
    output: Path,
    *,
    images: Sequence[str] = (),
    scale: float = 4.0,
    degradation: str = "B",
    sets: Sequence[str] = (),
    split: str = "test",
    limit: int = 3,
    crop_px: int = 192,
    mpp: float | None = None,
    precision: PrecisionChoice = "fp32",
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Saved | LeftOut]:
    """Draw the figures and write them with ``index.html`` into ``output``.

    Args:
        models: ``LABEL=WEIGHTS``, see `histoscale.experiments.methods`; a figure that needs labels that
            are not there is left out, with a remark.
        images: names in the data of those to show; by default ``limit`` of each set, evenly spread over it.
        scale: of all figures but Fig. 7.
        crop_px: side of what is shown of an image.
        mpp: micrometres per pixel of images that do not state theirs.
        data, sets, split, degradation, precision, device, overwrite: as of
            `histoscale.experiments.evaluate.evaluate`.

    Raises:
        ConfigError: if there is no model, or a model, image, crop, degradation, device or precision is wrong.
        ScaleError: if the scale is below 1 or no number.
        DataError: if there is no image, or no such set or split.
        InputError: if an image is smaller than the crop.
        WeightsError: if weights are missing or damaged.
        OutputError: if a page is there already or cannot be written.
    """
    if not models:
        raise ConfigError("Wanted at least one model, as LABEL=WEIGHTS, got none.")
    if crop_px not in CROPS_PX:
        raise ConfigError(f"Wanted a crop of {CROPS_PX[0]} to {CROPS_PX[-1]} pixels a side, got {crop_px}.")
    records = find_images(data, sets, split)
    chosen = named(records, images) if images else spread(records, limit)
    kind = plan_cases(chosen, [scale], [degradation])[0].degradation
    if crop_px / scale < CROPS_PX[0] / max(SCALES):
        raise ScaleError(f"A crop of {crop_px} pixels is too small to be made smaller by {scale:g}.")
    place = find_device(device)
    if not overwrite:
        refuse_existing(output / INDEX)
    members = read_methods(models, place)
    rows = Rows(members, find_precision(precision, place), str(place))
    scenes = [open_scene(record, crop_px, mpp) for record in chosen]
    entries: list[Saved | LeftOut] = []
    earlier = pictures_of(output / INDEX)
    with atomic_files(output) as folder:
        shown = []
        for done, scene in enumerate(scenes, start=1):
            pair = pair_of(scene, scale, kind)
            shown.append(Shown(scene, pair, rows.enlarged(pair, scale)))
            if progress is not None:
                progress(done, len(scenes) + len(FIGURES))
        material = Material(tuple(records), tuple(shown), rows, scale, kind)
        for done, figure in enumerate(FIGURES, start=len(scenes) + 1):
            entries += [save(one, folder) if isinstance(one, Drawn) else one for one in figure(material)]
            if progress is not None:
                progress(done, len(scenes) + len(FIGURES))
        text = page(
            "Figures by histoscale", introduction(material, split, by_name=bool(images)), entries, members
        )
        (folder / INDEX).write_text(text, encoding="utf-8")
        drawn = {path.name for path in folder.glob("*.png")}
    for name in earlier - drawn:
        (output / name).unlink(missing_ok=True)
    return entries


def named(records: Sequence[ImageRecord], images: Sequence[str]) -> list[ImageRecord]:
    """The images of these names, in this order.

    Raises:
        ConfigError: if there is no such image.
    """
    for image in images:
        if not any(record.id == image for record in records):
            few = ", ".join(record.id for record in records[:3])
            raise ConfigError(f"There is no image {image} in the data: wanted one of {few}, ...")
    return [record for image in dict.fromkeys(images) for record in records if record.id == image]


def introduction(material: Material, split: str, by_name: bool) -> str:
    """What the page is of, and how its images were chosen."""
    n, side = len(material.shown), material.shown[0].scene.window.side_px
    images = f"{n} image{'s' if n > 1 else ''}"
    of = f" of split {split}" if split and any(record.split for record in material.records) else ""
    how = (
        "chosen by name by whoever drew this page"
        if by_name
        else "evenly chosen over each data set in the order of the data, none picked by hand"
    )
    return (
        f"{images}{of}, {how}. Of each image, {RULE}, {side} x {side} px, made small and enlarged again by "
        f"every method: {material.setting}, except where a caption says otherwise. Except in Fig. 1d, every "
        "pixel is drawn as a square of whole screen pixels, so that nothing is smoothed for show; a click on "
        "a picture opens it in full size."
    )


def save(drawn: Drawn, folder: Path) -> Saved:
    """Write a figure's PNG, with its caption inside."""
    told = {"Title": drawn.section, "Description": f"{drawn.caption} {drawn.credit}".strip()}
    drawn.figure.savefig(folder / f"{drawn.name}.png", dpi=DPI, metadata=told)
    width, height = (round(side * CSS_DPI) for side in drawn.figure.get_size_inches())
    return Saved(drawn.name, drawn.section, drawn.caption, drawn.credit, width, height)


def pictures_of(page: Path) -> set[str]:
    """The names of the pictures that an earlier page shows, if there is one."""
    return set(SHOWN.findall(page.read_text(encoding="utf-8"))) if page.exists() else set()
