"""Every model by name. To add a method, add one line here."""

from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from typing import Any

from histoscale.errors import ConfigError
from histoscale.models.base import SuperResolver
from histoscale.models.baselines.bicubic import Bicubic
from histoscale.models.baselines.fixed_scale import EDSR, RDN, SwinIR
from histoscale.models.baselines.itsrn import ITSRN
from histoscale.models.baselines.li2021 import Li2021
from histoscale.models.baselines.liif import LIIF
from histoscale.models.baselines.lit import LIT
from histoscale.models.baselines.lmi import LMI
from histoscale.models.baselines.lte import LTE
from histoscale.models.baselines.srmfenet import SRMFENet
from histoscale.models.baselines.swdnet import SWDNet
from histoscale.models.baselines.thera import Thera
from histoscale.models.iste.branches import Parts
from histoscale.models.iste.fast import FastISTE
from histoscale.models.iste.model import ISTE
from histoscale.models.iste.plus import ISTEPlus

MODELS: dict[str, Callable[..., SuperResolver]] = {
    "bicubic": Bicubic,
    "edsr": EDSR,
    "rdn": RDN,
    "swinir": SwinIR,
    "srmfenet": SRMFENet,
    "li2021": Li2021,
    "swdnet": SWDNet,
    "liif": LIIF,
    "lte": LTE,
    "lmi": LMI,
    "itsrn": ITSRN,
    "lit": LIT,
    "thera": Thera,
    "iste": ISTE,
    "iste-cells": partial(ISTE, keys="cells"),
    "iste-fast": FastISTE,
    "iste-fast-large": partial(FastISTE, blocks=16, channels=64),
    "iste-plus": ISTEPlus,
}
"""Name to builder. A builder's keyword arguments and their defaults are the model's architecture."""


def build(name: str, **arguments: Any) -> SuperResolver:
    """Build the model called ``name`` with newly initialised weights.

    Args:
        name: one of `MODELS`.
        arguments: keyword arguments of its builder, see `known_arguments`.

    Raises:
        ConfigError: for an unknown name or argument, or an invalid value.

    Example:
        >>> build("liif", encoder="edsr", blocks=2, channels=16).halo_px
        8
    """
    known = known_arguments(name)
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise ConfigError(f"Model {name!r} has no argument {unknown[0]!r}: use {', '.join(known) or 'none'}.")
    try:
        return MODELS[name](**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{key} = {value!r}" for key, value in arguments.items())
        raise ConfigError(f"Model {name!r} cannot be built with {given}: {error}") from error


def known_arguments(name: str) -> tuple[str, ...]:
    """List the arguments of the builder of ``name``.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in MODELS:
        raise ConfigError(f"There is no model {name!r}: use one of {', '.join(MODELS)}.")
    known: list[str] = []
    for parameter in signature(MODELS[name]).parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:  # **parts: the fields of `Parts`
            known += [p.name for p in signature(Parts).parameters.values() if p.name not in known]
        else:
            known.append(parameter.name)
    return tuple(known)
