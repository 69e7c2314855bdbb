"""Coordinates, interpolation, degradation and tiles, on tensors and integers only."""
