"""Inception-v3 in the layout of the published weights, and where FID's variant differs from the usual one."""

import io
from pathlib import Path

import pytest
import torch
from torch import nn

from histoscale.models.base import count_parameters
from histoscale.models.extractors.inception import InceptionFeatures, Mixed7, mean_pool, without_classifier

PUBLISHED_ENTRIES = 566
PUBLISHED_BYTES = 95_628_359
TORCHVISION_PARAMETERS = 23_834_568
"""Of Inception-v3 without its auxiliary classifier, with 1000 classes."""
SHAPES = {
    "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
    "Conv2d_1a_3x3.bn.running_var": (32,),
    "Conv2d_3b_1x1.conv.weight": (80, 64, 1, 1),
    "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
    "Mixed_5d.branch5x5_2.conv.weight": (64, 48, 5, 5),
    "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
    "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
    "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
    "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
    "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
    "Mixed_7b.branch1x1.conv.weight": (320, 1280, 1, 1),
    "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
    "Mixed_7c.branch_pool.bn.weight": (192,),
}


def generated() -> InceptionFeatures:
    """Random weights under which no layer dies and no normalisation is the identity."""
    model = InceptionFeatures().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def published_layout(model: InceptionFeatures) -> dict[str, torch.Tensor]:
    """Build the tensors of the published file: the network and the classifier of 1008 classes."""
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    return {**model.state_dict(), **classifier}


def test_counts_of_the_published_network() -> None:
    model = InceptionFeatures()
    assert count_parameters(model) + 2048 * 1000 + 1000 == TORCHVISION_PARAMETERS
    tensors = published_layout(model)
    assert len(tensors) == PUBLISHED_ENTRIES
    raw = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert 0 < PUBLISHED_BYTES - raw < 100_000  # names and headers of the file


def test_names_and_shapes_of_the_published_file() -> None:
    tensors = InceptionFeatures().state_dict()
    assert {name: tuple(tensors[name].shape) for name in SHAPES} == SHAPES


def test_a_file_in_that_layout_gives_the_same_features() -> None:
    saved, image = generated(), torch.rand(2, 3, 96, 96)
    file = io.BytesIO()
    torch.save(published_layout(saved), file)
    file.seek(0)
    loaded = InceptionFeatures().eval()
    loaded.load_state_dict(without_classifier(torch.load(file, weights_only=True)))
    with torch.inference_mode():
        features = loaded(image)
        assert features.shape == (2, 2048)
        assert torch.equal(features, saved(image))
    assert features.std() > 0


def test_averages_exclude_the_padding() -> None:
    assert torch.equal(mean_pool(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))


@pytest.mark.parametrize("takes_maxima", [False, True])
def test_only_the_last_block_takes_maxima(takes_maxima: bool) -> None:
    model = InceptionFeatures()
    block = model.Mixed_7c if takes_maxima else model.Mixed_7b
    spike = torch.zeros(1, 1, 5, 5)
    spike[0, 0, 2, 2] = 9.0
    assert isinstance(block, Mixed7)
    assert float(block.pool(spike)[0, 0, 1, 1]) == (9.0 if takes_maxima else 1.0)


def test_any_size_is_stretched_to_299() -> None:
    model = generated()
    image = torch.rand(1, 3, 20, 31)
    stretched = nn.functional.interpolate(image, (299, 299), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        torch.testing.assert_close(model(image), model(stretched), rtol=1e-4, atol=1e-4)


def test_equals_torch_fidelity(tmp_path: Path) -> None:
    published = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3",
        reason="torch-fidelity is not installed, or its dependency torchvision",
    )
    model = generated()
    torch.save(published_layout(model), tmp_path / "generated.pth")
    other = published.FeatureExtractorInceptionV3(
        "generated", ["2048"], feature_extractor_weights_path=str(tmp_path / "generated.pth")
    )
    image = torch.randint(256, (1, 3, 299, 299), dtype=torch.uint8)
    with torch.inference_mode():
        # It maps bytes to (x - 128) / 128, where pytorch-fid and we map them to 2 x / 255 - 1.
        torch.testing.assert_close(model(image / 256), other(image)[0], rtol=1e-5, atol=1e-5)
