"""Import weights that the authors of a method published.

`checkpoint` reads a file. `encoders`, `heads` and `fixed_scale` describe the names and the layout of the
authors' tensors, with the classes of `layout`. `fitting` compares a file with a description and copies its
numbers into a model of this package. `importing` writes the model.
"""
