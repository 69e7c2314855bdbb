"""How a failed allocation shows itself."""

MESSAGES = ("allocate memory", "not enough memory", "out of memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether numpy, torch on a processor, or torch on a GPU ran out of memory."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in MESSAGES)
    )
