"""Every encoder by name. To add an encoder, add its lines here."""

from collections.abc import Callable

from histoscale.errors import ConfigError
from histoscale.models.encoders.edsr import EDSREncoder
from histoscale.models.encoders.rdn import RDNEncoder
from histoscale.models.encoders.swinir import SwinIREncoder

Encoder = EDSREncoder | RDNEncoder | SwinIREncoder

ENCODERS: dict[str, Callable[[int, int], Encoder]] = {
    "edsr": EDSREncoder,
    "rdn": RDNEncoder,
    "swinir": SwinIREncoder,
}
PUBLISHED_BLOCKS = {"edsr": 16, "rdn": 16, "swinir": 6}


def build_encoder(name: str, blocks: int | None = None, channels: int = 64) -> Encoder:
    """Build the encoder called ``name``.

    ``edsr`` is EDSR-baseline, ``rdn`` is RDN's configuration B, ``swinir`` is SwinIR-M.

    Args:
        blocks: residual, dense or residual Swin blocks; the published number (16, 16, 6) if None.
        channels: channels of the output.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in ENCODERS:
        raise ConfigError(f"There is no encoder {name!r}: use one of {', '.join(ENCODERS)}.")
    return ENCODERS[name](PUBLISHED_BLOCKS[name] if blocks is None else blocks, channels)
