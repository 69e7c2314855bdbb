"""One table in three forms, and how its numbers are written."""

import math

import pytest

from histoscale.experiments.tables import (
    TextCell,
    TextTable,
    count,
    interval,
    latex_document,
    mean_sd,
    number,
    p_to_thousandth,
    p_value,
    percent,
    signed,
)

TABLE = TextTable(
    heads=["method", ("x2", "PSNR"), ("x2", "SSIM"), ("x3", "PSNR")],
    rows=[["liif*", TextCell("33.1 ± 0.2", is_bold=True, marks="**"), "0.9|1", "-"]],
    caption="Table 1 & more",
    legend="† is 5 %.",
)


def test_markdown_escapes_what_would_be_markup() -> None:
    assert TABLE.markdown().splitlines() == [
        "### Table 1 & more",
        "",
        "| method | x2 PSNR | x2 SSIM | x3 PSNR |",
        "| --- | --- | --- | --- |",
        r"| liif\* | **33.1 ± 0.2**\*\* | 0.9\|1 | - |",
        "",
        "† is 5 %.",
    ]
    assert TABLE.markdown(heading="").startswith("Table 1 & more.\n\n| method")
    assert TextTable(["a"], [["b"]]).grid() == "| a |\n| --- |\n| b |"


def test_latex_writes_a_group_over_its_columns() -> None:
    lines = TABLE.latex().splitlines()
    assert r"\caption{Table 1 \& more. $^{\dagger}$ is 5 \%.}" in lines
    assert r"\begin{tabular}{lccc}" in lines
    groups = r" & \multicolumn{2}{c}{$\times$2} & \multicolumn{1}{c}{$\times$3} \\"
    assert groups in lines
    assert r"method & PSNR & SSIM & PSNR \\" in lines
    assert r"liif$^{*}$ & \textbf{33.1 $\pm$ 0.2}$^{*}$$^{*}$ & 0.9|1 & - \\" in lines
    plain = latex_document([TextTable(["a", "b"], [["1", "2"]], "One")])
    assert plain.startswith("% \\usepackage{booktabs}\n\n\\begin{table}")
    assert "multicolumn" not in plain


def test_a_terminal_gets_plain_text() -> None:
    assert TABLE.texts()[1] == ["liif*", "33.1 ± 0.2**", "0.9|1", "-"]


def test_numbers() -> None:
    assert (number(1.005, 1), number(math.nan, 1)) == ("1.0", "-")
    assert (mean_sd(2, 0.25, 2), mean_sd(2, math.nan, 2)) == ("2.00 ± 0.25", "2.00")
    assert mean_sd(math.nan, 1, 2) == "-"
    assert (signed(0.5, 2), signed(math.nan, 2), interval(-1, 1, 1)) == ("+0.50", "-", "-1.0 to +1.0")
    assert (percent(0.456), percent(0.4, 0.3, 0.5), percent(math.nan)) == ("46%", "40% [30%, 50%]", "-")
    assert (count(1, "image"), count(2, "image")) == ("1 image", "2 images")


@pytest.mark.parametrize(
    ("p", "exact", "rounded"),
    [(0.0234, "0.023", "0.023"), (4.1e-7, "4e-07", "< 0.001"), (0.0, "0", "< 0.001"), (1.0, "1", "1.000")],
)
def test_p_values(p: float, exact: str, rounded: str) -> None:
    assert (p_value(p), p_to_thousandth(p)) == (exact, rounded)
