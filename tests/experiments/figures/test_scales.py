"""Fig. 7: two rows and their details at seven scales, or the reason why not."""

from collections.abc import Callable

from histoscale.experiments.figures.figure import Drawn, LeftOut, Material
from histoscale.experiments.figures.methods import Rows
from histoscale.experiments.figures.scales import SCALES, many_scales
from histoscale.experiments.methods import Method

Make = Callable[..., Material]


def test_liif_is_above_iste_and_details_below(make: Make) -> None:
    (drawn,) = many_scales(make("iste", "liif"))
    assert isinstance(drawn, Drawn)
    titles = [axes.texts[0].get_text() for axes in drawn.figure.axes]
    row = [f"{{}} x{scale:g}" for scale in SCALES]
    liif, iste = ([word.format(label) for word in row] + ["original"] for label in ("liif", "iste"))
    assert titles == [*liif, *iste, *liif, *iste]
    boxes = [len(axes.patches) for axes in drawn.figure.axes]
    assert boxes == [2] * 16 + [0] * 16  # blue on white
    assert "21 x 21 px" in drawn.caption
    assert drawn.credit.count(";") == 1


def test_a_lacking_row_is_named(make: Make) -> None:
    (remark,) = many_scales(make("iste"))
    assert remark == LeftOut(remark.section, "Left out: it needs the row -m liif=WEIGHTS.")


def test_a_model_of_one_scale_called_liif(make: Make) -> None:
    material = make("iste", "edsr")
    members = material.rows.members
    rows = Rows([members["iste"], Method("liif", members["edsr"].files)])
    (remark,) = many_scales(Material(material.records, material.shown, rows, 2.0, "B"))
    assert remark == LeftOut(remark.section, "Left out: liif does not make its scales.")
