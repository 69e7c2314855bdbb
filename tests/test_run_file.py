"""Run files combine with their recipe and with ``--set``, and one sentence says which of them is wrong."""

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from histoscale.config import Run, Table, read_run
from histoscale.errors import ConfigError
from histoscale.run_file import override, read_tables

RUN = """
name = "small-{data.sets}"
[model]
name = "iste"
arguments = { encoder = "edsr" }
start_from = "out/{model.encoder}-x{model.scale}.safetensors"
[data]
root = "/somewhere"
[training]
steps = 3
[when."data.sets=tma"]
training.steps = 7
data.patch_px = 32
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(RUN)
    return tmp_path / "run.toml"


def read(path: Path, *settings: str) -> Run:
    return read_run(path, ["model.scale=2", *settings])


def test_a_setting_reaches_every_kind_of_key(path: Path) -> None:
    run = read(
        path,
        "data.sets=glas, monuseg",
        "data.scales=2,2.5",
        "data.augment=false",
        "data.degradations={none = 1}",
        "data.degradations.B=2",
        "training.rate=1e-3",
        'card.licence="2"',
        "card.history=a text",
        "model.encoder=rdn",
        "model.blocks=3",
        "seed=4",
    )
    assert run.name == "small-glas-monuseg"
    assert run.data.sets == ("glas", "monuseg")
    assert run.data.scales == (2.0, 2.5)
    assert not run.data.augment
    assert run.data.degradations == {"none": 1.0, "B": 2.0}
    assert (run.training.rate, run.training.steps, run.seed) == (1e-3, 3, 4)
    assert (run.card.licence, run.card.history) == ("2", ("a text",))
    assert run.model.arguments == {"encoder": "rdn", "blocks": 3, "scale": 2}
    assert run.model.start_from == Path("out/rdn-x2.safetensors")


def test_a_text_stays_a_text(path: Path) -> None:
    assert read(path, "data.sets=1", "card.licence=2", "name=true").card.licence == "2"
    assert read(path, "data.sets=1").data.sets == ("1",)


def test_tables_apply_where_the_run_has_their_value(path: Path) -> None:
    run = read(path, "data.sets=tma")
    assert (run.training.steps, run.data.patch_px, run.data.root) == (7, 32, Path("/somewhere"))
    assert read(path, "data.sets=tma", "training.steps=9").training.steps == 9
    assert read(path, "data.sets=tma,glas").training.steps == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["training.rte=1"], r"rte .*known here are steps, minutes, clock"),
        (["trianing.steps=1"], r"trianing .*known here are name, seed, model"),
        (["training.steps"], r"--set training\.steps: .*KEY=VALUE"),
        (["data.sets=glas", "training.steps=many"], r"--set training\.steps=many: .*valid integer"),
        (["data.sets=glas", "training.rate=nan"], r"--set training\.rate=nan: .*finite"),
        ([], r"run\.toml: .*small.* data\.sets"),
    ],
)
def test_a_wrong_setting_is_one_sentence(path: Path, settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(path, *settings)
    assert "\n" not in str(caught.value)


class Row(Table):
    label: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Rows(Table):
    rows: tuple[Row, ...]


def test_a_number_counts_the_tables_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "rows.toml").write_text('[[rows]]\nlabel = "a"\n[[rows]]\nlabel = "b"\n')
    found = read_tables(tmp_path / "rows.toml", Rows, ["rows.1.label=c", "rows.0.blocks=2"])
    assert found == Rows(rows=(Row(label="a", arguments={"blocks": 2}), Row(label="c")))
    with pytest.raises(ConfigError, match="2 must be a number from 0 to 1"):
        read_tables(tmp_path / "rows.toml", Rows, ["rows.2.label=c"])


def test_the_content_of_a_file_is_left_as_it_was() -> None:
    content = {"name": "a", "data": {"patch_px": 3}, "when": {"name=b": {"seed": 2}}}
    before = copy.deepcopy(content)
    assert override(content, ["data.patch_px=4"], Run)["data"]["patch_px"] == 4
    assert content == before


def test_a_recipe_may_have_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text(
        '[data]\nroot = "/x"\ndegradations = { B = 1 }\n[training]\nsteps = 2\n'
    )
    (tmp_path / "second.toml").write_text('recipe = "first.toml"\n[data]\ndegradations = { none = 1 }\n')
    own = 'recipe = "second.toml"\nname = "a"\n[model]\nname = "bicubic"\n[training]\nbatch = 3\n'
    (tmp_path / "run.toml").write_text(own)
    run = read_run(tmp_path / "run.toml")
    assert (run.training.steps, run.training.batch) == (2, 3)
    assert run.data.degradations == {"none": 1.0}
    (tmp_path / "first.toml").write_text('[data]\nroot = "/x"\npatch = 1\n[training]\nsteps = 2\n')
    with pytest.raises(ConfigError, match=r"first\.toml: unknown key data\.patch"):
        read_run(tmp_path / "run.toml")


def test_excels_byte_order_mark_is_no_error(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path, "data.sets=glas").training.steps == 3


@pytest.mark.parametrize(
    "text", ["steps = " + "9" * 5000, "steps = " + "[" * 5000, "steps", "\0", "x = 1\nx = 2"]
)
def test_invalid_toml_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"run\.toml is not valid TOML"):
        read_run(tmp_path / "run.toml")
