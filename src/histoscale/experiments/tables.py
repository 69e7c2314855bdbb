"""The scores of an evaluation as Markdown, made from the per-image rows alone: no figure is typed by hand."""

import math
from collections.abc import Iterable, Sequence

from histoscale.experiments.scores import BICUBIC, Score, Summary, summarise

# A table in Markdown.


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A line of headings, a rule, a line a row; cells stand as they are given."""
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


FULL_COLUMNS = (
    *("scale", "model", "PSNR shaved", "PSNR whole", "SSIM 7x7", "SSIM Gaussian"),
    *("gain shaved", "gain whole", "below bicubic"),
)


def markdown(scores: Sequence[Score]) -> str:
    """The tables of an evaluation: gain over bicubic at a glance, then every figure, group by group."""
    summaries = summarise(scores)
    tables = [gain_table(summaries)]
    for key in dict.fromkeys((s.group, s.degradation) for s in summaries):
        tables.append(full_table([s for s in summaries if (s.group, s.degradation) == key]))
    return "\n\n".join(tables) + "\n"


def gain_table(summaries: Sequence[Summary]) -> str:
    """Whole-image PSNR and the gain over bicubic: a line a group, degradation and model, a column a scale."""
    scales = sorted({s.scale for s in summaries})
    rows = []
    for key in dict.fromkeys((s.group, s.n, s.degradation, s.model) for s in summaries if s.model != BICUBIC):
        row = {s.scale: s for s in summaries if (s.group, s.n, s.degradation, s.model) == key}
        cells = [_gain_cell(row[scale]) if scale in row else "-" for scale in scales]
        rows.append([key[0], str(key[1]), key[2], key[3], *cells])
    parts = [
        "### PSNR of the whole image in dB and, in brackets, the gain over bicubic",
        markdown_table(["images", "n", "degradation", "model", *(f"x{scale:g}" for scale in scales)], rows),
    ]
    if any(s.below for s in summaries):
        parts.append("† below bicubic on at least one image, in either protocol.")
    if any(s.through for s in summaries):
        parts.append("‡ a fixed-scale model's image, taken to size by bicubic.")
    return "\n\n".join(parts)


def full_table(summaries: Sequence[Summary]) -> str:
    """Every measure as mean ± sd, the gains and the number of images below bicubic, for one group."""
    first = summaries[0]
    images = f"{first.n} image{'s' if first.n > 1 else ''}"
    rows = ([f"x{s.scale:g}", _name(s), *_measures(s), *_against_bicubic(s)] for s in summaries)
    title = f"### {first.group} ({images}), degradation {first.degradation}"
    return f"{title}\n\n{markdown_table(FULL_COLUMNS, rows)}"


def _measures(summary: Summary) -> list[str]:
    return [_mean_sd(m, sd, n) for m, sd, n in zip(summary.mean, summary.sd, (2, 2, 4, 4), strict=True)]


def _against_bicubic(summary: Summary) -> list[str]:
    """Both gains, and how many images are below it; nothing of bicubic itself."""
    if summary.model == BICUBIC:
        return ["", "", ""]
    below = f"**{summary.below} of {summary.n}**" if summary.below else "0"
    return [_signed(summary.gain_shaved), _signed(summary.gain_whole), below]


def _mean_sd(mean: float, sd: float, places: int) -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:.{places}f}" + ("" if math.isnan(sd) else f" ± {sd:.{places}f}")


def _name(summary: Summary) -> str:
    """The model's name, and what it was resized from."""
    return f"{summary.model} (x{summary.through}, bicubic)" if summary.through else summary.model


def _signed(gain: float) -> str:
    return "-" if math.isnan(gain) else f"{gain:+.2f}"


def _gain_cell(summary: Summary) -> str:
    if math.isnan(summary.mean[1]):
        return "-"
    marks = ("†" if summary.below else "") + ("‡" if summary.through else "")
    return f"{summary.mean[1]:.2f} ({summary.gain_whole:+.2f}){marks}"
