"""Files that are not checkpoints give one sentence, and no code in them is run."""

import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch

from histoscale.errors import WeightsError
from histoscale.importing.checkpoint import read_checkpoint


class Trap:
    """Writes a file if it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.path,))


def test_plain_tensors_and_liif_s_structure(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.rand(2, 3)}
    torch.save(tensors, tmp_path / "plain.pth")
    torch.save({"model": {"name": "liif", "args": {}, "sd": tensors}, "epoch": 1}, tmp_path / "liif.pth")
    for name, centred in (("plain", False), ("liif", True)):
        read = read_checkpoint(tmp_path / f"{name}.pth")
        assert read.centred is centred
        assert torch.equal(read.state["a.weight"], tensors["a.weight"])


def test_the_older_format_is_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(tmp_path / "old.pt").state["a"], torch.ones(2))


def test_a_checkpoint_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.namelist():
            packed.writestr(member, plain.read(member))
    with pytest.raises(WeightsError, match=r"packed\.pth is compressed"):
        read_checkpoint(tmp_path / "packed.pth")


def test_a_tensor_that_repeats_its_data_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**12)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="repeats its data"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_are_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"model": Trap(sprung)}, tmp_path / "trap.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"trap.pth contains other objects than tensors, which could run code"
    ):
        read_checkpoint(tmp_path / "trap.pth")
    assert not sprung.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 half a zip", pickle.dumps(3)])
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_cut_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(tmp_path / "missing.pth")
    torch.save({"a": torch.rand(100, 100)}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:20000])
    with pytest.raises(WeightsError, match=r"cut.pth is not a PyTorch checkpoint"):
        read_checkpoint(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ({}, "none"),
        ({"model": {"sd": {}}}, "none"),
        ([torch.ones(1)], "an object of type list"),
        ({"a": 1}, "an object of type int under 'a'"),
        ({"a": torch.ones(1), 3: torch.ones(1)}, "the name 3"),
        ({"state_dict": {("a", 1): torch.ones(1)}}, "the name ('a', 1)"),
        ({"two\nlines": torch.ones(1)}, r"the name 'two\nlines'"),
        ({"a": torch.ones(2).to_sparse()}, "a tensor that is sparse or has no data under 'a'"),
    ],
)
def test_only_named_tensors_are_accepted(tmp_path: Path, held: object, found: str) -> None:
    path = tmp_path / "held.pth"
    torch.save(held, path)
    with pytest.raises(WeightsError, match=rf"held\.pth .* found {re.escape(found)}\.$"):
        read_checkpoint(path)
