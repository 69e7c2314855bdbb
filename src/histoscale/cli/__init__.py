"""The command line: verbs and their options; the rooms below do the work."""

from histoscale.cli import (
    cancer,
    compare,
    evaluate,
    figures,
    frechet,
    glands,
    import_weights,
    info,
    judge,
    models,
    profile,
    study,
    tile,
    train,
    upscale,
)
from histoscale.cli.app import add_verb, app, main

__all__ = ["app", "main"]

PANELS = {
    "Images and slides": (upscale.upscale, info.info, models.models),
    "Training": (tile.tile, train.train, evaluate.evaluate, import_weights.import_weights),
    "Research": (
        compare.compare,
        study.study,
        figures.figures,
        profile.profile,
        frechet.frechet,
        judge.judge,
        glands.glands,
        cancer.cancer,
    ),
}

for panel, verbs in PANELS.items():
    for verb in verbs:
        add_verb(verb, panel)
