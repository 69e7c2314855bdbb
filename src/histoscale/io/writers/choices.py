"""The choices for a slide that is written, as the command line names them; imports nothing."""

from typing import Literal, TypeAlias

Compression: TypeAlias = Literal["jpeg", "jpeg2000", "zstd", "deflate", "none"]
"""How the tiles of a slide are compressed."""
Layout: TypeAlias = Literal["ome", "openslide", "both"]
"""How an OME-TIFF holds its lower levels: in SubIFDs, as chained pages, or both over the same pixels."""
