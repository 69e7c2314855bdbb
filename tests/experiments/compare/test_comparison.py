"""Valid and invalid scores of a comparison, and the texts made from them."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from histoscale.errors import ConfigError, DataError
from histoscale.experiments.compare.comparison import Comparison, compared
from histoscale.experiments.compare.paper_tables import PRESETS, Preset
from histoscale.experiments.compare.report import latex, markdown, overview
from histoscale.experiments.scoring import Score
from histoscale.experiments.tables import p_value

Scored = Callable[..., Score]
ONE = Preset("scales", "One", (2.0,))


@pytest.fixture
def scores(scored: Scored) -> list[Score]:
    rows = [("bicubic", 30.0), ("liif*#1", 31.0), ("liif*#2", 31.5), ("iste", 32.0)]
    jitter = {"a": 0.0, "b": 1.0, "c": -1.0}
    found = [
        scored(model, image, psnr + d * psnr / 31, weights="f" * (model != "bicubic"))
        for model, psnr in rows
        for image, d in jitter.items()
    ]
    return [*found, *(scored("edsr", image, math.nan) for image in jitter)]


@pytest.fixture
def comparison(scores: list[Score]) -> Comparison:
    return compared(scores, [ONE], "iste")


def test_the_last_row_is_the_reference_where_none_is_named(scores: list[Score]) -> None:
    assert compared(scores[:-3], [ONE]).reference == "iste"
    assert compared(scores, [ONE], "liif*").reference == "liif*"


def test_no_such_reference(scores: list[Score]) -> None:
    with pytest.raises(ConfigError, match=r"no row liif to test against: .* bicubic, liif\*, iste"):
        compared(scores, [ONE], "liif")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: [*s, s[0]], r"bicubic was scored twice on glas a at x2"),
        (lambda s: [*s[:9], replace(s[9], weights="other"), *s[10:]], "iste at x2 had other weights on a"),
        (lambda s: [*s[:9], replace(s[9], through=3), *s[10:]], "iste at x2 had other weights on a"),
        (lambda s: [*s[:9], *s[10:]], r"iste was not scored on glas a at x2.*--resume"),
        (lambda s: [], "no scores"),
        (lambda s: [replace(one, scale=3.0) for one in s], r"no scores at x2: choose among x3\."),
    ],
)
def test_scores_of_different_comparisons_are_refused(
    scores: list[Score], spoil: Callable[[list[Score]], list[Score]], words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        compared(spoil(scores), [ONE])
    assert "\n" not in str(caught.value)


def test_scores_with_and_without_seeds_are_not_one_row(scores: list[Score]) -> None:
    with pytest.raises(ConfigError, match="Row iste has models with and without a seed"):
        compared([*scores, *(replace(s, model="iste#2") for s in scores[:3])], [ONE])


def test_a_model_may_lack_a_scale_altogether(scores: list[Score]) -> None:
    more = [replace(score, scale=3.0) for score in scores[:3]]
    made = compared([*scores, *more], [replace(ONE, scales=(2.0, 3.0))], "iste")
    assert [cell.is_empty for cell in made.tables[0].rows["iste"]] == [False, False, True, True]


def test_markdown(comparison: Comparison) -> None:
    lines = markdown(comparison).splitlines()
    assert lines[0].startswith("Of the paper's claims ")
    assert "| method | x2 PSNR | x2 SSIM |" in lines
    assert "| bicubic | 30.00 ± 0.97\\*\\* | 0.3000 ± 0.0097\\*\\* |" in lines
    assert "| liif\\* (2 seeds) | 31.25 ± 1.01\\*\\* | 0.3125 ± 0.0101\\*\\* |" in lines
    assert "| iste | **32.00 ± 1.03** | **0.3200 ± 0.0103** |" in lines
    assert "| edsr | - | - |" in lines
    assert "| liif\\* (2 seeds) | 0.354 | 0.00354 |" in lines
    test = next(
        line for line in lines if line.startswith("| bicubic | x2 | PSNR | 3 | +2.000 dB | +1.840 to")
    )
    against = comparison.tables[0].rows["bicubic"][0].against
    assert against is not None
    assert against.holm != against.test.p
    assert test.endswith(f"| {p_value(against.test.p)} | {p_value(against.holm)} |")
    claim = "| holds | Table 1 | glas, degradation B, x2 PSNR | iste is better than the 1 other in this run |"
    assert any(line.startswith(claim) for line in lines)


def test_the_overview_comes_first(comparison: Comparison) -> None:
    assert markdown(comparison).startswith(overview(comparison).rstrip())
    assert "### Tests against" not in overview(comparison)


def test_marks_follow_p(scored: Scored) -> None:
    figures = {"far": 3.0, "near": 0.3, "same": 0.0, "iste": 0.0}
    noise = {"far": 0.01, "near": 0.15, "same": 0.5, "iste": 0.0}
    rows = [
        scored(model, image, 30 - below + noise[model] * d)
        for model, below in figures.items()
        for image, d in zip("abcd", (1, -1, 0.5, -0.5), strict=True)
    ]
    rows += [scored("edsr", image, 29 + d, through=3) for image, d in zip("abcd", (4, -4, 2, 0), strict=True)]
    text = latex(compared(rows, [ONE], "iste"))
    line = {row.split(" & ")[0]: row.split(" & ")[1] for row in text.splitlines() if row.endswith("\\\\")}
    assert line["far"].endswith("$^{*}$$^{*}$")
    assert line["near"].endswith("$^{*}$")
    assert not line["near"].endswith("$^{*}$$^{*}$")
    assert not line["same"].endswith("$^{*}$")
    assert line["edsr"].endswith("$^{\\ddagger}$")


def test_latex(comparison: Comparison) -> None:
    lines = latex(comparison).splitlines()
    assert "iste & \\textbf{32.00 $\\pm$ 1.03} & \\textbf{0.3200 $\\pm$ 0.0103} \\\\" in lines
    assert "edsr & - & - \\\\" in lines
    assert "liif$^{*}$ (2 seeds)" in latex(comparison)
    assert " & \\multicolumn{2}{c}{$\\times$2} \\\\" in lines
    assert lines.count("\\begin{table}") == lines.count("\\end{table}") == 2
    assert not set("±‡×é") & set(latex(comparison))


def test_columns_out_of_distribution_are_marked(scores: list[Score]) -> None:
    made = compared([replace(score, scale=6.0) for score in scores], [PRESETS["table1"]], "iste")
    assert "x6 PSNR (out)" in markdown(made)
    assert "x4 PSNR |" in markdown(made)
    assert "$\\times$6" in latex(made)
    assert "PSNR (out)" in latex(made)
