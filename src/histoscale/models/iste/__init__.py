"""ISTE: one file for each section of the paper."""
