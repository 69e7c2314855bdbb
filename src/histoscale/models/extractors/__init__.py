"""Feature extractors for the Frechet distance: networks from an image to a vector."""
