"""Coordinates, interpolation, degradation and tiles: tensors and integers only."""
