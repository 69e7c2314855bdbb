"""Upscale what lies on disk: pictures today, one by one or many at once.

`target` turns the wish into pixels, `engine` holds the model, `picture` does one file, `batch` many, and
`outcome` tells what came of it.
"""
