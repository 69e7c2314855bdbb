"""Refined context fusion against its definition, and as released."""

import torch
from torch import nn

from histoscale.models.baselines.swdnet_fusion import ChannelGate, ContextFusion


def test_gate_multiplies_each_channel_by_one_share() -> None:
    gate = ChannelGate(4, nn.ReLU(), nn.Sigmoid())
    x = torch.rand(2, 4, 3, 5) + 1
    shares = gate(x) / x
    torch.testing.assert_close(shares, shares[:, :, :1, :1].expand_as(shares))
    assert ((shares > 0) & (shares < 1)).all()


def test_context_equals_its_definition_position_by_position() -> None:
    fusion = ContextFusion(4).double()
    for parameter in fusion.transform.parameters():
        nn.init.normal_(parameter)
    own, other = torch.rand(2, 2, 4, 3, 5, dtype=torch.float64)
    made = fusion(own, other)
    first, _, second = fusion.transform
    for n in range(2):
        weights = {
            (i, j): (own[n, :, i, j] @ fusion.attend.weight[0, :, 0, 0] + fusion.attend.bias).exp()
            for i in range(3)
            for j in range(5)
        }
        pooled = sum(w * other[n, :, i, j] for (i, j), w in weights.items()) / sum(weights.values())
        hidden = (first.weight[:, :, 0, 0] @ pooled + first.bias).clamp(min=0)
        context = second.weight[:, :, 0, 0] @ hidden + second.bias
        torch.testing.assert_close(made[n], fusion.gate(own)[n] + context[:, None, None])


def test_at_first_and_as_released_nothing_comes_from_the_other_stream() -> None:
    own, other = torch.rand(2, 1, 4, 3, 5)
    for released in (False, True):
        fusion = ContextFusion(4, released)
        torch.testing.assert_close(fusion(own, other), fusion.gate(own))
