"""The arbitrary-scale models of the official repositories, and what is laid out otherwise here."""

from functools import partial
from typing import Any

import torch

from histoscale.workflows.import_weights.checkpoint import State
from histoscale.workflows.import_weights.encoders import ENCODER, ENCODER_UNUSED, encoder_arguments
from histoscale.workflows.import_weights.layout import Layout, within


def _arguments(state: State, **shapes: str) -> dict[str, Any]:
    """The encoder's arguments and, for each other argument, the first side of the tensor that shows it."""
    return encoder_arguments(state) | {name: state[tensor].shape[0] for name, tensor in shapes.items()}


def _liif(state: State) -> State:
    """The first layer of [9 channels, offset, cell] apart: unfolded channels are a conv3x3's, row-major."""
    weight = state.pop("imnet.layers.0.weight")
    return {
        "feature_part.weight": weight[:, :-4].unflatten(1, (-1, 3, 3)),
        "feature_part.bias": state.pop("imnet.layers.0.bias"),
        "place_part.weight": weight[:, -4:],
    }


def _lte(state: State) -> State:
    """Two convolutions as one, its frequencies by axis: row and column take turns in the official one."""
    joined = {}
    for kind in ("weight", "bias"):
        amplitude, frequency = state.pop(f"coef.{kind}"), state.pop(f"freq.{kind}")
        joined[f"spectrum.{kind}"] = torch.cat((amplitude, frequency[0::2], frequency[1::2]))
    return joined


def _itsrn(state: State) -> State:
    """The last layer, [channel, neighbour, colour] by hidden units, as a convolution of the features."""
    rows = torch.cat((state.pop("imnet.layers.8.weight"), state.pop("imnet.layers.8.bias")[:, None]), dim=1)
    kernels = rows.unflatten(0, (-1, 3, 3, 3))  # channel, row, column, colour; hidden unit and bias
    return {"filters.weight": kernels.permute(3, 4, 0, 1, 2).flatten(0, 1)}


def _iste(state: State) -> State:
    """Three convolutions as one; linear maps of cells as convolutions of one pixel."""
    ours = {}
    for kind in ("weight", "bias"):
        parts = [state.pop(f"{name}.{kind}") for name in ("coef", "freq1", "freq2")]
        ours[f"branches.learner.spectrum.{kind}"] = torch.cat(parts)
        for theirs, name in (("qk_linear", "queries"), ("kv_linear", "keys_values"), ("proj", "project")):
            tensor = state.pop(f"pix_attn.{theirs}.{kind}")
            ours[f"branches.interactor.{name}.{kind}"] = (
                tensor.unflatten(-1, (-1, 1, 1)) if tensor.ndim > 1 else tensor
            )
    return ours


LIIF = Layout(
    partial(_arguments, width="imnet.layers.0.weight"),
    (
        *ENCODER,
        *((rf"imnet\.layers\.{n}", rf"layers.{n - 1}") for n in (2, 4, 6, 8)),
    ),
    ENCODER_UNUSED,
    _liif,
)
LTE = Layout(
    partial(_arguments, width="coef.weight"),
    (
        *ENCODER,
        (r"phase", r"phase"),
        (r"imnet\.layers\.(\d)", r"layers.\1"),
    ),
    ENCODER_UNUSED,
    _lte,
)
LMI = Layout(
    _arguments,
    (
        *ENCODER,
        (r"metanet\.layers\.(\d)", r"places.\1"),
        (r"imnet\.mixer_blocks\.0\.token_mix\.0\.net\.(\d)", r"mix_tokens.\1"),
        (r"imnet\.mixer_blocks\.0\.channel_mix\.0\.net\.(\d)", r"mix_channels.\1"),
        (r"imnet\.out", r"last"),
    ),
    ENCODER_UNUSED,
)
ITSRN = Layout(
    partial(_arguments, width="imnet.layers.0.weight"),
    (
        *ENCODER,
        (r"imnet\.layers\.([0246])", r"places.\1"),
        (r"Score\.layers\.(\d)", r"score.\1"),
        (r"Weight\.layers\.(\d)", r"fuse.\1"),
    ),
    ENCODER_UNUSED,
    _itsrn,
)
LIT = Layout(
    partial(
        _arguments,
        width="conv_ch.weight",
        heads="pb_encoder.proj.weight",
        hidden="imnets.0.layers.0.weight",
    ),
    (
        *ENCODER,
        (r"conv_ch", r"widen"),
        (r"conv_qs\.0", r"queries"),
        (r"conv_ks\.0", r"keys"),
        (r"conv_vs\.0", r"values"),
        (r"pb_encoder\.proj", r"place_bias"),
        (r"imnets\.0\.layers\.(\d)", r"layers.\1"),
    ),
    ENCODER_UNUSED,
)


def _iste_arguments(state: State) -> dict[str, Any]:
    """ISTE with windows as its authors cut them."""
    return _arguments(state, width="liifconv.weight", hidden="imnet_rgb.layers.0.weight") | {
        "lfi": "scrambled"
    }


ISTE = Layout(
    _iste_arguments,
    (
        *ENCODER,
        *within(
            "",
            (
                (r"liifconv", r"widen"),
                (r"phase", r"learner.phase"),
                (r"fusionlinear", r"fusion.aggregate"),
                (r"imnet_rgb\.layers\.0", r"pixel_decoder.first"),
                *((rf"imnet_rgb\.layers\.{n}", rf"pixel_decoder.rest.{n - 1}") for n in (2, 4, 6)),
                (r"imnet_texture\.layers\.(\d)", r"texture_decoder.mlp.\1"),
            ),
            "branches.",
        ),
    ),
    (
        *ENCODER_UNUSED,
        r"imnet_texture_auxiliary\..*",
        r"imnet_query\..*",
        r"pix_attn\.depth_conv\..*",
    ),
    _iste,
)
