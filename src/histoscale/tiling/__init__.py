"""Cut slides into sub-images for training.

`crops` chooses the places in a slide, `splits` divides the sub-images into training, validation and test, and
`dataset` writes them with a manifest.
"""
