"""Error maps, single branches, many scales and the gallery: which figures, of what, with which numbers."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from histoscale.experiments.figures.comparisons import (
    SCALES,
    absolute_error,
    branches_removed,
    error_maps,
    gallery,
    many_scales,
)
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material, Models
from histoscale.experiments.methods import Method
from histoscale.metrics.psnr import psnr_whole

Make = Callable[..., Material]


def words_in(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_error_is_absolute_and_the_mean_over_colours() -> None:
    truth = np.zeros((1, 2, 3), np.uint8)
    made = np.array([[[30, 0, 0], [255, 255, 255]]], np.uint8)
    assert absolute_error(made, truth).tolist() == [[10, 255]]
    assert absolute_error(truth, made).tolist() == [[10, 255]]


def test_error_maps_are_of_one_image_a_set_with_every_method_that_can(make: Make) -> None:
    material = make("iste", "edsr", scale=3)
    drawn = list(error_maps(material))
    assert [one.name for one in drawn] == ["fig06-1-errors", "fig06-2-errors"]
    assert drawn[0].caption.startswith("a a1: 64 x 64 px at x ")
    assert drawn[1].caption.startswith("b b1: ")
    assert "x3, degradation B" in drawn[0].caption
    assert "x3 is not supported: edsr" in drawn[0].caption
    assert drawn[0].credit == material.models.credit(["iste"], [3])
    written = words_in(drawn[0].figure)
    pair, made = material.examples[0].pair, material.examples[0].upscaled
    assert set(made) == {"bicubic", "iste"}
    for image in made.values():
        assert any(word.startswith(f"{psnr_whole(image, pair.truth):.2f} dB") for word in written)
        assert f"mean error {absolute_error(image, pair.truth).mean():.2f}" in written


def test_branches_are_compared_where_all_three_are_there(make: Make) -> None:
    drawn = list(branches_removed(make("iste", "iste-tl-ltd", "iste-lfi-lpd", "liif")))
    assert [one.name for one in drawn] == ["fig10-1-branches", "fig10-2-branches"]
    assert isinstance(drawn[0], Drawn)
    written = words_in(drawn[0].figure)
    assert {"no feature branch", "no texture branch", "both branches"} < set(written)
    assert "liif" not in written


def test_a_lacking_branch_is_named(make: Make) -> None:
    (remark,) = branches_removed(make("iste"))
    assert isinstance(remark, LeftOut)
    assert remark.reason == "Left out: it needs the rows -m iste-tl-ltd=WEIGHTS, -m iste-lfi-lpd=WEIGHTS."


@pytest.mark.parametrize(("scale", "methods"), [(2.0, ["bicubic", "edsr"]), (2.4, ["bicubic"])])
def test_the_gallery_shows_every_image(scale: float, methods: list[str], make: Make) -> None:
    drawn = list(gallery(make("edsr", scale=scale)))
    assert [one.name for one in drawn] == [f"gallery-{number:02d}" for number in (1, 2, 3, 4)]
    titles = [word for word in words_in(drawn[0].figure) if word in ("bicubic", "edsr")]
    assert titles == methods
    assert (drawn[0].credit == "") == (methods == ["bicubic"])
    assert "µm" in " ".join(words_in(drawn[0].figure))
    assert "µm" not in " ".join(words_in(drawn[3].figure))


# Fig. 7: two rows and their details at seven scales, or the reason why not.


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
    methods = material.models.methods
    models = Models([methods["iste"], Method("liif", methods["edsr"].files)])
    (remark,) = many_scales(Material(material.records, material.examples, models, 2.0, "B"))
    assert remark == LeftOut(remark.section, "Left out: liif does not support these scales.")
