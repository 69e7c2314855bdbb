"""Cut slides into the sub-images that models are trained on.

`cuts` says where in a slide, `splits` which of them are for training, validation and test, and `folder`
writes them with a manifest.
"""
