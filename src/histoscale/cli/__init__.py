"""The command line: verbs and their options; the work is done in `workflows`."""

from histoscale.cli import compare, learn, look, study, tile, upscale
from histoscale.cli.verbs import app, main

__all__ = ["app", "main"]

for verb in (
    upscale.upscale,
    look.info,
    look.models,
    learn.train,
    learn.evaluate,
    compare.compare,
    tile.tile,
    study.study,
):
    app.command()(verb)
