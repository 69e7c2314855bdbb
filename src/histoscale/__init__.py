"""histoscale: arbitrary-scale super-resolution for H&E histopathology.

Example:
    >>> import histoscale
    >>> model = histoscale.load("iste-fast")
    >>> larger = histoscale.upscale(model, image, scale=3.3)  # image: uint8 array [h, w, 3]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscale.errors import HistoscaleError, InputError, ScaleError, WeightsError
    from histoscale.inference import upscale
    from histoscale.models.base import CoordinateSuperResolver, SuperResolver
    from histoscale.models.catalog import MODELS, build
    from histoscale.upscaling.api import upscale_slide
    from histoscale.weights import Card, card, load, save, shipped

    __version__: str

__all__ = [
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

_HOMES = {
    "errors": ("HistoscaleError", "InputError", "ScaleError", "WeightsError"),
    "inference": ("upscale",),
    "models.base": ("CoordinateSuperResolver", "SuperResolver"),
    "models.catalog": ("MODELS", "build"),
    "weights": ("Card", "card", "load", "save", "shipped"),
    "upscaling.api": ("upscale_slide",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself imports no torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("histoscale")
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"histoscale.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'histoscale' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
