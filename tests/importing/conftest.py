"""Fixtures with the official models in plain form."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest


def beside(name: str) -> ModuleType:
    """Import a module of this folder, which is not part of a package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def official() -> SimpleNamespace:
    """Return the content of `official_trunks.py` and `official_heads.py`."""
    return SimpleNamespace(**(vars(beside("official_trunks")) | vars(beside("official_heads"))))
