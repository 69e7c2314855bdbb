"""SwinIR's encoder: size, windows, tiles and export."""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from torch import Tensor

from histoscale.models.base import count_parameters
from histoscale.models.encoders.swinir import (
    StochasticDepth,
    SwinIREncoder,
    WindowAttention,
    cut_windows,
    mirrored_index,
)


def small(blocks: int = 1, layers: int = 2) -> SwinIREncoder:
    return SwinIREncoder(blocks, 8, layers=layers, embedding=12, heads=2).eval()


def test_parameters_are_those_of_swinir_m() -> None:
    with torch.device("meta"):
        assert count_parameters(SwinIREncoder()) == 11_603_044


def test_stochastic_depth_grows_to_a_tenth_over_all_layers() -> None:
    with torch.device("meta"):
        rates = [layer.drop.rate for block in SwinIREncoder().blocks for layer in block.layers]
    assert rates == pytest.approx([0.1 * i / 35 for i in range(36)])


def test_stochastic_depth_drops_samples_and_keeps_the_mean() -> None:
    drop = StochasticDepth(0.25)
    out = drop(torch.ones(4000, 2))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (out[:, 0] == out[:, 1]).all()
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert (drop.eval()(torch.ones(3, 2)) == 1).all()


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (5, 19), (17, 8)])
def test_any_size_gives_features_of_that_size(size: tuple[int, int]) -> None:
    assert small()(torch.rand(2, 3, *size)).shape == (2, 8, *size)


def test_padding_mirrors_the_edge_and_repeats_it() -> None:
    assert mirrored_index(5, 8, torch.device("cpu")).tolist() == [0, 1, 2, 3, 4, 4, 3, 2]
    assert mirrored_index(3, 8, torch.device("cpu")).tolist() == [0, 1, 2, 2, 1, 0, 0, 1]


def literal_attention(attention: WindowAttention, x: Tensor, h: int, w: int, shift: int) -> Tensor:
    """Token by token: attend to the tokens of the same window, none of them across the border."""
    c = x.shape[1]
    heads, size = attention.heads, c // attention.heads
    out = torch.zeros_like(x)
    for i in range(h * w):
        row, col = divmod(i, w)
        mates = [
            j
            for j in range(h * w)
            if (j // w - shift) // 8 == (row - shift) // 8 and (j % w - shift) // 8 == (col - shift) // 8
        ]
        query, _, _ = attention.qkv(x[i]).chunk(3)
        for k in range(heads):
            part = slice(k * size, (k + 1) * size)
            logits = []
            for j in mates:
                offset = (row - j // w + 7) * 15 + col - j % w + 7
                key = attention.qkv(x[j]).chunk(3)[1][part]
                logits.append(query[part] @ key / size**0.5 + attention.bias_table[offset, k])
            weights = torch.stack(logits).softmax(0)
            values = torch.stack([attention.qkv(x[j]).chunk(3)[2][part] for j in mates])
            out[i, part] = weights @ values
    return attention.projection(out)


@pytest.mark.parametrize("shift", [0, 4])
def test_attention_equals_the_literal_loop(shift: int) -> None:
    attention = WindowAttention(4, 2).double()
    torch.nn.init.normal_(attention.bias_table)
    h, w = 8, 16
    x = torch.randn(2, h * w, 4, dtype=torch.float64)
    with torch.no_grad():
        got = attention(x, cut_windows(h, w, shift, x))
        expected = torch.stack([literal_attention(attention, sample, h, w, shift) for sample in x])
    torch.testing.assert_close(got, expected)


def test_receptive_field_of_one_block_is_31_pixels() -> None:
    encoder = small(layers=6).double()
    image = torch.rand(1, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    encoder(image)[0, :, 40:48, 40:48].sum().backward()
    touched = image.grad[0].abs().sum(0).nonzero()
    reach = max(40 - touched.min().item(), touched.max().item() - 47)
    assert 24 < reach <= 31 <= encoder.halo_px


def test_an_aligned_tile_with_its_halo_equals_the_whole() -> None:
    encoder = small(layers=6)
    image = torch.rand(1, 3, 93, 101)
    with torch.no_grad():
        tile = encoder(image[:, :, 8:, 16:])[:, :, 32:, 32:]
        torch.testing.assert_close(tile, encoder(image)[:, :, 40:, 48:], atol=1e-5, rtol=0)


@pytest.fixture
def sides() -> Iterator[dict[str, dict[int, object]]]:
    """Dynamic height and width; shape checks off, since a traced height is a symbol and no ``int``."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield {"image": {2: torch.export.Dim("h", min=9), 3: torch.export.Dim("w", min=9)}}
    jaxtyping.config.update("jaxtyping_disable", False)


def test_exports_with_dynamic_height_and_width(sides: dict[str, dict[int, object]]) -> None:
    encoder = small()
    exported = torch.export.export(encoder, (torch.rand(1, 3, 20, 27),), dynamic_shapes=sides).module()
    for size in ((24, 16), (13, 41)):
        image = torch.rand(1, 3, *size)
        torch.testing.assert_close(exported(image), encoder(image))


def test_onnx_export_keeps_height_and_width_dynamic(sides: dict[str, dict[int, object]]) -> None:
    pytest.importorskip("onnxscript", reason="exporting to ONNX needs onnxscript")
    runtime = pytest.importorskip("onnxruntime", reason="running ONNX needs onnxruntime")
    encoder = small()
    program = torch.onnx.export(encoder, (torch.rand(1, 3, 20, 27),), dynamo=True, dynamic_shapes=sides)
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    for size in ((24, 16), (13, 41)):
        image = torch.rand(1, 3, *size)
        got = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(got), encoder(image), atol=1e-5, rtol=1e-4)
