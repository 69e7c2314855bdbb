"""``histoscale cancer``: the accuracy of a classifier trained on originals, on super-resolved images."""
