"""The command line: verbs and their options; the work is done in `workflows`."""

from histoscale.cli import learn, look, tile, upscale
from histoscale.cli.verbs import app, main

__all__ = ["app", "main"]

for verb in (upscale.upscale, look.info, look.models, learn.train, learn.evaluate, tile.tile):
    app.command()(verb)
