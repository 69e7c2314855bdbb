"""Tiled inference: the same pixels as untiled, for every kind of model, image and size."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from histoscale import weights
from histoscale.errors import HistoscaleError, InputError, ScaleError, WeightsError
from histoscale.imaging.arrays import pixel_reader
from histoscale.imaging.coords import rounded_size
from histoscale.imaging.resize import bicubic_resize
from histoscale.inference import check_precision, upscale, upscale_blocks, upscale_part
from histoscale.models.base import SuperResolver
from histoscale.models.iste.fast import FastISTE

SCALES = (2, 2.7, 1.996, 4, 8)


class FixedTwice(SuperResolver):
    """A convolution and a pixel shuffle, x2 only; its receptive field is its halo."""

    halo_px = 2

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 12, 5, padding=2), nn.PixelShuffle(2))

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        if size != (2 * image.shape[2], 2 * image.shape[3]):
            raise ScaleError(f"This model supports only x2, found {size}.")
        return self.layers(image)


class Bicubic(SuperResolver):
    """Supports any size of whole images; counts its windows."""

    halo_px = 3
    windows = 0

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        self.windows += 1
        return bicubic_resize(image, size)


class Aligned(FixedTwice):
    """Subtracts the mean of 8 x 8 blocks, which is correct only if windows start at multiples of 8."""

    alignment_px = 8

    def forward(self, image: Float[Tensor, "b 3 h w"], size: tuple[int, int]) -> Float[Tensor, "b 3 H W"]:
        means = nn.functional.avg_pool2d(image, 8, ceil_mode=True)
        blocks = means.repeat_interleave(8, 2).repeat_interleave(8, 3)[
            ..., : image.shape[2], : image.shape[3]
        ]
        return super().forward(image - blocks, size)


def lively(blocks: int = 2, channels: int = 8) -> FastISTE:
    """Build a random model whose head has large weights, because an untrained one is nearly bicubic."""
    model = FastISTE(blocks, channels).eval()
    nn.init.normal_(model.head.coefficients.weight, std=0.02)
    return model


@pytest.fixture(scope="module")
def real_image(request: pytest.FixtureRequest) -> np.ndarray:
    """Read a real image, uint8 [h, w, 3]."""
    root: Path = request.getfixturevalue("data_root")
    path = min((root / "glas" / "images").glob("*.webp"))
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def tissue(real_image: np.ndarray) -> np.ndarray:
    """Crop the real image."""
    return real_image[100:160, 100:164]


@pytest.fixture(scope="module")
def strip(real_image: np.ndarray) -> np.ndarray:
    """Crop a long strip, which has several tiles but few pixels."""
    return real_image[100:116, 100:200]


@settings(deadline=None, max_examples=8)
@given(
    tile_px=st.integers(1, 60),
    scale=st.one_of(st.sampled_from(SCALES), st.floats(1, 8)),
    seed=st.integers(0, 9),
)
def test_tiles_give_the_whole_images_pixels(tile_px: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    model, image = lively(), torch.rand(1, 3, 31, 52)
    tiled = upscale(model, image, scale=scale, tile_px=max(tile_px, 8))
    whole = model(image, tuple(tiled.shape[-2:])).detach()
    assert float((tiled - whole).abs().max()) < 1e-4


def test_without_the_halo_tiles_differ() -> None:
    model, image = lively(), torch.rand(1, 3, 60, 60)
    model.halo_px = 0
    tiled = upscale(model, image, scale=2, tile_px=20)
    assert float((tiled - model(image, (120, 120)).detach()).abs().max()) > 1e-2


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 2)])
def test_images_smaller_than_a_tile(scale: float, shape: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *shape)
    output = upscale(lively(), image, scale=scale)
    assert output.shape == (2, 3, rounded_size(shape[0], scale), rounded_size(shape[1], scale))
    assert bool(output.isfinite().all())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_real_tissue_within_one_grey_level(tissue: np.ndarray, scale: float, precision: str) -> None:
    model = lively(8, 48)
    whole = upscale(model, tissue, scale=scale, precision=precision, tile_px=1000).astype(int)
    tiled = upscale(model, tissue, scale=scale, precision=precision, tile_px=48).astype(int)
    assert np.abs(tiled - whole).max() <= 1


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("iste-fast", "fp32"),
        ("iste-fast", "bf16"),
        ("iste", "fp32"),
        pytest.param("iste", "bf16", marks=pytest.mark.slow),  # minutes where bf16 is emulated
    ],
)
def test_shipped_weights_within_one_grey_level(strip: np.ndarray, name: str, precision: str) -> None:
    model = weights.load(name)
    assert strip.shape[1] > 48 + model.halo_px, "the first tile sees only a part"
    whole = upscale(model, strip, scale=2.7, precision=precision, tile_px=1000).astype(int)
    tiled = upscale(model, strip, scale=2.7, precision=precision, tile_px=48).astype(int)
    assert np.abs(tiled - whole).max() <= 1


def test_all_shipped_weights_are_tested() -> None:
    assert weights.shipped() == ["iste", "iste-fast"]


@pytest.mark.parametrize("model_type", [FixedTwice, Aligned])
def test_a_fixed_scale_model_is_tiled_too(model_type: type[FixedTwice]) -> None:
    model, image = model_type(), torch.rand(1, 3, 45, 70)
    tiled = upscale(model, image, (90, 140), tile_px=16)
    assert torch.allclose(tiled, model(image, (90, 140)), atol=1e-6)


def test_a_fixed_scale_model_refuses_other_scales() -> None:
    with pytest.raises(ScaleError, match="only x2"):
        upscale(FixedTwice(), torch.rand(1, 3, 20, 20), scale=3)


@pytest.mark.parametrize(("size", "windows"), [((100, 80), 4), ((101, 83), 1), ((60, 48), 4)])
def test_whole_image_models_get_windows_with_borders_on_output_pixels(
    size: tuple[int, int], windows: int
) -> None:
    model, image = Bicubic(), torch.rand(1, 3, 50, 40)
    tiled = upscale(model, image, size, tile_px=30)
    assert torch.allclose(tiled, bicubic_resize(image, size), atol=1e-6)
    assert model.windows == windows


def test_large_tiles_are_rendered_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoscale.inference.BLOCK_SIDE_PX", 20)
    model, image = lively(), torch.rand(1, 3, 16, 16)
    blocks = list(upscale_blocks(model, pixel_reader(image), (16, 16), (43, 48)))
    assert len(blocks) == 9
    assert max(side for b in blocks for side in b.pixels.shape[-2:]) <= 20
    output = torch.full((1, 3, 43, 48), torch.nan)
    for rows, cols, pixels in blocks:
        output[..., rows, cols] = pixels
    assert torch.allclose(output, model(image, (43, 48)), atol=1e-5)


def test_parts_cover_exactly_the_given_rectangle() -> None:
    model, image = FastISTE(blocks=1, channels=8, hidden=16, waves=7), torch.rand(1, 3, 40, 50)
    size, part = (100, 133), (slice(13, 88), slice(31, 133))
    whole, found = upscale(model, image, size), torch.full((1, 3, *size), torch.nan)
    for block in upscale_part(model, pixel_reader(image), (40, 50), size, part, block_px=30):
        assert bool(found[..., block.rows, block.cols].isnan().all())
        found[..., block.rows, block.cols] = block.pixels
    assert torch.allclose(found[..., part[0], part[1]], whole[..., part[0], part[1]], atol=1e-5)
    assert int((~found.isnan()).sum()) == 3 * 75 * 102


def test_only_windows_are_read() -> None:
    image, asked = torch.rand(1, 3, 120, 120), []

    def read(rows: slice, cols: slice) -> Tensor:
        asked.append((rows.stop - rows.start, cols.stop - cols.start))
        return image[..., rows, cols]

    model = lively()
    for _ in upscale_blocks(model, read, (120, 120), (120, 120), tile_px=48):
        pass
    assert len(asked) == 9
    assert max(max(sides) for sides in asked) == 48 + 2 * model.halo_px


def test_progress_counts_output_pixels_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    upscale(lively(), torch.rand(1, 3, 30, 30), scale=2, tile_px=16, progress=lambda *now: seen.append(now))
    assert [total for _, total in seen] == [3600] * 4
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (3600, 3600)


def test_torch_modes_are_off_between_blocks() -> None:
    model = lively().train()
    blocks = upscale_blocks(
        model, pixel_reader(torch.rand(1, 3, 30, 30)), (30, 30), (60, 60), precision="bf16"
    )
    next(blocks)
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")
    list(blocks)
    assert model.training


def test_kernels_are_channels_last_and_can_still_be_trained() -> None:
    model, image = lively(), torch.rand(1, 3, 20, 20)
    with torch.inference_mode():
        upscale(model, image, scale=2)
    kernel = model.encoder.first.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    upscale(model, image, scale=2)
    model(image, (40, 40)).sum().backward()
    assert kernel.grad is not None


def test_a_model_that_was_loaded_without_gradients_upscales() -> None:
    with torch.inference_mode():
        model = lively()
    image = torch.rand(1, 3, 20, 20)
    assert upscale(model, image, scale=2).shape == (1, 3, 40, 40)


def test_bf16_computes_in_bf16() -> None:
    model, image = lively(), torch.rand(1, 3, 20, 20)
    exact, quick = (upscale(model, image, scale=2, precision=p) for p in ("fp32", "bf16"))
    assert quick.dtype == torch.float32
    assert 0 < float((exact - quick).abs().max()) < 0.05


def test_arrays_come_back_rounded_and_clipped() -> None:
    array = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    model = lively()
    output = upscale(model, array, scale=2)
    floats = upscale(model, torch.from_numpy(array).permute(2, 0, 1) / 255, scale=2)
    assert float(floats.max()) > 1  # clipping has something to do
    expected = (floats.clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert output.dtype == np.uint8
    assert np.array_equal(output, expected)


def test_read_only_and_strided_arrays_are_fine() -> None:
    array = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None], (8, 6, 3))
    assert np.array_equal(upscale(Bicubic(), array[::-1], (8, 6)), array[::-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_tensors_keep_their_type(dtype: torch.dtype) -> None:
    image = torch.rand(3, 8, 9).to(dtype)
    output = upscale(lively(), image, scale=1.5)
    assert (output.shape, output.dtype) == ((3, 12, 14), dtype)
    assert not output.is_inference()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"height x width x 3, found shape \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), "found shape"),
        (np.zeros((0, 4, 3), np.uint8), "found shape"),
        (np.zeros((4, 4, 3), np.float32), "uint8, found float32"),
        (torch.zeros(4, 4, 3), r"\[3, h, w\]"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "float tensor"),
        (torch.full((3, 4, 4), 255.0), "from 255 to 255"),
        (torch.full((3, 4, 4), torch.nan), "nan"),
    ],
)
def test_other_images_are_refused_in_one_sentence(image: np.ndarray | Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        upscale(lively(), image, scale=2)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.uint8), torch.zeros(3, 4, 4)])
@pytest.mark.parametrize("scale", [1e9, 1e30, 1e300])
def test_an_absurd_output_is_refused(image: np.ndarray | Tensor, scale: float) -> None:
    with pytest.raises(ScaleError, match="memory"):
        upscale(lively(), image, scale=scale)


@pytest.mark.parametrize("tile_px", [0, -5])
def test_an_empty_tile_is_refused(tile_px: int) -> None:
    with pytest.raises(ScaleError, match="tile"):
        upscale(lively(), torch.rand(3, 4, 4), scale=2, tile_px=tile_px)


def test_values_that_are_not_finite_are_refused() -> None:
    model = lively()
    with torch.no_grad():
        model.head.coefficients.weight[0, 0] = torch.inf
    with pytest.raises(WeightsError, match="not finite"):
        upscale(model, torch.rand(3, 8, 8), scale=2)


def test_another_precision_is_refused() -> None:
    with pytest.raises(HistoscaleError, match="found fp16"):
        check_precision("fp16")


def test_an_unknown_device_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(HistoscaleError, match="cuda"):
        upscale(lively(), torch.rand(3, 8, 8), scale=2, device="cuda")


MISTAKES = """
import numpy as np, torch, histoscale
model = histoscale.build("iste-fast", blocks=1, channels=8, hidden=8, waves=4)
image = np.zeros((8, 9, 3), np.uint8)
before = [(tensor.clone(), tensor.device) for tensor in model.state_dict().values()]
for mistake in (
    dict(scale="2"), dict(scale=b"2"), dict(scale=[2]), dict(scale=1e308), dict(scale=10**400),
    dict(scale=2j),
    dict(scale=float("nan")), dict(size=20), dict(size="20x30"), dict(size=("20", "30")), dict(size=None),
    dict(scale=2, tile_px=1.5), dict(scale=2, tile_px="8"), dict(scale=2, tile_px=float("nan")),
    dict(scale=2, device="meta"), dict(scale=2, device="abacus"), dict(scale=2, device=1.5),
    dict(scale=2, precision=None), dict(scale=2, image="a.png"), dict(scale=2, model="iste-fast"),
):
    try:
        histoscale.upscale(mistake.pop("model", model), mistake.pop("image", image), **mistake)
    except histoscale.HistoscaleError as error:
        print(type(error).__name__, error)
    else:
        print("no error", mistake)
for (tensor, device), now in zip(before, model.state_dict().values(), strict=True):
    assert now.device == device and torch.equal(now, tensor)
"""


def test_wrong_arguments_are_one_sentence_and_leave_the_model_alone() -> None:
    """In a process of its own, because the tests' type checks would come first."""
    done = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    kinds = [line.split()[0] for line in lines]
    assert kinds == ["ScaleError"] * 14 + ["HistoscaleError"] * 4 + ["InputError"] * 2, lines
    assert all(line.endswith(".") for line in lines)


def test_every_part_of_a_model_is_in_its_mode_afterwards() -> None:
    model, image = lively().train(), torch.rand(1, 3, 20, 20)
    model.encoder.eval()
    upscale(model, image, scale=2)
    assert model.training
    assert model.head.training
    assert not model.encoder.training


def test_four_threads_leave_the_mode_as_it_was() -> None:
    model, image, started = lively().train(), torch.rand(1, 3, 12, 12), threading.Barrier(4)
    expected = upscale(model, image, scale=2)

    def use(_: int) -> bool:
        started.wait()
        return all(torch.equal(upscale(model, image, scale=2), expected) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))
    assert all(part.training for part in model.modules())
