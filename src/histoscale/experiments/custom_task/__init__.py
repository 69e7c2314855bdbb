"""``histoscale judge``: a user's own task on super-resolved images and on the originals."""
