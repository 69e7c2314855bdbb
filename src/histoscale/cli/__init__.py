"""The command line: verbs and their options; the work is done in `workflows`."""

from histoscale.cli import compare, figures, frechet, learn, look, profile, study, take_over, tile, upscale
from histoscale.cli.verbs import app, main

__all__ = ["app", "main"]

for verb in (
    upscale.upscale,
    look.info,
    look.models,
    learn.train,
    learn.evaluate,
    compare.compare,
    figures.figures,
    frechet.frechet,
    profile.profile,
    tile.tile,
    study.study,
    take_over.import_weights,
):
    app.command()(verb)
