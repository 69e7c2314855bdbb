"""Frechet distance of pictures: which features, and between what."""
