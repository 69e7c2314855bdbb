"""The public names, and that importing them costs nothing."""

import subprocess
import sys

import pytest

import histoscale

NAMES = [
    "MODELS",
    "Card",
    "CoordinateSuperResolver",
    "HistoscaleError",
    "InputError",
    "ScaleError",
    "SuperResolver",
    "WeightsError",
    "__version__",
    "build",
    "card",
    "load",
    "save",
    "shipped",
    "upscale",
    "upscale_slide",
]


def fresh(code: str) -> str:
    """What ``code`` prints in a new interpreter."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert sorted(histoscale.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(histoscale))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert getattr(histoscale, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'downscale'"):
        _ = histoscale.downscale


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "torch numpy PIL openslide tifffile imagecodecs safetensors pydantic accelerate matplotlib"
    code = f"import sys, histoscale; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert fresh(code) == "[]"


def test_importing_every_name_imports_torch_but_no_file_format() -> None:
    code = (
        "import sys; from histoscale import *; assert callable(upscale);"
        "print([m in sys.modules for m in ('torch', 'PIL', 'openslide', 'tifffile', 'imagecodecs')])"
    )
    assert fresh(code) == "[True, False, False, False, False]"
