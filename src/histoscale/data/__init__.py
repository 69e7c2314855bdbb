"""Data sets of images, and pairs of low- and high-resolution patches for training."""
