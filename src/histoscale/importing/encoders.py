"""Encoders of the official repositories: EDSR and RDN of LIIF's, SwinIR of LTE's."""

from dataclasses import replace
from typing import Any

from histoscale.errors import WeightsError
from histoscale.importing.checkpoint import State
from histoscale.importing.layout import Layout, Names, highest, sizes, within

EDSR: Names = (
    (r"first", r"head.0"),
    (r"body\.(\d+)\.conv1", r"body.\1.body.0"),
    (r"body\.(\d+)\.conv2", r"body.\1.body.2"),
    (r"body\.(\d+)", r"body.\1"),
)
RDN: Names = (
    (r"first", r"SFENet1"),
    (r"second", r"SFENet2"),
    (r"blocks\.(\d+)\.layers\.(\d+)", r"RDBs.\1.convs.\2.conv.0"),
    (r"blocks\.(\d+)\.fuse", r"RDBs.\1.LFF"),
    (r"fuse\.([01])", r"GFF.\1"),
)
_OURS = r"blocks\.(\d+)\.layers\.(\d+)\."
_SWIN_LAYER = r"layers.\1.residual_group.blocks.\2."
SWINIR: Names = (
    (r"first", r"conv_first"),
    (r"norm_in", r"patch_embed.norm"),
    (_OURS + r"norm([12])", _SWIN_LAYER + r"norm\3"),
    (_OURS + r"attention\.qkv", _SWIN_LAYER + r"attn.qkv"),
    (_OURS + r"attention\.projection", _SWIN_LAYER + r"attn.proj"),
    (_OURS + r"attention\.bias_table", _SWIN_LAYER + r"attn.relative_position_bias_table"),
    (_OURS + r"mlp\.0", _SWIN_LAYER + r"mlp.fc1"),
    (_OURS + r"mlp\.2", _SWIN_LAYER + r"mlp.fc2"),
    (r"blocks\.(\d+)\.conv", r"layers.\1.conv"),
    (r"norm_out", r"norm"),
    (r"last", r"conv_after_body"),
    (r"reduce\.0", r"conv_before_upsample.0"),
)
UNUSED = (
    r".*\.attn_mask",  # computed from the size of the input here
    r".*\.relative_position_index",
)
MEAN_SHIFT = (r"(.*\.)?(sub|add)_mean\.(weight|bias)",)
"""EDSR's mean shift, which is in the file of LIIF's repository but is not used there."""


def edsr_arguments(state: State) -> dict[str, Any]:
    """Find blocks and channels of an EDSR."""
    # The convolution after the blocks has the next number; if it is missing, the blocks tell.
    by_blocks = highest(state, r"body\.(\d{1,4})\.body\..*") + 1
    by_last = highest(state, r"body\.(\d{1,4})\.(weight|bias)")
    channels = sizes(state, channels=r"head\.0\..*|body\.\d+\.body\..*")
    return {"blocks": max(by_blocks, by_last, 1), **channels}


def rdn_arguments(state: State) -> dict[str, Any]:
    """Find blocks and channels of an RDN."""
    blocks = highest(state, r"RDBs\.(\d{1,4})\..*") + 1
    return {"blocks": max(blocks, 1), **sizes(state, channels=r"SFENet[12]\..*|GFF\.\d\..*")}


def swinir_arguments(state: State) -> dict[str, Any]:
    """Find residual Swin blocks and output channels of a SwinIR."""
    blocks = highest(state, r"layers\.(\d{1,4})\..*") + 1
    return {"blocks": max(blocks, 1), **sizes(state, channels=r"conv_before_upsample\.0\..*")}


ENCODERS = {
    "edsr": ("body.", EDSR, edsr_arguments),
    "rdn": ("RDBs.", RDN, rdn_arguments),
    "swinir": ("layers.", SWINIR, swinir_arguments),
}
"""For each encoder the prefix of its blocks, its names, and a function that finds its arguments."""


def on_encoder(head: Layout, state: State) -> Layout:
    """Return the layout of a model of LIIF's family with the encoder of this checkpoint.

    Args:
        head: the layout of the model without its encoder.
        state: the tensors of the checkpoint.

    Raises:
        WeightsError: if the encoder is unknown.
    """
    trunk = {k.removeprefix("encoder."): t for k, t in state.items() if k.startswith("encoder.")}
    encoder = _encoder_of(trunk)
    _, names, arguments = ENCODERS[encoder]
    return replace(
        head,
        arguments=lambda state: {"encoder": encoder, **arguments(trunk), **head.arguments(state)},
        names=(*within("encoder.", names, "encoder."), *head.names),
        unused=(*head.unused, *UNUSED, *MEAN_SHIFT),
    )


def _encoder_of(trunk: State) -> str:
    """Find the name of the encoder from the prefix of its blocks."""
    for encoder, (blocks, *_) in ENCODERS.items():
        if any(name.startswith(blocks) for name in trunk):
            return encoder
    raise WeightsError(f"it has no blocks of a known encoder ({', '.join(ENCODERS)})")
