"""The arbitrary-scale models of the official repositories, without their encoders."""

from functools import partial
from typing import Any

import torch

from histoscale.importing.checkpoint import State
from histoscale.importing.layout import Layout, sizes, usual_side, within

IMNET_WIDTH = r"imnet\.layers\.[0246]\..*"
"""The hidden layers of LIIF's and ITSRN's perceptron."""


def _liif(ours: State) -> State:
    """Join the two parts of the first layer, [9 channels, offset, cell]."""
    # Unfolded channels have the order of a conv3x3's weights: channel, row, column.
    parts = (ours.pop("feature_part.weight").flatten(1), ours.pop("place_part.weight"))
    return {"imnet.layers.0.weight": torch.cat(parts, dim=1)}


def _lte(ours: State) -> State:
    """Split the convolution of the spectrum into amplitudes and frequencies."""
    # Official frequencies alternate row and column; ours are all rows, then all columns.
    official: State = {}
    for kind in ("weight", "bias"):
        spectrum = ours.pop(f"spectrum.{kind}")
        amplitude, frequency = spectrum.chunk(2)
        by_pairs = frequency.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1)
        official |= {f"coef.{kind}": amplitude, f"freq.{kind}": by_pairs}
    return official


def _itsrn(ours: State) -> State:
    """Convert the convolution of the features to the last layer of the official perceptron."""
    # Ours is [colour x (hidden units and bias), channel, 3, 3]; the official matrix is [channel x 3 x 3 x
    # colour, hidden units].
    kernels = ours.pop("filters.weight").unflatten(0, (3, -1))
    rows = kernels.permute(2, 3, 4, 0, 1).flatten(0, 3)
    return {"imnet.layers.8.weight": rows[:, :-1], "imnet.layers.8.bias": rows[:, -1]}


def _iste(ours: State) -> State:
    """Split the convolution of the spectrum into three; convert conv1x1 to linear layers."""
    official: State = {}
    for kind in ("weight", "bias"):
        parts = ours.pop(f"branches.learner.spectrum.{kind}").chunk(3)
        for name, part in zip(("coef", "freq1", "freq2"), parts, strict=True):
            official[f"{name}.{kind}"] = part
    for name, theirs in (("queries", "qk_linear"), ("keys_values", "kv_linear"), ("project", "proj")):
        official[f"pix_attn.{theirs}.weight"] = ours.pop(f"branches.interactor.{name}.weight").flatten(1)
    return official


def _lte_arguments(state: State) -> dict[str, Any]:
    """Find LTE's width, which is even."""
    width = usual_side(state, r"coef\..*|imnet\.layers\.[024]\..*") // 2 * 2
    return {"width": width} if width else {}


LIIF = Layout(
    partial(sizes, width=IMNET_WIDTH),
    (
        (r"feature_part", r"imnet.layers.0"),
        *((rf"layers\.{n - 1}", rf"imnet.layers.{n}") for n in (2, 4, 6, 8)),
    ),
    laid_out=_liif,
)
LTE = Layout(
    _lte_arguments,
    (
        (r"phase", r"phase"),
        (r"layers\.(\d)", r"imnet.layers.\1"),
    ),
    laid_out=_lte,
)
LMI = Layout(
    sizes,
    (
        (r"places\.(\d)", r"metanet.layers.\1"),
        (r"mix_tokens\.(\d)", r"imnet.mixer_blocks.0.token_mix.0.net.\1"),
        (r"mix_channels\.(\d)", r"imnet.mixer_blocks.0.channel_mix.0.net.\1"),
        (r"last", r"imnet.out"),
    ),
)
ITSRN = Layout(
    partial(sizes, width=IMNET_WIDTH),
    (
        (r"places\.(\d)", r"imnet.layers.\1"),
        (r"score\.(\d)", r"Score.layers.\1"),
        (r"fuse\.(\d)", r"Weight.layers.\1"),
    ),
    laid_out=_itsrn,
)
LIT = Layout(
    partial(
        sizes,
        width=r"conv_(ch|qs\.0|ks\.0|vs\.0)\..*",
        heads=r"pb_encoder\.proj\..*",
        hidden=r"imnets\.0\.layers\.[0246]\..*",
    ),
    (
        (r"widen", r"conv_ch"),
        (r"queries", r"conv_qs.0"),
        (r"keys", r"conv_ks.0"),
        (r"values", r"conv_vs.0"),
        (r"place_bias", r"pb_encoder.proj"),
        (r"layers\.(\d)", r"imnets.0.layers.\1"),
    ),
)


def _iste_arguments(state: State) -> dict[str, Any]:
    """Find the widths of an ISTE; its windows are cut as in the published code."""
    found = sizes(state, width=r"(liifconv|coef|freq[12])\..*", hidden=r"imnet_rgb\.layers\.[024]\..*")
    return found | {"lfi": "scrambled"}


ISTE = Layout(
    _iste_arguments,
    within(
        "branches.",
        (
            (r"interactor\.queries", r"pix_attn.qk_linear"),
            (r"interactor\.keys_values", r"pix_attn.kv_linear"),
            (r"interactor\.project", r"pix_attn.proj"),
            (r"widen", r"liifconv"),
            (r"learner\.phase", r"phase"),
            (r"fusion\.aggregate", r"fusionlinear"),
            (r"pixel_decoder\.first", r"imnet_rgb.layers.0"),
            *((rf"pixel_decoder\.rest\.{n - 1}", rf"imnet_rgb.layers.{n}") for n in (2, 4, 6)),
            (r"texture_decoder\.mlp\.(\d)", r"imnet_texture.layers.\1"),
        ),
    ),
    unused=(
        r"imnet_texture_auxiliary\..*",
        r"imnet_query\..*",
        r"pix_attn\.depth_conv\..*",
    ),
    laid_out=_iste,
)
