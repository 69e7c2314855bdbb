"""Which images, which crops, which degradation."""
