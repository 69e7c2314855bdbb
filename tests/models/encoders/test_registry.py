"""Encoders by name."""

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.models.base import count_parameters
from histoscale.models.encoders.registry import build_encoder


@pytest.mark.parametrize(
    ("name", "parameters"), [("edsr", 1_220_416), ("rdn", 21_973_952), ("swinir", 11_603_044)]
)
def test_a_name_alone_gives_the_published_size(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(build_encoder(name)) == parameters


@pytest.mark.parametrize("name", ["edsr", "rdn", "swinir"])
def test_channels_are_the_features_of_the_output(name: str) -> None:
    encoder = build_encoder(name, 1, 12)
    assert encoder.channels == encoder(torch.rand(1, 3, 9, 10)).shape[1] == 12


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'hat'.*edsr, rdn, swinir"):
        build_encoder("hat")
