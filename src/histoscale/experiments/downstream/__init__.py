"""What the downstream tasks share: keys of run files, settings and their images, training of a network."""
