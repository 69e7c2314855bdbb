"""Rules of the code that no linter checks: sizes, names, equations, floors, tracked files."""

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

from histoscale.imaging.resize import bicubic_resize

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "histoscale"
MODULES = sorted(SOURCE.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function

EQUATIONS = range(1, 12)
LONGEST_FILE = 400
SHORTEST_MEDIAN, LONGEST_MEDIAN = 100, 180
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 12
MEDIAN_FUNCTION = 12
TRACKED_MIB = 40
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "lib", "tools"}
FOREIGN_WORDS = re.compile(
    r"(?<![\w.])/(work|home|root|Users)/\w"  # a path on one machine
    r"|--(extra-)?index-url|--find-links"  # a package index of one machine
    r"|\bissue #?\d|\bsub-?agents?\b|\b(TODO|FIXME|XXX)\b",
    re.IGNORECASE,
)
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".cff", ".csv", "", ".yml", ".html"}


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[Path, ast.AST]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path.relative_to(ROOT), node


def body_lines(function: Function) -> int:
    """Count the lines of a function without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 1 + (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 1


def parameters(function: Function) -> int:
    """Count the parameters of a function without ``self`` or ``cls``."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in named)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """List the files that git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_files_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_the_median_file_has_the_size_of_a_feature() -> None:
    lengths = [len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES]
    assert SHORTEST_MEDIAN <= statistics.median(n for n in lengths if n > 1) <= LONGEST_MEDIAN


def test_functions_are_short() -> None:
    lengths = {f"{path}::{node.name}": body_lines(node) for path, node in nodes(Function)}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) < MEDIAN_FUNCTION


def test_functions_have_few_parameters() -> None:
    """Verbs are exempt: each parameter of a verb is an option of the command line."""
    counts = {
        f"{path}::{node.name}": parameters(node)
        for path, node in nodes(Function)
        if not path.is_relative_to("src/histoscale/cli")
    }
    assert {name: n for name, n in counts.items() if n > MOST_PARAMETERS} == {}


def test_no_two_classes_have_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for path, node in nodes(ast.ClassDef):
        places.setdefault(node.name, []).append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_equation_opens_exactly_one_docstring() -> None:
    docstrings = (ast.get_docstring(node) or "" for _, node in nodes(Documented))
    opened = Counter(int(m[1]) for text in docstrings if (m := re.match(r"Eq\. \((\d+)\)", text)))
    assert opened == dict.fromkeys(EQUATIONS, 1)


def test_modules_have_meaningful_names() -> None:
    names = {part.removesuffix(".py") for path in MODULES for part in path.relative_to(SOURCE).parts}
    assert names.isdisjoint(VAGUE_NAMES)


def test_tests_mirror_the_source() -> None:
    """A test file is where its module is: ``tests/a/test_b.py`` for ``a/b.py`` or the room ``a/b/``."""
    about_the_house = {
        f"test_{what}.py" for what in ("docs", "help", "house", "public_api", "results", "viewers")
    }
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]
    tests = [test for test in tests if test.parts[0] != "fuzz"]  # across all rooms
    subjects = {
        t: SOURCE / t.parent / t.stem.removeprefix("test_") for t in tests if t.name not in about_the_house
    }
    assert [str(t) for t, s in subjects.items() if not (s.is_dir() or s.with_suffix(".py").is_file())] == []


def test_no_file_imports_the_public_names() -> None:
    """The public names are for users; a file of the package imports from the module that defines a name."""
    rooms = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    through = [
        f"{path}: {alias.name}"
        for path, node in nodes(ast.ImportFrom)
        if node.module == "histoscale"
        for alias in node.names
        if alias.name not in rooms
    ]
    assert through == []


def test_import_floors_hold() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["histoscale", "histoscale.cli"])
def test_importing_is_light(module: str) -> None:
    heavy = "{'torch', 'PIL', 'tifffile', 'imagecodecs', 'openslide', 'matplotlib', 'skimage', 'accelerate'}"
    command = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_a_wrong_shape_is_caught_in_tests() -> None:
    """Check that pytest runs with the option that turns signatures into checks."""
    with pytest.raises(jaxtyping.TypeCheckError, match="image"):
        bicubic_resize(torch.zeros(3, 4, 4), (8, 8))


def test_a_wrong_type_is_caught_in_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="size"):
        bicubic_resize(torch.zeros(1, 3, 4, 4), [8, 8])


def test_an_image_is_opened_as_one_of_the_formats_it_may_have() -> None:
    """Pillow has decoders for dozens of formats; without ``formats`` a file selects one of them."""
    opened = [
        f"{path}:{node.lineno}"
        for path, node in nodes(ast.Call)
        if ast.unparse(node.func) == "Image.open" and "formats" not in {word.arg for word in node.keywords}
    ]
    assert opened == []


def test_the_limits_of_the_process_are_not_changed() -> None:
    """They belong to the program that uses the package, and a change affects all its threads."""
    named = [
        f"{path}:{node.lineno}"
        for path, node in nodes(ast.Attribute)
        if node.attr in {"MAX_IMAGE_PIXELS", "LOAD_TRUNCATED_IMAGES"}
    ]
    assert named == []


def test_the_repository_stays_small(tracked: list[Path]) -> None:
    total = sum(path.stat().st_size for path in tracked)
    assert total < TRACKED_MIB * 2**20


def test_the_text_speaks_of_the_project_only(tracked: list[Path]) -> None:
    found = []
    for path in tracked:
        if path.suffix not in TEXT or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if FOREIGN_WORDS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_weights_are_small_and_carded() -> None:
    weights = sorted((SOURCE / "shipped").glob("*.safetensors"))
    assert weights, "the package ships no weights"
    assert [w.name for w in weights if w.stat().st_size > 16 * 2**20] == []
    assert [w.name for w in weights if not w.with_suffix(".json").is_file()] == []
