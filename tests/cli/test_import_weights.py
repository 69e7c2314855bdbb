"""``histoscale import-weights`` at the command line."""

from pathlib import Path

import torch
from typer.testing import CliRunner

from histoscale import weights
from histoscale.cli import app


def lmi_checkpoint(path: Path) -> Path:
    """A small LMI on EDSR as its authors save it, with random numbers."""
    shapes = {
        "encoder.sub_mean": (3, 3, 1, 1),
        "encoder.head.0": (4, 3, 3, 3),
        "encoder.body.0.body.0": (4, 4, 3, 3),
        "encoder.body.0.body.2": (4, 4, 3, 3),
        "encoder.body.1": (4, 4, 3, 3),
        "metanet.layers.0": (4, 33),
        "metanet.layers.2": (64, 4),
        "imnet.mixer_blocks.0.token_mix.0.net.0": (32, 32),
        "imnet.mixer_blocks.0.token_mix.0.net.2": (16, 32),
        "imnet.mixer_blocks.0.channel_mix.0.net.0": (8, 10),
        "imnet.mixer_blocks.0.channel_mix.0.net.2": (4, 8),
        "imnet.out": (3, 4),
    }
    weight = {f"{layer}.weight": torch.rand(shape) for layer, shape in shapes.items()}
    bias = {f"{layer}.bias": torch.rand(shape[0]) for layer, shape in shapes.items()}
    torch.save({"model": {"name": "lmi", "args": {}, "sd": weight | bias}, "epoch": 300}, path)
    return path


def run(*words: Path | str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["import-weights", *map(str, words)])
    return result.exit_code, result.output


def test_writes_weights_that_load(tmp_path: Path) -> None:
    output = tmp_path / "lmi.safetensors"
    code, said = run(lmi_checkpoint(tmp_path / "epoch-last.pth"), "--as", "lmi", "-o", output)
    assert code == 0, said
    assert "encoder = edsr, blocks = 1, channels = 4" in said
    assert "2 tensors that the official model does not use were left out" in said
    assert weights.load(output)(torch.rand(1, 3, 6, 7), (13, 17)).shape == (1, 3, 13, 17)


def refused(*words: Path | str) -> str:
    """The one sentence on standard error."""
    code, said = run(*words)
    assert code == 1, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_what_goes_wrong_is_one_sentence(tmp_path: Path) -> None:
    path, output = lmi_checkpoint(tmp_path / "epoch-last.pth"), tmp_path / "liif.safetensors"
    said = refused(path, "--as", "liif", "-o", output)
    assert f"{path} is a checkpoint of lmi, not of liif: give --as lmi." in said
    tensors = torch.load(path, weights_only=True)["model"]["sd"]
    torch.save(tensors | {7: torch.ones(1)}, path)
    assert "found the name 7." in refused(path, "--as", "lmi", "-o", output)
    torch.save({"head.0.weight": torch.ones(4, 3, 3, 3), "tail.0.0.weight": torch.ones(0, 0, 3, 3)}, path)
    said = refused(path, "--as", "edsr", "-o", output)
    assert "of another shape: tail.0.0.weight expected (16, 4, 3, 3), found (0, 0, 3, 3)." in said
    assert not output.exists()


def test_an_earlier_card_is_not_replaced_unasked(tmp_path: Path) -> None:
    path, output = lmi_checkpoint(tmp_path / "epoch-last.pth"), tmp_path / "lmi.safetensors"
    (tmp_path / "lmi.json").write_text("mine")
    assert "lmi.json exists already: pass --overwrite" in refused(path, "--as", "lmi", "-o", output)
    assert (tmp_path / "lmi.json").read_text() == "mine"
    assert run(path, "--as", "lmi", "-o", output, "--overwrite")[0] == 0
