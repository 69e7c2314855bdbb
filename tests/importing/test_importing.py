"""Official checkpoints, made with random numbers: the imported model equals the official one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from histoscale import weights
from histoscale.errors import ConfigError, OutputError, WeightsError
from histoscale.imaging.coords import normalise, output_positions
from histoscale.importing.importing import KNOWN, import_weights
from histoscale.models.base import CoordinateSuperResolver, as_grid
from histoscale.models.baselines.itsrn import ITSRN

FAMILY = {"liif": "Liif", "lte": "Lte", "lmi": "Lmi", "itsrn": "Itsrn", "lit": "Lit", "iste": "Iste"}
ENCODERS = {"edsr": ("Edsr", 8), "rdn": ("Rdn", 4), "swinir": ("SwinIr", 64)}
FIXED: dict[str, tuple[str, dict[str, Any], str]] = {
    "edsr": ("Edsr", {"high": 255}, "plain"),
    "rdn": ("Rdn", {}, "plain"),
    "swinir": ("SwinIr", {"dim": 12, "channels": 8}, "params"),
}
"""Class, arguments, and how its authors save it."""


def saved(path: Path, name: str, model: nn.Module, structure: str = "liif") -> Path:
    """Write the tensors as the official repositories do."""
    tensors = model.state_dict()
    held: dict[str, Any] = {
        "liif": {
            "model": {"name": name, "args": {"encoder_spec": {"name": "edsr"}}, "sd": tensors},
            "optimizer": {"name": "adam", "args": {"lr": 1e-4}, "sd": {"state": {}, "param_groups": []}},
            "epoch": 1000,
        },
        "params": {"params": tensors},
        "params_ema": {"params": {}, "params_ema": tensors},
        "plain": tensors,
    }[structure]
    torch.save(held, path)
    return path


def imported(path: Path, name: str) -> Any:
    """Import the checkpoint and load the weights, in float64."""
    output = path.with_suffix(".safetensors")
    import_weights(path, name, output)
    return weights.load(output).double()


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        *((name, "edsr") for name in FAMILY if name != "iste"),
        ("iste", "swinir"),
        ("lte", "rdn"),
        ("liif", "swinir"),
    ],
)
@torch.no_grad()
def test_pixels_equal_the_official_model_s(
    tmp_path: Path, official: SimpleNamespace, name: str, encoder: str
) -> None:
    trunk, channels = ENCODERS[encoder]
    theirs = getattr(official, FAMILY[name])(getattr(official, trunk)(), channels)
    ours = imported(saved(tmp_path / "epoch-last.pth", name, theirs), name)
    assert isinstance(ours, CoordinateSuperResolver)
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    for size in ((32, 32), (48, 48), (38, 38), (41, 41)):
        if isinstance(ours, ITSRN) and size[0] % 16:  # at real scales its corners are those of its height
            ours.shift_of_px = 16
        axes = [output_positions(n_out, n) for n_out, n in zip(size, image.shape[2:], strict=True)]
        points = as_grid(*axes)
        at = torch.stack([normalise(points[:, axis], 16) for axis in (0, 1)], dim=1)
        cell = torch.tensor([2 / size[0], 2 / size[1]], dtype=torch.float64)
        expected = theirs.double()(image * 2 - 1, at, cell) * 0.5 + 0.5
        got = ours.decode(ours.encode(image), points[None], cell[None] * 16 / 2)
        torch.testing.assert_close(got[0], expected, atol=1e-5, rtol=0)
        assert expected.std() > 1e-3  # the comparison needs an image with contrast


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", FIXED)
@torch.no_grad()
def test_fixed_scales_equal_the_official_model_also_at_the_border(
    tmp_path: Path, official: SimpleNamespace, name: str, scale: int
) -> None:
    kind, arguments, structure = FIXED[name]
    theirs = getattr(official, kind)(scale=scale, **arguments)
    high = 1 if name == "swinir" else 255
    ours = imported(saved(tmp_path / f"x{scale}.pt", name, theirs, structure), name)
    for h, w in ((16, 24), (13, 24)):
        image = torch.rand(1, 3, h, w, dtype=torch.float64)
        seen = official.padded(image) if name == "swinir" else image
        expected = (theirs.double()(seen * high) / high)[..., : h * scale, : w * scale]
        torch.testing.assert_close(ours(image, (h * scale, w * scale)), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_fixed_scales_of_liif_s_family_are_centred_on_grey(tmp_path: Path, official: SimpleNamespace) -> None:
    for name, theirs in (("edsr", official.Edsr(scale=2)), ("rdn", official.Rdn(scale=3))):
        ours = imported(saved(tmp_path / f"{name}.pth", name, theirs), name)
        image = torch.rand(1, 3, 9, 7, dtype=torch.float64)
        expected = theirs.double()(image * 2 - 1) * 0.5 + 0.5
        torch.testing.assert_close(ours(image, expected.shape[-2:]), expected, atol=1e-5, rtol=0)


def test_the_card_says_where_the_weights_are_from(tmp_path: Path, official: SimpleNamespace) -> None:
    path = saved(tmp_path / "iste.pth", "iste", official.Iste(official.Edsr(), 8))
    card = import_weights(path, "iste", tmp_path / "iste.safetensors")
    assert card.recipe["imported_from"] == "iste.pth"
    assert card.recipe["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.licence == "not stated"
    assert card.architecture.arguments["encoder"] == "edsr"
    unused = {key.split(".")[0] for key in card.recipe["unused"]}
    assert unused == {"encoder", "imnet_texture_auxiliary", "imnet_query", "pix_attn"}
    assert weights.card(tmp_path / "iste.safetensors") == card


def test_averaged_weights_are_preferred(tmp_path: Path, official: SimpleNamespace) -> None:
    theirs = official.SwinIr(scale=2, dim=12, channels=8)
    ours = imported(saved(tmp_path / "ema.pth", "swinir", theirs, "params_ema"), "swinir")
    assert torch.equal(ours.encoder.last.weight, theirs.conv_after_body.weight.double())


def changed(tmp_path: Path, official: SimpleNamespace, change: Callable[[dict[str, Tensor]], object]) -> Path:
    """Write a LIIF checkpoint with changed tensors."""
    tensors = official.Liif(official.Edsr(), 8).state_dict()
    change(tensors)
    path = tmp_path / "changed.pth"
    torch.save({"model": {"name": "liif", "args": {}, "sd": tensors}}, path)
    return path


def test_all_differences_are_named_with_the_authors_names(tmp_path: Path, official: SimpleNamespace) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        for layer in ("imnet.layers.0", "imnet.layers.4"):
            del tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]
        del tensors["encoder.body.0.body.0.weight"]
        tensors.update({"imnet.layers.10.bias": torch.zeros(3), "teacher.weight": torch.zeros(3)})
        tensors["imnet.layers.8.bias"] = torch.zeros(4)

    path, output = changed(tmp_path, official, change), tmp_path / "out.safetensors"
    with pytest.raises(WeightsError) as caught:
        import_weights(path, "liif", output)
    assert str(caught.value) == (
        f"{path} is not a checkpoint of liif as its authors save it: missing: encoder.body.0.body.0.weight, "
        "imnet.layers.0.bias, imnet.layers.0.weight, imnet.layers.4.bias, imnet.layers.4.weight; "
        "unknown: imnet.layers.10.bias, teacher.weight; "
        "of another shape: imnet.layers.8.bias expected (3,), found (4,)."
    )
    assert not output.exists()


@pytest.mark.parametrize("name", KNOWN)
def test_a_checkpoint_of_another_model_is_recognised(
    tmp_path: Path, official: SimpleNamespace, name: str
) -> None:
    if name in FAMILY:
        theirs = getattr(official, FAMILY[name])(official.Edsr(), 8)
        path = saved(tmp_path / "other.pth", name, theirs)
    else:
        kind, arguments, structure = FIXED[name]
        path = saved(tmp_path / "other.pth", name, getattr(official, kind)(scale=2, **arguments), structure)
    expected = "lte" if name == "liif" else "liif"
    with pytest.raises(WeightsError) as caught:
        import_weights(path, expected, tmp_path / "out.safetensors")
    assert str(caught.value) == f"{path} is a checkpoint of {name}, not of {expected}: give --as {name}."


def test_a_mean_shift_that_is_not_the_published_one_is_refused(
    tmp_path: Path, official: SimpleNamespace
) -> None:
    path = saved(tmp_path / "unit.pt", "edsr", official.Edsr(scale=2, high=1), "plain")
    expected = (
        r"sub_mean.bias expected \[-114.444, -111.4605, -103.02\], found \[-0.4488, -0.4371, -0.404\]\."
    )
    with pytest.raises(WeightsError, match=expected):
        import_weights(path, "edsr", tmp_path / "out.safetensors")


def test_an_earlier_file_is_kept_by_default(tmp_path: Path, official: SimpleNamespace) -> None:
    path, output = changed(tmp_path, official, lambda t: None), tmp_path / "out.safetensors"
    output.write_text("mine")
    with pytest.raises(OutputError, match=rf"{output} exists already"):
        import_weights(path, "liif", output)
    assert output.read_text() == "mine"
    import_weights(path, "liif", output, overwrite=True)
    assert weights.card(output).architecture.name == "liif"


def test_a_file_where_the_card_goes_is_kept_by_default(tmp_path: Path, official: SimpleNamespace) -> None:
    path, output = changed(tmp_path, official, lambda t: None), tmp_path / "results.safetensors"
    beside = tmp_path / "results.json"
    beside.write_text("mine")
    with pytest.raises(OutputError, match=rf"{beside} exists already"):
        import_weights(path, "liif", output)
    assert beside.read_text() == "mine"
    assert not output.exists()
    import_weights(path, "liif", output, overwrite=True)
    assert weights.card(output).architecture.name == "liif"


def test_unknown_names_name_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of liif, lte, .*swinir, found 'vdsr'"):
        import_weights(tmp_path / "x.pth", "vdsr", tmp_path / "out.safetensors")
