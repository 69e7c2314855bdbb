"""Fixture with the paper's equations as loops, for the tests in this folder."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def literal() -> ModuleType:
    """Import `literal.py`, which is not in a package."""
    path = Path(__file__).with_name("literal.py")
    spec = importlib.util.spec_from_file_location("literal", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
