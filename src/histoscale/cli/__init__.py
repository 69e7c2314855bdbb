"""The command line: verbs and their options; the work is done in `workflows`."""

from histoscale.cli import (
    cancer,
    compare,
    figures,
    frechet,
    glands,
    judge,
    learn,
    look,
    profile,
    study,
    take_over,
    tile,
    upscale,
)
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
    glands.glands,
    profile.profile,
    tile.tile,
    study.study,
    cancer.cancer,
    judge.judge,
    take_over.import_weights,
):
    app.command()(verb)
