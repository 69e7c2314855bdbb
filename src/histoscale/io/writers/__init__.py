"""Slides and images written: one file a format, and what all formats share."""
