"""Each loss against its definition, and the sentences for a model that cannot answer."""

from typing import Any

import pytest
import torch

from histoscale.config import LossTable, Run
from histoscale.data.pairs import Pair
from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.baselines.li2021 import Li2021
from histoscale.models.baselines.swdnet import SWDNet, haar
from histoscale.models.catalog import build
from histoscale.models.iste.plus import ISTEPlus
from histoscale.training.losses import (
    AdversarialObjective,
    Objective,
    ResidualObjective,
    WaveletObjective,
    objective_for,
)

PLUS = {"blocks": 1, "channels": 8, "waves": 3, "width": 8, "hidden": 8, "window_px": 6}
SWDNET = {"scale": 2, "channels": 4, "blocks": 1, "width": 4}


def pair(scale: int = 2, side: int = 8) -> Pair:
    lr = torch.randint(256, (2, 3, side, side), dtype=torch.uint8)
    target = torch.randint(256, (2, 3, side * scale, side * scale), dtype=torch.uint8)
    none = torch.empty(2, 0, 2, dtype=torch.float64)
    return Pair(lr, target, none, torch.full((2, 2), 1 / scale, dtype=torch.float64))


def run(name: str, arguments: dict[str, Any], **tables: Any) -> Run:
    data = {"root": "/", "scales": [2], "patch_px": 8, **tables.pop("data", {})}
    values = {"data": data, "training": {"steps": 1}, "validation": {"scales": [2]}, **tables}
    return Run.model_validate({"name": "x", "model": {"name": name, "arguments": arguments}, **values})


def test_equation_1_is_the_mean_error_on_the_doubled_range() -> None:
    one = pair()
    wanted = 2 * (bicubic_resize(one.lr / 255, (16, 16)) - one.target / 255).abs().mean()
    torch.testing.assert_close(Objective(Bicubic())(one, 0.0), wanted)


def test_wavelets_come_after_the_spatial_stage() -> None:
    model = SWDNet(**SWDNET)
    one, objective = pair(), WaveletObjective(model, LossTable(kind="wavelets", spatial_share=0.5))
    target = one.target / 255
    early = objective(one, 0.49)
    torch.testing.assert_close(early, (model.spatial(one.lr / 255) - target).abs().sum())
    early.backward()
    assert {p.grad is None for p in model.wavelets.parameters()} == {True}
    assert {p.grad is None for p in model.spatial.parameters()} == {False}
    stages = model.stages(one.lr / 255)
    late = (stages.coefficients - haar(target)).abs().sum()
    late = late + 0.1 * (stages.output - target).abs().sum() + 0.1 * (stages.spatial - target).abs().sum()
    torch.testing.assert_close(objective(one, 0.5), late)


def test_each_of_two_adversaries_learns_from_its_own_share_of_the_loss() -> None:
    model = Li2021(2, 4)
    one, objective = (
        pair(),
        AdversarialObjective(model, LossTable(kind="adversarial", adversarial_weight=0.3)),
    )
    with torch.no_grad():
        for parameter in objective.adversary.parameters():
            parameter.mul_(4)  # so that its verdict depends on the image
    loss = objective(one, 0.0)
    loss.backward()
    target, enlarged = one.target / 255, bicubic_resize(one.lr / 255, (16, 16))
    made = model.sharpen(enlarged)
    generator = 0.3 * (objective.adversary(made, enlarged) - 1).square().mean()
    generator = generator + 0.7 * (made - target).abs().mean()
    real, false = objective.adversary(target, enlarged), objective.adversary(made.detach(), enlarged)
    judge = ((real - 1).square().mean() + false.square().mean()) / 2
    torch.testing.assert_close(loss, generator + judge)
    for network, own in ((model, generator), (objective.adversary, judge)):
        parameters = list(network.parameters())
        wanted = torch.autograd.grad(own, parameters, retain_graph=True)
        for parameter, gradient in zip(parameters, wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)


def test_the_curriculum_makes_its_own_inputs() -> None:
    model = Li2021(4, 4)
    objective = AdversarialObjective(model, LossTable(kind="adversarial", curriculum=True))
    one = pair(4, side=4)
    torch.manual_seed(1)
    first = objective(one, 0.0)
    torch.manual_seed(1)
    other = one._replace(lr=torch.zeros_like(one.lr))
    assert torch.equal(objective(other, 0.0), first)
    torch.manual_seed(1)
    assert not torch.equal(objective(one, 0.5), first)


def plus_and_its_loss() -> tuple[ISTEPlus, ResidualObjective]:
    model = ISTEPlus(**PLUS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model, ResidualObjective(model, LossTable(kind="residual", base_share=0.3, points=50))


def test_the_base_of_iste_plus_learns_alone_at_first() -> None:
    model, objective = plus_and_its_loss()
    one = pair(3)
    early = objective(one, 0.29)
    torch.testing.assert_close(early, Objective(model.base)(one, 0.0))
    early.backward()
    assert {p.grad is None for p in model.branches.parameters()} == {True}
    assert {p.grad is None for p in model.base.parameters()} == {False}


def test_then_the_sum_learns_at_some_pixels_and_the_base_at_all() -> None:
    model, objective = plus_and_its_loss()
    one, n = pair(3), 24
    torch.manual_seed(1)
    late = objective(one, 0.3)
    torch.manual_seed(1)
    chosen = torch.randint(n * n, (2, 50))
    axis = output_positions(n, 8)
    positions = torch.stack((axis[chosen // n], axis[chosen % n]), dim=-1)
    pixels = one.target.flatten(2).gather(2, chosen[:, None].expand(-1, 3, -1)).transpose(1, 2)
    sampled = Objective(model)(Pair(one.lr, pixels, positions, one.cell), 0.0)
    torch.testing.assert_close(late, sampled + Objective(model.base)(one, 0.0))
    late.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_run_file_chooses() -> None:
    plus = run("iste-plus", PLUS, loss={"kind": "residual"})
    assert type(objective_for(plus, ISTEPlus(**PLUS))) is ResidualObjective
    swdnet = run("swdnet", SWDNET, loss={"kind": "wavelets"})
    assert type(objective_for(swdnet, build("swdnet", **SWDNET))) is WaveletObjective
    li = run("li2021", {"scale": 2}, loss={"kind": "adversarial"})
    assert type(objective_for(li, Li2021(2, 4))) is AdversarialObjective
    assert type(objective_for(run("bicubic", {}), Bicubic())) is Objective


@pytest.mark.parametrize(
    ("name", "arguments", "tables", "message"),
    [
        ("edsr", {}, {"loss": {"kind": "wavelets"}}, "wavelets.* swdnet; .*l1.* edsr"),
        (
            "edsr",
            {},
            {"loss": {"kind": "adversarial"}},
            "adversarial.* li2021; .*l1.* edsr",
        ),
        (
            "swdnet",
            {},
            {"loss": {"kind": "wavelets"}, "data": {"patch_px": 10}},
            "patch_px is 10, .* multiple of 4",
        ),
        (
            "edsr",
            {},
            {"loss": {"kind": "residual"}},
            "residual.* iste-plus; .*l1.* edsr",
        ),
        ("edsr", {}, {"data": {"queries": 9}}, r"data\.queries is 9, but edsr needs 0"),
        (
            "edsr",
            {},
            {"data": {"scales": []}},
            r"data\.scales is a range, .* x2 only: .*\[2\]",
        ),
        ("edsr", {}, {"data": {"scales": [2, 3]}}, r"data\.scales is 2, 3, .*\[2\]"),
        ("edsr", {}, {"validation": {}}, r"validation\.scales is 2, 3, 4, .*\[2\]"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    name: str, arguments: dict[str, Any], tables: dict[str, Any], message: str
) -> None:
    arguments = {"scale": 2, **arguments}
    with torch.device("meta"):
        model = build(name, **arguments)
    with pytest.raises(ConfigError, match=message) as caught:
        objective_for(run(name, arguments, **tables), model)
    assert "\n" not in str(caught.value)


def test_residual_draws_its_own_pixels() -> None:
    sampled = run("iste-plus", PLUS, loss={"kind": "residual"}, data={"queries": 9})
    with pytest.raises(ConfigError, match=r"data\.queries is 9, .*residual.* needs 0"):
        objective_for(sampled, ISTEPlus(**PLUS))


# The growing factor, and what it does to images.
