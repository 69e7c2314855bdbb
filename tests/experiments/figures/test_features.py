"""Figs. 8 and 9 are drawn from the model's own parts, of the right model."""

from collections.abc import Callable

import numpy as np
import torch

from histoscale.experiments.figures.features import as_image, find_iste, inside_iste, mean_and_sd, shaded
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material

Make = Callable[..., Material]


def test_features_of_each_set_then_the_decoders_of_all(make: Make) -> None:
    drawn = list(inside_iste(make("liif", "iste")))
    assert [one.name for one in drawn if isinstance(one, Drawn)] == [
        "fig08-1-texture",
        "fig08-2-texture",
        "fig09-decoders",
    ]
    features, _, decoders = (one for one in drawn if isinstance(one, Drawn))
    titles = [axes.texts[-1].get_text() for axes in features.figure.axes]
    assert sum(title.startswith("$F_{LR}$") for title in titles) == 5
    assert sum(title.startswith("$F_{TL}$") for title in titles) == 5
    assert "F_LR, the 8 input channels" in features.caption
    assert len(decoders.figure.axes) == 2 * 5
    assert decoders.credit.startswith("iste ")


def test_the_sum_that_is_shown_is_the_model_s_output(make: Make) -> None:
    material = make("iste")
    drawn = list(inside_iste(material))[-1]
    assert isinstance(drawn, Drawn)
    shown = np.asarray(drawn.figure.images[3].get_array())
    made = material.examples[0].upscaled["iste"].astype(int)
    zoom = len(shown) // len(made)
    assert np.abs(shown[::zoom, ::zoom].astype(int) - made).max() <= 1


def test_the_row_called_iste_comes_first_and_single_branches_never(make: Make) -> None:
    found = find_iste(make("iste-tl-ltd", "iste-lfi-lpd", "iste"))
    assert found is not None
    assert found[0] == "iste"
    assert find_iste(make("iste-tl-ltd", "liif")) is None


def test_without_an_iste_both_are_left_out(make: Make) -> None:
    remarks = list(inside_iste(make("liif", "edsr")))
    assert all(isinstance(remark, LeftOut) for remark in remarks)
    assert [remark.section[:6] for remark in remarks] == ["Fig. 8", "Fig. 9"]


def test_answers_are_grey_at_zero() -> None:
    answer = torch.tensor([-2.0, -1.0, 0.0, 1.0]).expand(1, 3, 1, 4)
    assert as_image(answer)[0, :, 0].tolist() == [0, 0, 128, 255]
    assert mean_and_sd(torch.full((1, 3, 2, 2), 0.5)) == "+63.8 ± 0.0"


def test_a_flat_map_is_one_colour() -> None:
    assert len(np.unique(shaded(np.full((3, 3), 2.0), (6, 6)).reshape(-1, 3), axis=0)) == 1
