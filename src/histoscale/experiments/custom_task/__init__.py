"""``histoscale judge``: a person's own task on super-resolved images, beside the originals."""
