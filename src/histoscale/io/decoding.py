"""Foreign bytes go through foreign decoders: whatever those raise means that the file is damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histoscale.errors import HistoscaleError, InputError


@contextmanager
def decoding(path: Path, place: str | None = None) -> Iterator[None]:
    """Turn any error of a decoder inside the block into one sentence.

    Args:
        place: which pixels are being read, in words, if not all.

    Raises:
        InputError: naming the file, the place and the decoder's reason.
    """
    try:
        yield
    except (HistoscaleError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything, from SyntaxError to struct.error
        reason = str(error).strip().splitlines()[0:1] or [type(error).__name__]
        where = f" in {place}" if place else ""
        raise InputError(f"{path} is damaged or incomplete{where}: {reason[0].rstrip('.')[:160]}.") from error
