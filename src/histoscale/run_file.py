"""Run files: read TOML, combine it with a recipe, override keys by ``--set``, check the result."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from histoscale.errors import ConfigError

TablesT = TypeVar("TablesT", bound=BaseModel)
Content = dict[str, Any]
RECIPE, WHEN, ARGUMENTS = "recipe", "when", "arguments"


def read_tables(path: Path, kind: type[TablesT], overrides: Sequence[str] = ()) -> TablesT:
    """Read a run file, override its keys and check it.

    Args:
        path: the file. Its key ``recipe`` names a file beside it whose tables it shares.
        kind: what the file must hold.
        overrides: ``KEY=VALUE`` each, see `override`.

    Raises:
        ConfigError: if the file is missing, is not TOML, or a key or value is wrong.
    """
    return check_tables(override(read_content(path), overrides, kind), kind, [path], overrides)


def read_content(path: Path) -> Content:
    """Read the tables of a file and of its recipe without a check; keys of the file go before the recipe's.

    Raises:
        ConfigError: if a file is missing or is not TOML.
    """
    content = _read_toml(path)
    recipe = content.pop(RECIPE, None)
    if recipe is None:
        return content
    if not isinstance(recipe, str):
        raise ConfigError(f"{path}: recipe must be the name of a file beside it, not {recipe!r}.")
    return combine(read_content(path.parent / recipe), content)


def combine(shared: Content, own: Content) -> Content:
    """Combine two files table by table; the keys of ``own`` go before those of ``shared``."""
    combined = shared | own
    for name, table in own.items():
        if isinstance(table, dict) and isinstance(shared.get(name), dict):
            combined[name] = shared[name] | table
    if isinstance(own.get(WHEN), dict):  # cases with the same condition are combined
        cases = shared.get(WHEN, {})
        joined = {case: combine(cases.get(case, {}), tables) for case, tables in own[WHEN].items()}
        combined[WHEN] = cases | joined
    return combined


def override(content: Content, overrides: Sequence[str], kind: type[BaseModel]) -> Content:
    """Set single keys, and the tables ``[when."KEY=VALUE and KEY=VALUE"]`` of keys that have these values.

    A key is dotted: ``training.steps=1000``. A value is TOML or a bare word, and several separated by commas
    where the key takes a list: ``data.sets=glas``, ``data.scales=2,3,4``. A key that ``[model]`` does not
    have is an argument of the model: ``model.encoder=rdn`` sets ``model.arguments.encoder``. A number counts
    the tables of a list: ``models.0.weights=iste``.

    Args:
        content: of the file.
        overrides: ``KEY=VALUE`` each; they go before the tables under ``when``.
        kind: what the file must hold.

    Raises:
        ConfigError: if a key is not known.
    """
    cases: dict[str, Content] = content.get(WHEN, {})
    content = {name: table for name, table in content.items() if name != WHEN}
    if "data" in kind.model_fields:
        content.setdefault("data", {})
    # Before the cases, whose conditions may ask for a value that an option sets.
    for setting in overrides:
        content = _assigned(content, setting, kind)
    for condition, tables in cases.items():
        parsed = [_parse(part, kind) for part in condition.split(" and ")]
        if all(find_value(content, keys) == value for keys, value in parsed):
            content = combine(content, tables)
    # Again, because a case may have set a key that an option names.
    for setting in overrides if cases else ():
        content = _assigned(content, setting, kind)
    return content


def find_value(content: Any, keys: Sequence[str]) -> Any:
    """The value of a dotted key, or None."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def check_tables(
    content: Content, kind: type[TablesT], paths: Sequence[Path], overrides: Sequence[str] = ()
) -> TablesT:
    """Check the content of one or several files.

    Args:
        content: of all files together.
        kind: what it must hold.
        paths: the files; the error names the one that holds the wrong key.
        overrides: what was overridden.

    Raises:
        ConfigError: if a key or value is wrong.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        keys = tuple(str(part) for part in error.errors()[0]["loc"])
        by_option = (f"--set {s}" for s in overrides if tuple(_parse(s, kind)[0]) == keys)
        in_file = (str(found) for path in paths if (found := _file_with(path, keys)))
        where = next(by_option, next(in_file, str(paths[0])))
        raise ConfigError(f"{where}: {_explain(error, kind)}.") from error


def _read_toml(path: Path) -> Content:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"The run file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a bare ValueError
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _file_with(path: Path, keys: Sequence[str]) -> Path | None:
    """The file that holds a key: ``path`` or its recipe."""
    content = _read_toml(path)
    if find_value(content, keys) is not None:
        return path
    return _file_with(path.parent / content[RECIPE], keys) if RECIPE in content else None


def _assigned(content: Content, setting: str, kind: type[BaseModel]) -> Content:
    """The content with one key set."""
    keys, value = _parse(setting, kind)
    changed: Content = _with_value(content, keys, value, setting)
    return changed


def _with_value(content: Any, keys: Sequence[str], value: Any, setting: str) -> Any:
    if not keys:
        return value
    first, *rest = keys
    if isinstance(content, list):
        if not first.isdecimal() or int(first) >= len(content):
            raise ConfigError(f"--set {setting}: {first} must be a number from 0 to {len(content) - 1}.")
        changed = _with_value(content[int(first)], rest, value, setting)
        return [*content[: int(first)], changed, *content[int(first) + 1 :]]
    table = content if isinstance(content, dict) else {}
    return table | {first: _with_value(table.get(first), rest, value, setting)}


def _parse(setting: str, kind: type[BaseModel]) -> tuple[list[str], Any]:
    """The keys that lead to a value, and the value, of ``KEY=VALUE``."""
    dotted, sign, text = setting.partition("=")
    if not sign or not dotted.strip():
        raise ConfigError(f"--set {setting}: write KEY=VALUE, for example training.steps=1000.")
    keys, annotation = split_key(dotted.strip(), kind)
    return keys, _to_value(text.strip(), annotation)


def split_key(dotted: str, kind: type[BaseModel]) -> tuple[list[str], Any]:
    """The names of the tables that lead to a key, its own name last, and the type of its value.

    Raises:
        ConfigError: if a table has no such key.
    """
    keys: list[str] = []
    annotation: Any = kind
    for key in dotted.split("."):
        if fields := getattr(annotation, "model_fields", None):
            if key not in fields and ARGUMENTS in fields:
                keys, annotation = [*keys, ARGUMENTS], Any
            elif key not in fields:
                raise ConfigError(f"Unknown key {key} in {dotted}; known here are {', '.join(fields)}.")
            else:
                annotation = fields[key].annotation
        else:  # an entry of a dictionary, or of a list of tables
            annotation = next((part for part in get_args(annotation) if hasattr(part, "model_fields")), Any)
        keys.append(key)
    return keys, annotation


def _to_value(text: str, annotation: Any) -> Any:
    """A value of a command line as TOML would give it."""
    if get_origin(annotation) is tuple and not text.startswith("["):
        item = get_args(annotation)[0]
        return [_to_value(part.strip(), item) for part in text.split(",")] if text else []
    if _takes_text(annotation) and not text.startswith(("'", '"')):
        return text
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text


def _takes_text(annotation: Any) -> bool:
    """Whether a key takes a text or path, so that ``2`` and ``true`` are texts as well."""
    if annotation in (str, Path) or isinstance(annotation, str):
        return True
    return get_origin(annotation) not in (dict, tuple) and any(_takes_text(a) for a in get_args(annotation))


def _explain(error: ValidationError, whole: type[BaseModel]) -> str:
    """The first complaint of pydantic about ``whole`` as part of a sentence."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])  # empty if keys contradict each other
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        return f"{place}: {message[0].lower()}{message[1:]}".removeprefix(": ")
    table: Any = whole
    for part in first["loc"][:-1]:
        if isinstance(part, str):  # a number counts the tables of a list
            inner = table.model_fields[part].annotation
            table = next((kind for kind in get_args(inner) if isinstance(kind, type)), inner)
    return f"unknown key {place}; known here are {', '.join(table.model_fields)}"
