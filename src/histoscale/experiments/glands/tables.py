"""The tables of a gland segmentation run, from its scores alone."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from histoscale.experiments.downstream.settings import ORIGINAL
from histoscale.experiments.glands.config import LR, WAYS, WORDS, UNetSetting, setting_of
from histoscale.experiments.glands.scores import MEASURES, SIZES, GlandScore, Measure, Size
from histoscale.experiments.glands.statistics import (
    PartScores,
    compare_settings,
    parts_of,
    recovered_shares,
)
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.statistics import MeanSd
from histoscale.experiments.tables import (
    TextTable,
    count,
    interval,
    markdown_document,
    mean_sd,
    p_to_thousandth,
    signed,
)

TITLES: dict[Measure, str] = {"f1": "F1", "dice": "object Dice", "hausdorff": "object Hausdorff, px"}
PLACES: dict[Measure, int] = {"f1": 3, "dice": 3, "hausdorff": 1}
KINDS = {ORIGINAL: "originals", LR: "low resolution", BICUBIC: "bicubic"}


def markdown(scores: Sequence[GlandScore]) -> str:
    """Write every table of every test part, and the remarks on it, in Markdown."""
    blocks = []
    for part in parts_of(scores):
        blocks += [table.markdown(heading="") for table in tables_of(part)]
        blocks += remarks(part)
    return markdown_document(blocks)


def tables_of(part: PartScores) -> list[TextTable]:
    """Make all tables of a part that have rows."""
    makers = (main_table, image_table, recall_table, sides_table, test_table, recovered_table)
    return [table for make in makers if (table := make(part)).rows]


def main_table(part: PartScores) -> TextTable:
    """Make the paper's Table 5 with every setting; the columns are the kinds of images."""
    caption = (
        f"Table 5, {_about(part)}, over all objects of the part, as in the GlaS challenge. The columns of "
        "the paper: Original is the column originals; SISR is the first rows of a model; HR U-Net is the "
        "second rows of a model; Bicubic is the second rows of bicubic or of low resolution, two readings "
        "of the paper"
    )
    return _by_kind(part, caption, {TITLES[m]: partial(_figure, part.pooled, m) for m in MEASURES})


def image_table(part: PartScores) -> TextTable:
    """Make the same table of means over the images."""
    caption = f"The same measures of each image, averaged over the images, {_about(part)}"
    return _by_kind(part, caption, {TITLES[m]: partial(_figure, part.image_mean, m) for m in MEASURES})


def recall_table(part: PartScores) -> TextTable:
    """Make the table of recall by gland size."""
    caption = f"Glands found, {_images(part)}, all seeds together"
    return _by_kind(part, caption, {f"{size} glands": partial(_recall, part, size) for size in SIZES})


def sides_table(part: PartScores) -> TextTable:
    """Make the table of both directions of object Hausdorff, and of the area that was found."""
    caption = (
        f"The two directions of object Hausdorff, and the area that was found, {_images(part)}, all seeds "
        "together. A U-Net that marks less area has fewer pixels that can be far from a gland"
    )
    lines: dict[str, Callable[[UNetSetting], str]] = {
        "area found, of that annotated": lambda setting: _percent(part.sides(setting).area),
        "from found to annotated, px": lambda setting: _distance(part.sides(setting).from_found),
        "from annotated to found, px": lambda setting: _distance(part.sides(setting).from_true),
    }
    return _by_kind(part, caption, lines)


def test_table(part: PartScores) -> TextTable:
    """Make the table of paired tests."""
    rows = [
        (
            setting_name(first),
            setting_name(second),
            TITLES[measure],
            signed(test.difference, PLACES[measure]),
            interval(test.low, test.high, PLACES[measure]),
            p_to_thousandth(test.p),
            p_to_thousandth(p_holm),
        )
        for (first, second, measure), (test, p_holm) in compare_settings(part).items()
    ]
    caption = (
        f"Paired t-tests over images, {_about(part)}: how much better the first setting is (a smaller "
        "Hausdorff distance is better), with a 95 % interval. Many images are neighbouring crops of one "
        "patient, which makes p too small"
    )
    return TextTable(("first", "second", "measure", "better by", "95 %", "p", "p (Holm)"), rows, caption)


def recovered_table(part: PartScores) -> TextTable:
    """Make the table of the recovered shares of the loss by bicubic."""
    rows = [
        (setting_name(own), setting_name(low), TITLES[measure], _percent(share))
        for (own, low, measure), share in recovered_shares(part).items()
    ]
    caption = (
        f"Share of the gap between a bicubic setting and the originals that is recovered, {_about(part)}; "
        "none if bicubic is not worse than the originals"
    )
    return TextTable(("setting", "from", "measure", "recovered"), rows, caption)


def remarks(part: PartScores) -> list[str]:
    """Write the remarks under the tables of a part."""
    lines = [
        f"{model}: this super-resolution model was trained on {part.seen(model)} of these {part.n} images."
        for model in part.models
    ]
    empty = sum(score.found_px == 0 for score in part.scores)
    if empty:
        lines.append(
            f"Nothing was found in {empty} of {len(part.scores)} scored images; their Hausdorff distance is "
            "the image's diagonal."
        )
    return lines


def kind_name(kind: str) -> str:
    """Name a kind of images in a table or figure."""
    return KINDS.get(kind, kind)


def setting_name(setting: UNetSetting) -> str:
    """Name a setting in a table."""
    return f"{kind_name(setting.trained_on)} → {kind_name(setting.tested_on)}"


def _by_kind(part: PartScores, caption: str, lines: dict[str, Callable[[UNetSetting], str]]) -> TextTable:
    """Make a table with a column for each kind of images.

    Args:
        lines: by name, what writes the cell of a setting; each line is repeated for each of `WAYS`.
    """
    rows = [
        (WORDS[way], name, *(text(setting_of(way, kind)) for kind in part.kinds))
        for way in WAYS
        for name, text in lines.items()
    ]
    return TextTable(("", "measure", *map(kind_name, part.kinds)), rows, caption)


def _about(part: PartScores) -> str:
    seeds = len(part.seeds)
    of_seeds = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "1 seed"
    return f"{_images(part)}, {of_seeds}"


def _images(part: PartScores) -> str:
    return f"{part.name}, {count(part.n, 'image')}"


def _figure(
    figure_of: Callable[[UNetSetting, Measure], MeanSd], measure: Measure, setting: UNetSetting
) -> str:
    return mean_sd(*figure_of(setting, measure), PLACES[measure])


def _recall(part: PartScores, size: Size, setting: UNetSetting) -> str:
    detected, glands = part.recall(setting, size)
    share = f" ({100 * detected / glands:.0f} %)" if glands else ""
    return f"{detected} of {glands}{share}"


def _distance(px: float) -> str:
    return "none" if math.isnan(px) else f"{px:.{PLACES['hausdorff']}f}"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.0f} %"
