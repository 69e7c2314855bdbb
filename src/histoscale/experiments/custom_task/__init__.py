"""``histoscale judge``: what a person's own task makes of enlarged images, beside the originals."""
