"""The official models in plain form, for the tests beside them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def official() -> ModuleType:
    """`official.py`, which no package holds."""
    path = Path(__file__).with_name("official.py")
    spec = importlib.util.spec_from_file_location("official", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
