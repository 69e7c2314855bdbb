"""The command line: verbs and their options; the rooms below do the work."""

from histoscale.cli import (
    cancer,
    compare,
    figures,
    frechet,
    glands,
    import_weights,
    info,
    judge,
    profile,
    study,
    tile,
    train,
    upscale,
)
from histoscale.cli.app import app, main

__all__ = ["app", "main"]

for verb in (
    upscale.upscale,
    info.info,
    info.models,
    train.train,
    train.evaluate,
    compare.compare,
    figures.figures,
    frechet.frechet,
    glands.glands,
    profile.profile,
    tile.tile,
    study.study,
    cancer.cancer,
    judge.judge,
    import_weights.import_weights,
):
    app.command()(verb)
