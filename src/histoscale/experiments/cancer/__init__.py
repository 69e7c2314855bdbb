"""``histoscale cancer``: a classifier trained on originals reads what other images leave of its accuracy."""
