"""Weights and cards: saving, loading, and one sentence for each error."""

import hashlib
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import torch as safetensors

from histoscale import weights
from histoscale.errors import HistoscaleError, OutputError, WeightsError
from histoscale.models.base import count_parameters
from histoscale.models.catalog import build
from histoscale.models.iste.fast import FastISTE
from histoscale.weights import NOT_STATED, Architecture, Card, DataSource

ARGUMENTS = {"blocks": 1, "channels": 4, "hidden": 8, "waves": 5}
FIELDS: dict[str, Any] = {
    "architecture": {"name": "iste-fast", "arguments": ARGUMENTS},
    "scales": (1, 4),
    "data": [{"set": "monuseg", "split": "train", "images": 21, "licence": "CC BY-NC-SA 4.0"}],
    "licence": "research only",
    "limits": ["Not for diagnosis."],
    "metrics": {"monuseg x4 B psnr_db": 30.25},
}


@pytest.fixture
def model() -> FastISTE:
    return build("iste-fast", **ARGUMENTS)


@pytest.fixture
def saved(tmp_path: Path, model: FastISTE) -> Path:
    path = tmp_path / "small.safetensors"
    weights.save(path, model, FIELDS)
    return path


def rewrite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Replace the tensors and update the card."""
    path.write_bytes(safetensors.save(tensors))
    edit(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def edit(path: Path, **fields: Any) -> None:
    """Change fields of the card beside ``path``; None removes a field."""
    beside = path.with_suffix(".json")
    content = json.loads(beside.read_text()) | fields
    beside.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_fp32_is_loaded_bit_for_bit(saved: Path, model: FastISTE) -> None:
    loaded = weights.load(saved)
    assert not loaded.training
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(("stored", "error"), [("bf16", 2**-8), ("fp16", 2**-11)])
def test_half_formats_are_loaded_as_float32(
    tmp_path: Path, model: FastISTE, stored: str, error: float
) -> None:
    path = tmp_path / "half.safetensors"
    weights.save(path, model, FIELDS, stored)
    on_disk = safetensors.load(path.read_bytes())
    assert {t.dtype for t in on_disk.values()} == {weights.DTYPES[stored]}
    loaded = weights.load(path)
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, model.state_dict()[name], rtol=error, atol=1e-7)


def test_integers_stay_integers(tmp_path: Path, model: FastISTE) -> None:
    model.register_buffer("count", torch.tensor([70001]))
    weights.save(tmp_path / "a.safetensors", model, FIELDS, "fp16")
    assert safetensors.load_file(tmp_path / "a.safetensors")["count"].tolist() == [70001]


def test_the_card_describes_the_weights(saved: Path, model: FastISTE) -> None:
    card = weights.card(saved)
    assert card.name == "small"
    assert card.architecture == Architecture(name="iste-fast", arguments=ARGUMENTS)
    assert card.parameters == count_parameters(model)
    assert card.data == (DataSource(set="monuseg", split="train", images=21, licence="CC BY-NC-SA 4.0"),)
    assert (card.scales, card.licence, card.limits) == ((1, 4), "research only", ("Not for diagnosis.",))
    assert card.metrics == {"monuseg x4 B psnr_db": 30.25}
    assert card.created.tzinfo is not None


def test_fields_of_later_versions_survive(tmp_path: Path, model: FastISTE) -> None:
    weights.save(tmp_path / "a.safetensors", model, FIELDS | {"colour": "pink"})
    assert json.loads((tmp_path / "a.json").read_text())["colour"] == "pink"


def test_a_card_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Architecture(name="a").name = "b"


def test_saving_again_replaces_both_files(saved: Path) -> None:
    other = build("iste-fast", **ARGUMENTS | {"channels": 6})
    weights.save(
        saved,
        other,
        FIELDS | {"architecture": {"name": "iste-fast", "arguments": ARGUMENTS | {"channels": 6}}},
    )
    assert weights.load(saved).encoder.channels == 6
    assert sorted(p.name for p in saved.parent.iterdir()) == ["small.json", "small.safetensors"]


def test_a_failed_write_leaves_the_old_weights(
    saved: Path, model: FastISTE, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="no space is left on the disk"):
        weights.save(saved, model, FIELDS, "bf16")
    assert saved.read_bytes() == before
    assert sorted(p.name for p in saved.parent.iterdir()) == ["small.json", "small.safetensors"]


@pytest.mark.parametrize("name", ["a.pt", "a", "a.json"])
def test_weights_are_saved_under_one_suffix_only(tmp_path: Path, model: FastISTE, name: str) -> None:
    with pytest.raises(OutputError, match="safetensors"):
        weights.save(tmp_path / name, model, FIELDS)


def test_a_missing_folder_is_made_and_one_that_is_a_file_is_one_sentence(
    tmp_path: Path, model: FastISTE
) -> None:
    weights.save(tmp_path / "new" / "a.safetensors", model, FIELDS)
    assert weights.card(tmp_path / "new" / "a.safetensors").name == "a"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a\.safetensors cannot be written: a file is in the way"):
        weights.save(tmp_path / "file" / "a.safetensors", model, FIELDS)


@pytest.mark.parametrize(("value", "stored"), [(torch.nan, "fp32"), (torch.inf, "bf16"), (1e6, "fp16")])
def test_values_that_are_not_finite_as_stored_are_not_saved(
    tmp_path: Path, model: FastISTE, value: float, stored: str
) -> None:
    with torch.no_grad():
        model.encoder.first.weight[0, 0] = value
    with pytest.raises(WeightsError, match=r"not finite: encoder\.first\.weight"):
        weights.save(tmp_path / "a.safetensors", model, FIELDS, stored)
    assert not list(tmp_path.iterdir())


def test_an_incomplete_card_is_not_saved(tmp_path: Path, model: FastISTE) -> None:
    with pytest.raises(WeightsError, match="scales"):
        weights.save(tmp_path / "a.safetensors", model, {k: v for k, v in FIELDS.items() if k != "scales"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": None}, "architecture"),
        ({"architecture": {"name": "iste-fast", "argument": {}}}, "architecture"),
        ({"architecture": {"name": "nonesuch", "arguments": {}}}, "nonesuch"),
        ({"architecture": {"name": "iste-fast", "arguments": {"depth": 3}}}, "depth"),
        ({"sha256": "0" * 64}, "sha256 differs"),
        ({"sha256": "beef"}, "sha256"),
        ({"scales": [0.5, 4]}, "scales"),
        ({"scales": [1]}, "scales"),
        ({"metrics": {"psnr": "good"}}, "metrics.psnr"),
        (
            {"architecture": {"name": "iste-fast", "arguments": ARGUMENTS | {"channels": 6}}},
            r"first\.weight expected \(6, 3, 3, 3\), found \(4, 3, 3, 3\)",
        ),
        ({"architecture": {"name": "iste-fast", "arguments": ARGUMENTS | {"blocks": 2}}}, "missing"),
        ({"architecture": {"name": "iste-fast", "arguments": ARGUMENTS | {"blocks": 0}}}, "missing"),
    ],
)
def test_cards_that_do_not_fit_are_refused(saved: Path, fields: dict[str, Any], message: str) -> None:
    edit(saved, **fields)
    with pytest.raises(WeightsError, match=message) as error:
        weights.load(saved)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [10_000_000, 10**30, [8, 10**9], {"depth": 10**9}, 1e308])
def test_a_card_of_a_model_beyond_its_weights_is_refused_at_once(saved: Path, number: Any) -> None:
    edit(saved, architecture={"name": "iste-fast", "arguments": ARGUMENTS | {"blocks": number}})
    with pytest.raises(WeightsError, match=r"card of|their card"):
        weights.load(saved)


def test_a_number_that_torch_does_not_compute_with_is_refused(saved: Path) -> None:
    tensors = safetensors.load_file(saved)
    rewrite(saved, {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors.items()})
    with pytest.raises(WeightsError, match="float8_e4m3fn"):
        weights.load(saved)


def test_a_card_that_is_not_json_is_refused(saved: Path) -> None:
    saved.with_suffix(".json").write_text("{ broken")
    with pytest.raises(WeightsError, match="card"):
        weights.load(saved)


def test_weights_without_a_card_are_refused(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="no card"):
        weights.load(saved)


def test_damaged_weights_are_refused(saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="sha256"):
        weights.load(saved)
    edit(saved, sha256=hashlib.sha256(saved.read_bytes()).hexdigest())
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.load(saved)


def test_infinite_weights_are_refused(saved: Path, model: FastISTE) -> None:
    tensors = model.state_dict()
    tensors["encoder.first.bias"] = torch.full_like(tensors["encoder.first.bias"], torch.nan)
    rewrite(saved, tensors)
    with pytest.raises(WeightsError, match=r"encoder\.first\.bias"):
        weights.load(saved)


def test_tensors_the_model_does_not_know_are_refused(saved: Path, model: FastISTE) -> None:
    rewrite(saved, model.state_dict() | {"extra": torch.zeros(1)})
    with pytest.raises(WeightsError, match="extra is unknown"):
        weights.load(saved)


def test_integers_in_place_of_floats_are_refused(saved: Path, model: FastISTE) -> None:
    rewrite(saved, {name: tensor.long() for name, tensor in model.state_dict().items()})
    with pytest.raises(WeightsError, match=r"expected torch\.float32, found torch\.int64"):
        weights.load(saved)


class Trap:
    """Writes a file if it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl", ".bin", ".PTH"])
def test_pickles_are_never_opened(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="pickle"):
        weights.load(path)
    assert not Trap.sprung


@pytest.mark.parametrize("name", ["nowhere.safetensors", "nonesuch", "", "."])
def test_missing_weights_give_one_sentence(name: str) -> None:
    with pytest.raises(WeightsError, match="no weights"):
        weights.load(name)


def test_a_missing_device_is_refused(saved: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(HistoscaleError, match="cuda"):
        weights.load(saved, "cuda")


def test_shipped_names_are_found_by_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHIPPED", saved.parent)
    assert weights.shipped() == ["small"]
    assert weights.card("small") == weights.card(saved)
    assert isinstance(weights.load("small"), FastISTE)


@pytest.mark.parametrize("name", weights.shipped())
def test_shipped_weights_load_and_have_complete_cards(name: str) -> None:
    card = weights.card(name)
    assert count_parameters(weights.load(name)) == card.parameters
    assert card.name == name
    assert card.metrics
    assert card.limits
    assert card.recipe
    assert NOT_STATED not in (card.licence, *(source.licence for source in card.data))
    assert (weights.SHIPPED / f"{name}.safetensors").stat().st_size <= 16 * 2**20


def test_cards_are_written_in_full(saved: Path) -> None:
    assert set(json.loads(saved.with_suffix(".json").read_text())) == set(Card.model_fields)


def test_a_card_of_many_wide_layers_is_refused_before_their_memory_is_taken(saved: Path) -> None:
    edit(saved, architecture={"name": "iste-fast", "arguments": ARGUMENTS | {"channels": 900, "blocks": 900}})
    with pytest.raises(WeightsError, match="larger model"):
        weights.load(saved)


def test_models_that_other_threads_build_do_not_count(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of parameters is set by a hook that torch calls for all threads."""
    build_one, built = weights._built, []

    def meanwhile(architecture: Architecture, path: Path) -> Any:
        other = threading.Thread(target=lambda: built.append(FastISTE(blocks=4, channels=256)))
        other.start()
        other.join()
        return build_one(architecture, path)

    monkeypatch.setattr(weights, "_built", meanwhile)
    assert isinstance(weights.load(saved), FastISTE)
    assert count_parameters(built[0]) > 10**6
