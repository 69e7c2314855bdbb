"""Models by name."""

from typing import Any

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.models.base import SuperResolver, count_parameters
from histoscale.models.catalog import MODELS, build, known_arguments


@pytest.mark.parametrize("name", MODELS)
def test_every_name_builds_with_its_defaults(name: str) -> None:
    with torch.device("meta"):
        assert isinstance(build(name), SuperResolver)


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("bicubic", {}, 0),
        ("edsr", {"scale": 2}, 1_369_859),
        ("srmfenet", {"scale": 2, "gates": "released"}, 733_120),
        ("li2021", {"scale": 3}, 7_388_122),
        ("swdnet", {"scale": 2, "fusion": "released"}, 3_158_424),
        ("liif", {"encoder": "swinir"}, 11_949_927),
        ("iste", {"encoder": "swinir"}, 12_739_434),
        ("iste", {"encoder": "swinir", "lfi": "code"}, 12_743_594),
        ("iste-cells", {"encoder": "swinir"}, 12_739_434),
    ],
)
def test_arguments_reach_the_model(name: str, arguments: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(build(name, **arguments)) == parameters


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'vdsr'.*bicubic, .*iste-fast"):
        build("vdsr")


def test_an_unknown_argument_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'iste-fast'.*'width'.*blocks, channels"):
        build("iste-fast", width=3)
    with pytest.raises(ConfigError, match=r"'bicubic'.*'blocks'.*none"):
        build("bicubic", blocks=3)


def test_arguments_of_the_branches_are_known() -> None:
    assert known_arguments("iste")[:3] == ("encoder", "blocks", "channels")
    assert {"keys", "lfi", "texture_decoder"} <= set(known_arguments("iste-cells"))
    assert len(set(known_arguments("iste"))) == len(known_arguments("iste"))


def test_a_value_of_the_wrong_kind_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"'iste-fast'.*blocks = 'many'"):
        build("iste-fast", blocks="many")
