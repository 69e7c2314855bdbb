"""Upscale images and slides on disk, one or many.

Read in this order. `jobs` pairs inputs with outputs and processes one file after the other (`api` does the
same for one slide from Python); `request` reads the `options` against a file's header, `geometry` the size.

An image: `image` reads, computes and writes it in one piece. A slide: `slide` calls `planning`, which chooses
level, tile and workers (`memory`) and makes the `plan`; `resume` finds the tiles of an interrupted run; an
executor (`executors`, `dask_executor`) computes every missing `tile` (by `tile_model`, where `tissue` says
so) while the writer reads finished tiles through `stream`; `findings` measures the written slide.

`results`, `record` and `report` say what was written and how. `fingerprint` tells files apart; with
``--resume`` `finished` compares an output that is complete with what the options ask for.
"""
