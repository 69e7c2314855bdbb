"""Figs. 8 and 9: the features before and after ISTE's texture learner, and the output of each decoder."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from histoscale.experiments.figures.comparisons import low_resolution, original
from histoscale.experiments.figures.crops import RULE, CropPair
from histoscale.experiments.figures.figure import Drawn, Example, LeftOut, Material
from histoscale.experiments.figures.panels import Panel, as_squares, coloured, draw_sheet
from histoscale.experiments.images import RgbImage, as_batch, as_pixels
from histoscale.models.iste.model import ISTE, IntermediateMaps

FIG_8 = "Fig. 8: features before and after the texture learner"
FIG_9 = "Fig. 9: the output of each decoder"
CHANNELS = 4
"""Number of channels shown of each map: those of greatest variance."""
FEATURES = "viridis"
NO_ISTE = "Left out: it needs weights of iste with both decoders, such as -m iste=iste."


def inside_iste(material: Material) -> Iterator[Drawn | LeftOut]:
    """Draw F_LR and F_TL, a figure for each data set; then I_LPD and I_LTD, a row for each."""
    found = find_iste(material)
    if found is None:
        yield from (LeftOut(section, NO_ISTE) for section in (FIG_8, FIG_9))
        return
    label, model = found
    credit = material.models.credit([label], [material.scale])
    decoders = []
    for number, example in enumerate(material.one_per_set, start=1):
        with torch.inference_mode():
            maps = model.intermediate_maps(
                as_batch(example.pair.lr[None]).to(material.models.device), example.pair.size
            )
        figure = draw_features(example, maps)
        yield Drawn(f"fig08-{number}-texture", FIG_8, about_features(material, example, maps), figure, credit)
        decoders.append(decoder_panels(example, maps))
    figure = draw_sheet(decoders, max(material.examples[0].pair.size))
    yield Drawn("fig09-decoders", FIG_9, about_decoders(material, label), figure, credit)


def draw_features(example: Example, maps: IntermediateMaps) -> Figure:
    """Draw the features before the texture learner above those after it."""
    pair = example.pair
    before = [low_resolution(pair), *channels(maps.f_lr[0], "$F_{LR}$", pair)]
    after = [original(example), *channels(maps.f_tl[0], "$F_{TL}$", pair)]
    return draw_sheet([before, after], max(pair.size))


def decoder_panels(example: Example, maps: IntermediateMaps) -> list[Panel]:
    """Make a row of Fig. 9."""
    total = maps.i_lpd + maps.i_ltd
    return [
        low_resolution(example.pair),
        Panel(as_image(maps.i_lpd), "$I_{LPD}$", mean_and_sd(maps.i_lpd)),
        Panel(as_image(maps.i_ltd), "$I_{LTD}$", mean_and_sd(maps.i_ltd)),
        Panel(as_image(total), "$I_{LPD} + I_{LTD}$", mean_and_sd(total)),
        original(example),
    ]


def about_features(material: Material, example: Example, maps: IntermediateMaps) -> str:
    """Write the caption of Fig. 8."""
    return (
        f"{example.scene.describe()} ({RULE}); {material.setting}. Above F_LR, the {maps.f_lr.shape[1]} "
        f"input channels of the texture learner; below F_TL, its {maps.f_tl.shape[1]} output channels. Each "
        "output pixel is computed for the cell that it lies in. The first map is the root mean square over "
        f"all channels, the others are the {CHANNELS} channels of greatest variance (a channel below need "
        "not correspond to the one above). Each map is shown from its 1st percentile (dark) to its 99th "
        "(bright)."
    )


def about_decoders(material: Material, label: str) -> str:
    """Write the caption of Fig. 9."""
    places = "; ".join(example.scene.describe() for example in material.one_per_set)
    return (
        f"{places} ({RULE}); {material.setting}. The outputs of the pixel decoder (LPD) and of the texture "
        f"decoder (LTD) of row {label}, and their sum, the model's output. In all of them mid-grey is 0, "
        "black is -1 and white is +1. Above each its mean ± standard deviation in grey levels from "
        "mid-grey. How the two decoders share the mean colour depends on the training and has no meaning."
    )


def find_iste(material: Material) -> tuple[str, ISTE] | None:
    """Choose the model to show: the row ``iste`` if possible, or the first ISTE with both decoders."""
    labels = sorted(material.models.methods, key=lambda label: label != "iste")
    for label in labels:
        model = material.models.load(label, material.scale)
        if isinstance(model, ISTE) and model.branches.pixel_decoder and model.branches.texture_decoder:
            return label, model
    return None


def as_image(output: Float[Tensor, "1 3 H W"]) -> RgbImage:
    """Convert colours in [-1, 1] to bytes."""
    image: RgbImage = as_pixels(output * 0.5 + 0.5)[0]
    return image


def mean_and_sd(output: Float[Tensor, "1 3 H W"]) -> str:
    """Write mean and standard deviation of an output, in grey levels."""
    return f"{127.5 * float(output.mean()):+.1f} ± {127.5 * float(output.std()):.1f}"


def channels(features: Float[Tensor, "c _ _"], name: str, pair: CropPair) -> list[Panel]:
    """Make panels of the root mean square of some features, and of their channels of greatest variance."""
    strongest = features.flatten(1).var(dim=1).argsort(descending=True)[:CHANNELS].tolist()
    maps = [features.square().mean(dim=0).sqrt(), *(features[channel] for channel in strongest)]
    titles = [f"{name}, rms", *(f"{name}, channel {channel}" for channel in strongest)]
    return [
        Panel(shaded(one.cpu().numpy(), pair.size), title) for one, title in zip(maps, titles, strict=True)
    ]


def shaded(values: Float[np.ndarray, "_ _"], size: tuple[int, int]) -> RgbImage:
    """Colour a map from its 1st to its 99th percentile, at the size of the ground truth."""
    low, high = np.percentile(values, (1, 99))
    return as_squares(coloured(values, low, high, FEATURES), size)
