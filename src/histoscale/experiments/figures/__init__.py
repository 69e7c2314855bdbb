"""``histoscale figures``: the paper's figures of images, drawn with the user's weights and data."""
