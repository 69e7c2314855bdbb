"""The results as tables of words, each for a test part: what Markdown and LaTeX print alike."""

import math
from collections.abc import Callable, Sequence

from histoscale.experiments.glands.config import (
    BICUBIC,
    LR,
    ORIGINAL,
    WAYS,
    WORDS,
    Setting,
    setting_of,
)
from histoscale.experiments.glands.results import MEASURES, SIZES, GlandScore, Measure
from histoscale.experiments.glands.statistics import Figure, Part, Recall, contests, gaps, parts_of
from histoscale.experiments.tables import TextTable, latex_document, markdown_document

TITLES: dict[Measure, str] = {"f1": "F1", "dice": "object Dice", "hausdorff": "object Hausdorff, px"}
PLACES: dict[Measure, int] = {"f1": 3, "dice": 3, "hausdorff": 1}
KINDS = {ORIGINAL: "originals", LR: "low resolution", BICUBIC: "bicubic"}
HEADS = ("", "measure")


def tables_of(part: Part) -> list[TextTable]:
    """All tables of a part."""
    return [
        main_table(part),
        image_table(part),
        recall_table(part),
        sides_table(part),
        contest_table(part),
        gap_table(part),
    ]


def main_table(part: Part) -> TextTable:
    """The paper's Table 5 with every setting; the columns say which images stand in for the originals."""
    caption = (
        f"Table 5, {_about(part)}: over all objects of the part, as the GlaS challenge measures. "
        "The paper's Original is what stands under originals; SISR the first rows and HR U-Net the second "
        "rows under a model; Bicubic the second rows under bicubic or low resolution, two readings of it"
    )
    return TextTable(_heads(part), _measure_rows(part, part.pooled), caption)


def image_table(part: Part) -> TextTable:
    """The same as means over the images."""
    caption = f"The same as means over the images' own figures, {_about(part)}"
    return TextTable(_heads(part), _measure_rows(part, part.image_mean), caption)


def recall_table(part: Part) -> TextTable:
    """Recall by gland size."""
    rows = [
        (
            WORDS[way],
            f"{size} glands",
            *(_recall(part.recall(setting_of(way, kind), size)) for kind in part.kinds),
        )
        for way in WAYS
        for size in SIZES
    ]
    return TextTable(_heads(part), rows, f"Glands found, {_images(part)}, all seeds together")


def sides_table(part: Part) -> TextTable:
    """The two directions of object Hausdorff, and how much was found."""
    rows = []
    for way in WAYS:
        sides = [part.sides(setting_of(way, kind)) for kind in part.kinds]
        rows += [
            (WORDS[way], "area found, of that annotated", *(_share(one.area) for one in sides)),
            (WORDS[way], "from found to annotated, px", *(_distance(one.from_found) for one in sides)),
            (WORDS[way], "from annotated to found, px", *(_distance(one.from_true) for one in sides)),
        ]
    caption = (
        f"The two directions of object Hausdorff, {_images(part)}, all seeds together, and the "
        "area that was found: what is not marked cannot be far from a gland"
    )
    return TextTable(_heads(part), rows, caption)


def contest_table(part: Part) -> TextTable:
    """Paired tests."""
    rows = []
    for first, second, measure, test, p_holm in contests(part):
        places = PLACES[measure]
        interval = f"{test.low:+.{places}f} to {test.high:+.{places}f}"
        figures = (f"{test.difference:+.{places}f}", interval, _p(test.p), _p(p_holm))
        rows.append((_setting(first), _setting(second), TITLES[measure], *figures))
    caption = (
        f"Paired t-tests over images, {_about(part)}: how much better the first is (a smaller Hausdorff "
        "distance is better), with its 95 % interval. Many images are neighbouring crops of one patient, "
        "which makes p too small"
    )
    return TextTable(("first", "second", "measure", "better by", "95 %", "p", "p (Holm)"), rows, caption)


def gap_table(part: Part) -> TextTable:
    """Shares of the gap recovered."""
    rows = [
        (_setting(gap.setting), _setting(gap.low), TITLES[gap.measure], _share(gap.share))
        for gap in gaps(part)
    ]
    caption = (
        f"Share of the gap between a bicubic setting and the originals that is recovered, {_about(part)}; "
        "none where bicubic is not below the originals"
    )
    return TextTable(("setting", "from", "measure", "recovered"), rows, caption)


def remarks(part: Part) -> list[str]:
    """Sentences that belong under the tables of a part."""
    lines = [
        f"{model}: its super-resolution model was trained on {part.seen(model)} of these {part.n} images."
        for model in part.models
    ]
    blank = sum(s.agreement.found_px == 0 for s in part.scores)
    if blank:
        lines.append(
            f"Nothing was found in {blank} of {len(part.scores)} scored images; the Hausdorff distance there "
            "is the image's diagonal."
        )
    return lines


def kind_name(kind: str) -> str:
    """A kind of images in words."""
    return KINDS.get(kind, kind)


def _about(part: Part) -> str:
    seeds = len(part.seeds)
    many = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "1 seed"
    return f"{_images(part)}, {many}"


def _images(part: Part) -> str:
    return f"{part.name}, {part.n} image{'s' if part.n > 1 else ''}"


def _heads(part: Part) -> tuple[str, ...]:
    return (*HEADS, *map(kind_name, part.kinds))


def _measure_rows(part: Part, figure_of: Callable[[Setting, Measure], Figure]) -> list[tuple[str, ...]]:
    return [
        (
            WORDS[way],
            TITLES[measure],
            *(_figure(figure_of(setting_of(way, kind), measure), measure) for kind in part.kinds),
        )
        for way in WAYS
        for measure in MEASURES
    ]


def _figure(figure: Figure, measure: Measure) -> str:
    places = PLACES[measure]
    spread = "" if math.isnan(figure.spread) else f" ± {figure.spread:.{places}f}"
    return f"{figure.mean:.{places}f}{spread}"


def _recall(recall: Recall) -> str:
    share = f" ({100 * recall.detected / recall.glands:.0f} %)" if recall.glands else ""
    return f"{recall.detected} of {recall.glands}{share}"


def _setting(setting: Setting) -> str:
    return f"{kind_name(setting.trained_on)} → {kind_name(setting.tested_on)}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _distance(px: float) -> str:
    return "none" if math.isnan(px) else f"{px:.{PLACES['hausdorff']}f}"


def _share(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.0f} %"


# The tables as Markdown and LaTeX: files made from the scores alone.


TABLES = ("tables.md", "tables.tex")


def texts_of(scores: Sequence[GlandScore]) -> dict[str, str]:
    """The content of `TABLES`."""
    tables = [(part, [table for table in tables_of(part) if table.rows]) for part in parts_of(scores)]
    blocks = [
        block
        for part, own in tables
        for block in (*(table.markdown(heading="") for table in own), *remarks(part))
    ]
    latex = latex_document(table for _, own in tables for table in own)
    return dict(zip(TABLES, (markdown_document(blocks), latex), strict=True))
