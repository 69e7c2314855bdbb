"""A study file says what it is about, or what is wrong with it."""

from pathlib import Path

import pytest

from histoscale.errors import ConfigError
from histoscale.workflows.study.study_file import read_recipe, read_study


def test_a_study_names_its_recipe_and_what_it_wants_otherwise(study_file: Path) -> None:
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
    with pytest.raises(ConfigError, match="recipe: wanted the name of a file beside it, got 3"):
        read_study(study_file)


def test_a_recipe_has_no_methods(study_file: Path) -> None:
    with pytest.raises(
        ConfigError, match="unknown key name; known here are data, training, validation, card"
    ):
        read_recipe(study_file)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"liif"\nqueries', '"edsr"\nqueries', "two methods are called edsr"),
        ("queries = 16", "querys = 16", "unknown key methods.1.querys; known here are label, model, queries"),
        ("steps = 2", "steps = 2\nminutes = 2", "exactly one of steps and minutes"),
        ('"liif"\nqueries', '"bicubic"\nqueries', "bicubic is in every comparison"),
        ("[1, 2]", "[]", "seeds"),
        ("[1, 2]", "[1, 1]", "a seed stands twice"),
        ('reference = "liif"', 'reference = "lif"', "reference lif is none of bicubic, edsr, liif"),
        ('"table9"', '"table5"', "table5 is none of table1, table2"),
        ("name =", "name", "is not TOML"),
    ],
)
def test_a_wrong_study_is_explained(study_file: Path, old: str, new: str, words: str) -> None:
    study_file.write_text(study_file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        read_study(study_file)


def test_a_missing_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_study(tmp_path / "none.toml")
