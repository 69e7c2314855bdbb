"""A study file says what it is about, or what is wrong with it."""

from pathlib import Path

import pytest
import torch

from histoscale.errors import ConfigError
from histoscale.experiments.study.study_file import Recipe, members, read_study
from histoscale.models.catalog import build
from histoscale.run_file import read_tables
from histoscale.training.losses import objective_for


def test_a_study_names_its_recipe_and_overrides_keys_of_it(study_file: Path) -> None:
    whole = read_study(study_file)
    before, shared = study_file.read_text().split("[data]")
    shared, after = shared.split("[comparison]")
    study_file.with_name("shared.toml").write_text("[data]" + shared)
    study_file.write_text(f'recipe = "shared.toml"\n{before}[comparison]{after}')
    assert read_study(study_file) == whole
    otherwise = "[data]\ndegradations = { C = 1 }\n[training]\nbatch = 6\n"
    study_file.write_text(f'recipe = "shared.toml"\n{before}{otherwise}[comparison]{after}')
    study = read_study(study_file)
    assert study.data == whole.data.model_copy(update={"degradations": {"C": 1}})
    assert study.training == whole.training.model_copy(update={"batch": 6})


def test_a_wrong_recipe_is_explained_where_it_stands(study_file: Path) -> None:
    before, rest = study_file.read_text().split("[data]")
    after = rest.split("[comparison]")[1]
    study_file.write_text(f'recipe = "shared.toml"\n{before}[comparison]{after}')
    with pytest.raises(ConfigError, match=r"shared\.toml cannot be read"):
        read_study(study_file)
    study_file.with_name("shared.toml").write_text('[data]\nroot = "/"\n[training]\nstep = 2\n')
    with pytest.raises(ConfigError, match=r"shared\.toml: unknown key training\.step"):
        read_study(study_file)
    study_file.with_name("shared.toml").write_text('[data]\nroot = "/"\n[training]\nsteps = 2\n')
    study_file.write_text(f'recipe = "shared.toml"\n{before}training = 3\n[comparison]{after}')
    with pytest.raises(ConfigError, match=rf"{study_file.name}: training: "):
        read_study(study_file)
    study_file.write_text(f"recipe = 3\n{before}[comparison]{after}")
    with pytest.raises(ConfigError, match=r"recipe must be .* not 3"):
        read_study(study_file)


def test_a_recipe_has_no_methods(study_file: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown key name; known here are data, training, validation, card"
    ):
        read_tables(study_file, Recipe)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"liif"\nqueries', '"edsr"\nqueries', "two methods are called edsr"),
        ("queries = 16", "querys = 16", "unknown key methods.1.querys; known here are label, model, queries"),
        ("steps = 2", "steps = 2\nminutes = 2", "exactly one of steps and minutes"),
        ('"liif"\nqueries', '"bicubic"\nqueries', "bicubic is in every comparison"),
        ("[1, 2]", "[]", "seeds"),
        ("[1, 2]", "[1, 1]", "seeds has a seed twice"),
        ('reference = "liif"', 'reference = "lif"', "reference lif is none of bicubic, edsr, liif"),
        ('"table9"', '"table5"', "table5 is none of table1, table2"),
        ("name =", "name", "is not valid TOML"),
    ],
)
def test_a_wrong_study_is_explained(study_file: Path, old: str, new: str, words: str) -> None:
    study_file.write_text(study_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        read_study(study_file)


def test_a_missing_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_study(tmp_path / "none.toml")


# A study file stands for one run a method, scale and seed, all by one recipe.


STUDIES = sorted(Path("runs").glob("study*.toml"))
GPU_RECIPES = sorted(Path("runs").glob("recipe-gpu*.toml"))


def test_every_method_has_a_run_a_scale_and_seed(study_file: Path) -> None:
    found = members(read_study(study_file))
    names = [member.run.name for member in found]
    of_seed = ["edsr-x2-seed{}", "edsr-x3-seed{}", "liif-seed{}"]
    assert names == [name.format(seed) for seed in (1, 2) for name in of_seed]
    assert [member.label for member in found] == ["edsr", "edsr", "liif"] * 2
    assert [member.run.seed for member in found] == [1, 1, 1, 2, 2, 2]


def test_a_scale_goes_to_the_model_its_pairs_and_its_validation(study_file: Path) -> None:
    edsr = members(read_study(study_file))[1].run
    assert edsr.model.arguments["scale"] == 3
    assert edsr.data.scales == edsr.validation.scales == (3.0,)
    assert edsr.data.queries == 0


def test_only_what_a_method_says_differs(study_file: Path) -> None:
    study = read_study(study_file)
    liif = members(study)[2].run
    assert liif.data == study.data.model_copy(update={"queries": 16})
    assert liif.training == study.training
    assert liif.card.limits == ("Two steps teach nothing.",)


def test_a_budget_is_split_over_the_scales(study_file: Path) -> None:
    found = members(read_study(study_file).with_budget(minutes=10))
    assert [member.run.training.minutes for member in found[:3]] == [5, 5, 10]
    assert {member.run.training.steps for member in found} == {0}
    found = members(read_study(study_file).with_budget(steps=8))
    assert [member.run.training.steps for member in found[:3]] == [4, 4, 8]
    with pytest.raises(ConfigError, match=r"edsr splits its steps over 2 scales: .* at least 2 .*1"):
        members(read_study(study_file).with_budget(steps=1))


def test_minutes_are_of_the_processor_whatever_the_recipe_says(study_file: Path) -> None:
    study = read_study(study_file)
    assert study.training.clock == "wall"
    assert study.with_budget(steps=8).training.clock == "wall"
    assert study.with_budget(minutes=10).training.clock == "core"


def test_a_recipe_replaces_what_is_shared_and_nothing_else(study_file: Path, tmp_path: Path) -> None:
    own = tmp_path / "recipe.toml"
    shared = study_file.read_text().split("[data]")[1].split("[comparison]")[0]
    own.write_text("[data]" + shared.replace("batch = 2", "batch = 6").replace("steps = 2", "steps = 20"))
    before, after = (members(study) for study in (read_study(study_file), read_study(study_file, own)))
    assert [member.run.training.batch for member in after] == [6] * 6
    assert [member.run.training.steps for member in after[:3]] == [10, 10, 20]
    for old, new in zip(before, after, strict=True):
        assert old.run.model_copy(update={"training": new.run.training}) == new.run


@pytest.mark.parametrize("path", GPU_RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_study_here_trains_by_every_recipe_of_a_gpu(
    study: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    by_recipe = members(read_study(study, path))
    assert {member.run.data.on_device for member in by_recipe} == {True}
    for member in by_recipe:
        with torch.device("meta"):
            model = build(member.run.model.name, **member.run.model.arguments)
        objective_for(member.run, model)


def test_some_methods_can_be_chosen(study_file: Path) -> None:
    assert {m.label for m in members(read_study(study_file).only(("liif",)))} == {"liif"}
    assert read_study(study_file).only(("edsr", "liif")).comparison.reference == "liif"
    assert (
        read_study(study_file).only(("edsr",)).comparison.reference == ""
    )  # which `compare` takes as the last
    study_file.write_text(study_file.read_text().replace('reference = "liif"', 'reference = "bicubic"'))
    assert read_study(study_file).only(("edsr",)).comparison.reference == "bicubic"
    with pytest.raises(ConfigError, match="no method 'lif': choose one of edsr, liif"):
        read_study(study_file).only(("lif",))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_here_builds_its_models(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", "/data")
    study = read_study(path)
    assert study.name == path.stem
    for member in members(study):
        with torch.device("meta"):
            build(member.run.model.name, **member.run.model.arguments)
