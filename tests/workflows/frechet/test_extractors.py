"""Loading extractors: the one that ships, a file in the published layout, and every way to be refused."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from histoscale.errors import WeightsError
from histoscale.models.base import count_parameters
from histoscale.models.extractors.inception import InceptionFeatures
from histoscale.workflows.frechet.extractors import (
    INCEPTION_FILE,
    INCEPTION_SHA256,
    TISSUE_FILE,
    load_extractor,
    load_inception,
    load_tissue,
)


def test_what_ships_loads_and_is_as_its_card_says() -> None:
    extractor, card = load_extractor(), json.loads(TISSUE_FILE.with_suffix(".json").read_text())
    assert (extractor.name, card["parameters"]) == (card["name"], count_parameters(extractor))
    assert not extractor.training
    assert {source["split"] for source in card["data"]} == {"train"}
    assert TISSUE_FILE.stat().st_size < 3 * 2**20


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / TISSUE_FILE.name
    shutil.copy(TISSUE_FILE.with_suffix(".json"), tmp_path)
    copy.write_bytes(TISSUE_FILE.read_bytes()[:-2] + b"\0\1")
    with pytest.raises(WeightsError, match="sha256"):
        load_tissue(copy)


def test_the_checksum_is_the_one_in_the_published_name() -> None:
    assert INCEPTION_SHA256[:8] == INCEPTION_FILE.removesuffix(".pth").split("-")[-1]


def test_a_file_in_the_published_layout(tmp_path: Path) -> None:
    saved, path = InceptionFeatures().eval(), tmp_path / "generated.pth"
    torch.save({**saved.state_dict(), "fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)}, path)
    loaded = load_inception(path, hashlib.sha256(path.read_bytes()).hexdigest())
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    with pytest.raises(WeightsError, match=re.escape(f"sha256 {INCEPTION_SHA256[:16]}")):
        load_extractor("inception", path)


def test_a_pickle_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / INCEPTION_FILE
    path.write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(WeightsError, match="Wanted the weights with sha256 6726825d"):
        load_extractor("inception", path)


def test_inception_without_weights_says_which(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=INCEPTION_FILE):
        load_extractor("inception")
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_extractor("inception", tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="but tissue was asked for"):
        load_extractor("tissue", tmp_path / "absent.pth")
