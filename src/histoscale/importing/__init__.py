"""Take over weights that the authors of a method published.

`checkpoint` reads a file. `encoders`, `heads` and `fixed_scale` say how our layers are called and laid out
there, in the terms of `layout`. `fitting` says what in a file is not so, and puts its numbers into a model of
ours; `importing` writes that.
"""
