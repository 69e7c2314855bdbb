"""The paper's claims, checked on scores for which the verdict is known."""

import math
from collections.abc import Callable

import pytest

from histoscale.experiments.compare.claims import Claim, check_claims, check_distances
from histoscale.experiments.compare.frechet import Distance
from histoscale.experiments.compare.score_tables import grids_of
from histoscale.experiments.scoring import Score

Scored = Callable[..., Score]

IMAGES = ["a", "b", "c", "d", "e"]
NOISE = [0.0, 0.01, -0.01, 0.005, 0.0]


def row(scored: Scored, model: str, above: float, noise: float = 1.0, **others: object) -> list[Score]:
    return [
        scored(model, image, 30 + 2 * n + above + noise * NOISE[n], **others)
        for n, image in enumerate(IMAGES)
    ]


def said(claims: list[Claim], table: str, where: str) -> list[tuple[str, str]]:
    return [
        (claim.verdict, claim.evidence) for claim in claims if claim.table == table and where in claim.where
    ]


def test_a_clear_winner_and_a_near_rival(scored: Scored) -> None:
    scores = [*row(scored, "liif", 0.0), *row(scored, "bicubic", -2.0, 2.0), *row(scored, "iste", 1.0, -1.0)]
    claims = check_claims(grids_of(scores))
    best, significant = said(claims, "Table 1", "glas, degradation B, x2 PSNR")
    assert best == ("holds", "liif is nearest, 0.998 dB below")
    assert significant[0] == "holds"
    assert significant[1].startswith("largest p = ")
    sentence = next(claim.sentence for claim in claims if "x2 PSNR" in claim.where)
    assert sentence == "iste is better than the 2 others in this run"


def test_a_rival_ahead(scored: Scored) -> None:
    scores = [*row(scored, "liif", 1.0), *row(scored, "bicubic", -2.0, 2.0), *row(scored, "iste", 0.0, -1.0)]
    best, significant = said(check_claims(grids_of(scores)), "Table 1", "x2 PSNR")
    assert best == ("does not hold", "liif is ahead by 1.002 dB")
    assert significant[0] == "does not hold"
    assert significant[1].startswith("liif is ahead (p = ")


def test_better_but_not_significantly(scored: Scored) -> None:
    scores = [*row(scored, "liif", 0.0), *row(scored, "iste", 0.02, 60.0)]
    best, significant = said(check_claims(grids_of(scores)), "Table 1", "x2 PSNR")
    assert best[0] == "holds"
    assert significant[0] == "does not hold"
    assert "liif is behind (p = 0." in significant[1]


def test_one_image_tests_nothing(scored: Scored) -> None:
    scores = [scored("liif", "a", 30), scored("iste", "a", 31)]
    assert said(check_claims(grids_of(scores)), "Table 1", "x2 PSNR") == [
        ("holds", "liif is nearest, 1.000 dB below"),
        ("not in this run", "too few images to test against liif"),
    ]


def test_absent_rows_are_named(scored: Scored) -> None:
    claims = check_claims(grids_of([*row(scored, "liif", 0.0), *row(scored, "iste-plus", 1.0)]))
    assert {claim.verdict for claim in claims} == {"not in this run"}
    absent = {claim.table: claim.where for claim in claims}
    assert "iste-no-lfi" in absent["Table 4"]
    assert "iste, bicubic" in next(c.where for c in claims if c.table == "Table 1")


@pytest.mark.parametrize(("iste", "verdict"), [(1.9, "holds"), (2.1, "does not hold")])
def test_distances_of_table_3(iste: float, verdict: str) -> None:
    figures = [("bicubic", 1.0), ("liif#1", 1.5), ("liif#2", 2.5), ("lte", math.nan), ("iste", iste)]
    distances = [Distance("tma", "B", 2.4, model, d, 100, "tissue", 96) for model, d in figures]
    claim = Claim(
        "Table 3",
        "tma, degradation B, x2.4 Frechet distance",
        "iste is nearer to the originals than the 1 other in this run",
        verdict,  # type: ignore[arg-type]
        f"iste {iste:.3f}, liif 2.000",
    )
    assert check_distances(distances) == [claim]
    without = check_distances(distances[:-1])
    assert [(claim.table, claim.where, claim.verdict) for claim in without] == [
        ("Table 3", "every cell", "not in this run")
    ]


def test_each_removal_of_table_4_is_a_claim_of_its_own(scored: Scored) -> None:
    scores = [*row(scored, "iste", 0.0, -1.0), *row(scored, "iste-no-tl", -1.0)]
    scores += row(scored, "iste-no-lfi", 1.0)
    claims = [claim for claim in check_claims(grids_of(scores)) if claim.where.endswith("x2 SSIM")]
    assert [(claim.sentence, claim.kind, claim.verdict) for claim in claims] == [
        ("iste is better than iste-no-tl", "order", "holds"),
        ("iste is significantly better than iste-no-tl (p < 0.001, uncorrected)", "significance", "holds"),
        ("iste is better than iste-no-lfi", "order", "does not hold"),
        (
            "iste is significantly better than iste-no-lfi (p < 0.001, uncorrected)",
            "significance",
            "does not hold",
        ),
    ]


def test_table_9_is_about_the_larger_ones(scored: Scored) -> None:
    scores = [*row(scored, "iste", 0.0, -1.0), *row(scored, "liif", -1.0)]
    assert said(check_claims(grids_of(scores)), "Table 9", "x2") == []
    scores += row(scored, "liif-star", 1.0)
    best, _ = said(check_claims(grids_of(scores)), "Table 9", "x2 PSNR")
    assert best == ("does not hold", "liif-star is ahead by 1.002 dB")


def test_only_rivals_of_the_paper_count_and_only_at_scales_they_make(scored: Scored) -> None:
    scores = [*row(scored, "liif", 0.0), *row(scored, "iste", 1.0, -1.0)]
    scores += [*row(scored, "iste-plus", 5.0), *row(scored, "edsr", 5.0, through=3)]
    assert said(check_claims(grids_of(scores)), "Table 1", "x2 PSNR")[0] == (
        "holds",
        "liif is nearest, 0.998 dB below",
    )


@pytest.mark.parametrize(("above", "verdict"), [(1.0, "holds"), (-1.0, "does not hold")])
def test_the_one_cell_in_which_the_paper_is_not_best(scored: Scored, above: float, verdict: str) -> None:
    about = {"scale": 8.0, "dataset": "tma"}
    scores = [*row(scored, "itsrn", above, **about), *row(scored, "iste", 0.0, -1.0, **about)]
    claims = check_claims(grids_of(scores))
    assert [claim.verdict for claim in claims if "x8 SSIM" in claim.where] == [verdict]
    assert next(claim.verdict for claim in claims if "x8 PSNR" in claim.where) != verdict
