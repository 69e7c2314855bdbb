"""ISTE, one file a section of the paper."""
