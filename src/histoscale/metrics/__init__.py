"""Measures of images, of segmented objects and of classifications, and statistical tests."""
