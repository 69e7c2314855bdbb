"""``histoscale figures``: the paper's figures of images, drawn with one's own weights on one's own data."""
