"""Upscale what lies on disk: pictures and whole slides, one by one or many at once.

Both: `options` and `target` turn the wish into pixels, `engine` holds the model, `batch` takes one file after
the other, `account` and `outcome` tell what came of it. Pictures: `picture`, in one piece.

Slides: `slide` is the thread to follow. `slide_planning` chooses region, level, tile and memory (`survey`,
`budget`, `disk`) and makes a `slide_plan`; `slide_store` begins or resumes its store; `workers` or `cluster`
carry out `slide_tile` (with `tile_model`) for every tile, while the writer reads them through `slide_stream`.
"""
