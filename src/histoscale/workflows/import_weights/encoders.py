"""The encoders of the official repositories: LIIF's files of EDSR and RDN, LTE's of SwinIR."""

from typing import Any

from histoscale.errors import WeightsError
from histoscale.workflows.import_weights.checkpoint import State
from histoscale.workflows.import_weights.layout import Names, layers_of, within

EDSR: Names = (
    (r"head\.0", r"first"),
    (r"body\.(\d+)\.body\.0", r"body.\1.conv1"),
    (r"body\.(\d+)\.body\.2", r"body.\1.conv2"),
    (r"body\.(\d+)", r"body.\1"),
)
RDN: Names = (
    (r"SFENet1", r"first"),
    (r"SFENet2", r"second"),
    (r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0", r"blocks.\1.layers.\2"),
    (r"RDBs\.(\d+)\.LFF", r"blocks.\1.fuse"),
    (r"GFF\.([01])", r"fuse.\1"),
)
_SWIN_LAYER = r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\."
_OURS = r"blocks.\1.layers.\2."
SWINIR: Names = (
    (r"conv_first", r"first"),
    (r"patch_embed\.norm", r"norm_in"),
    (_SWIN_LAYER + r"norm([12])", _OURS + r"norm\3"),
    (_SWIN_LAYER + r"attn\.qkv", _OURS + r"attention.qkv"),
    (_SWIN_LAYER + r"attn\.proj", _OURS + r"attention.projection"),
    (_SWIN_LAYER + r"attn\.relative_position_bias_table", _OURS + r"attention.bias_table"),
    (_SWIN_LAYER + r"mlp\.fc1", _OURS + r"mlp.0"),
    (_SWIN_LAYER + r"mlp\.fc2", _OURS + r"mlp.2"),
    (r"layers\.(\d+)\.conv", r"blocks.\1.conv"),
    (r"norm", r"norm_out"),
    (r"conv_after_body", r"last"),
    (r"conv_before_upsample\.0", r"reduce.0"),
)
UNUSED = (
    r".*\.attn_mask",  # computed from the size at hand
    r".*\.relative_position_index",
)
MEAN_SHIFT = (r"(.*\.)?(sub|add)_mean\.(weight|bias)",)
"""EDSR's mean shift, which its file in LIIF's repository has and does not use."""


def edsr_arguments(state: State, prefix: str = "") -> dict[str, Any]:
    """Blocks and channels of an EDSR."""
    channels = state[f"{prefix}head.0.weight"].shape[0]
    return {"blocks": layers_of(state, prefix + r"body\.\d+\.body\.0\.weight"), "channels": channels}


def rdn_arguments(state: State, prefix: str = "") -> dict[str, Any]:
    """Blocks and channels of an RDN."""
    channels = state[f"{prefix}SFENet1.weight"].shape[0]
    return {"blocks": layers_of(state, prefix + r"RDBs\.\d+\.LFF\.weight"), "channels": channels}


def swinir_arguments(state: State, prefix: str = "") -> dict[str, Any]:
    """Residual Swin blocks and output channels of a SwinIR."""
    channels = state[f"{prefix}conv_before_upsample.0.weight"].shape[0]
    return {"blocks": layers_of(state, prefix + r"layers\.\d+\.conv\.weight"), "channels": channels}


ENCODERS = {
    "edsr": ("head.0.weight", EDSR, edsr_arguments),
    "rdn": ("SFENet1.weight", RDN, rdn_arguments),
    "swinir": ("conv_first.weight", SWINIR, swinir_arguments),
}
"""For each encoder a tensor that only it has, its names, its arguments."""


def encoder_arguments(state: State) -> dict[str, Any]:
    """Which encoder a model of LIIF's family stands on, and its size.

    Raises:
        WeightsError: if it is none that is known here.
    """
    for name, (sign, _, arguments) in ENCODERS.items():
        if f"encoder.{sign}" in state:
            return {"encoder": name, **arguments(state, "encoder.")}
    raise WeightsError(f"Its encoder is none of {', '.join(ENCODERS)}.")


ENCODER: Names = tuple(pair for _, names, _ in ENCODERS.values() for pair in within("encoder.", names))
ENCODER_UNUSED = UNUSED + MEAN_SHIFT
