"""The documents tell the truth: what they name exists, and what they promise runs."""

import ast
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml

from histoscale.config import read_run
from histoscale.models.base import count_parameters
from histoscale.models.baselines.thera import Thera
from histoscale.models.catalog import MODELS, build
from histoscale.models.encoders.registry import ENCODERS, build_encoder

ROOT = Path(__file__).resolve().parent.parent
PRINTED = ("tables.md", "trainings.md", "card.md")
"""Documents that commands write; ``tests/test_results.py`` holds them."""
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name not in PRINTED),
    ROOT / "runs" / "README.md",
]
UNMAPPED = ("__pycache__", "py.typed")
PATH = re.compile(r"^(?:src|tests|docs|runs|scripts|benchmarks|examples)/[\w./-]*$")
ITEMS = (
    [f"Eq. ({n})" for n in range(1, 12)]
    + [f"Table {n}" for n in range(1, 10)]
    + [f"Fig. {n}" for n in range(1, 12)]
)


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def table_rows(document: Path) -> list[list[str]]:
    """Cells of every table row of a Markdown file, header and rule lines left out."""
    rows = [
        line.strip().strip("|")
        for line in document.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    rules = [i for i, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def find_symbol(tree: ast.AST, dotted: str) -> ast.AST | None:
    """The definition of ``Class.method``, a function, a class or a constant."""
    node: ast.AST | None = tree
    for name in dotted.split("."):
        node = (
            next((child for child in ast.iter_child_nodes(node) if name in names_of(child)), None)
            if node
            else None
        )
    return node


def names_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def resolve(reference: str) -> ast.AST | Path | None:
    """What ``path`` or ``path::Symbol`` names; None if there is no such thing."""
    path, _, symbol = reference.partition("::")
    if not (ROOT / path).exists():
        return None
    return (
        find_symbol(ast.parse((ROOT / path).read_text(encoding="utf-8")), symbol) if symbol else ROOT / path
    )


def thousands(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def commands(document: Path) -> list[str]:
    """Lines of the shell blocks of a Markdown file."""
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


NUMBERED = re.compile(r"(Eq\.|Table|Fig\.) ")
PAPER = {
    row[0]: row for row in table_rows(ROOT / "docs" / "reference" / "paper.md") if NUMBERED.match(row[0])
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_code_that_documents_name_exists(document: Path) -> None:
    spans = code_spans(document.read_text(encoding="utf-8"))
    named = [span for span in spans if PATH.match(span.partition("::")[0]) and "NAME" not in span]
    assert [span for span in named if resolve(span) is None] == []


def test_the_map_names_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^[├└]── (\S+)", text, flags=re.MULTILINE)
    rooms = [path for path in (ROOT / "src" / "histoscale").iterdir() if path.name not in UNMAPPED]
    assert sorted(named) == sorted(path.name + "/" * path.is_dir() for path in rooms)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_paper_is_mapped_whole() -> None:
    assert list(PAPER) == ITEMS


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_has_code(item: str) -> None:
    *_, where = PAPER[item]
    references = [span for span in code_spans(where) if PATH.match(span.partition("::")[0])]
    assert references, where


@pytest.mark.parametrize("item", [item for item in ITEMS if item.startswith("Eq.")])
def test_equations_are_where_the_map_says(item: str) -> None:
    *_, where = PAPER[item]
    definitions = [resolve(span) for span in code_spans(where) if "::" in span]
    docstrings = [
        ast.get_docstring(node) or ""
        for node in definitions
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert sum(text.startswith(item) for text in docstrings) == 1


def test_every_model_has_a_row() -> None:
    rows = [
        row
        for row in table_rows(ROOT / "docs" / "reference" / "models.md")
        if len(row) == 4 and row[2] != "64"
    ]
    printed = {name.strip("`"): parameters for name, parameters, *_ in rows}
    with torch.device("meta"):
        assert printed == {name: thousands(count_parameters(build(name))) for name in MODELS}


def test_every_encoder_has_a_row() -> None:
    rows = [
        row
        for row in table_rows(ROOT / "docs" / "reference" / "models.md")
        if len(row) == 4 and row[2] == "64"
    ]
    printed = {name.strip("`"): parameters for name, parameters, *_ in rows}
    with torch.device("meta"):
        assert printed == {name: thousands(count_parameters(build_encoder(name))) for name in ENCODERS}


def test_the_run_file_of_the_tutorial_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOSCALE_DATA", str(tmp_path))
    text = (ROOT / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
    (tmp_path / "run.toml").write_text(re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[-1])
    run = read_run(tmp_path / "run.toml")
    assert isinstance(build(run.model.name, **run.model.arguments), Thera)


def test_the_tutorial_shows_the_file_as_it_is() -> None:
    """Statements of its listing, annotations and comments left out, stand in the model's file."""
    text = (ROOT / "docs" / "reference" / "models.md").read_text(encoding="utf-8")
    listing = next(b for b in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "class Thera" in b)
    source = (ROOT / "src/histoscale/models/baselines/thera.py").read_text(encoding="utf-8")
    there = set(statements(source))
    assert [statement for statement in statements(listing) if statement not in there] == []


def statements(source: str) -> list[str]:
    """Every plain statement inside the functions of a file, written in one way."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    lines = [statement for function in functions for statement in function.body]
    plain = [
        ast.Assign([line.target], line.value, lineno=0)
        if isinstance(line, ast.AnnAssign) and line.value
        else line
        for line in lines
    ]
    return [ast.unparse(line) for line in plain if not isinstance(line, ast.With)]


def test_every_run_file_has_a_row() -> None:
    named = {row[0].strip("`") for row in table_rows(ROOT / "runs" / "README.md")}
    assert named == {f"runs/{path.name}" for path in (ROOT / "runs").glob("*.toml")}


def test_ci_runs_the_command_of_the_readme() -> None:
    last_line = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert last_line in commands(ROOT / "README.md")
    assert last_line.endswith("scripts/check")


def test_the_example_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "cmu-1.png", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    names: dict[str, object] = {}
    exec("\n".join(blocks), names)
    h, w, _ = names["image"].shape
    assert names["hr"].shape == (int(h * 3.3 + 0.5), int(w * 3.3 + 0.5), 3)
    assert names["hr"].dtype == names["image"].dtype


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    assert version in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_constraints_name_no_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [*wanted["dependencies"], *itertools.chain(*wanted["optional-dependencies"].values())]
    pinned = {pin.split("==")[0].lower() for pin in [*pins, "histoscale"]}
    assert {re.split(r"[\[<>=]", d)[0].lower() for d in direct} <= pinned


def test_results_in_the_documents_are_those_of_the_committed_files() -> None:
    found = subprocess.run([sys.executable, ROOT / "scripts" / "fill-docs", "--check"], check=False)
    assert found.returncode == 0, "run scripts/fill-docs"
