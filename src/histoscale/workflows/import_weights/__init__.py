"""Take over weights that the authors of a method published.

`checkpoint` reads a file, `encoders` and `heads` and `fixed_scale` say how official layers are called here,
`importing` puts them into a model of ours and writes it.
"""
