"""Figs. 8 and 9: the maps before and after ISTE's texture learner, and what each decoder adds."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from histoscale.experiments.figures.comparisons import low_resolution, original
from histoscale.experiments.figures.crops import RULE, Pair
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material, Shown
from histoscale.experiments.figures.methods import Rows
from histoscale.experiments.figures.panels import Panel, as_squares, coloured, draw_sheet
from histoscale.experiments.images import Picture
from histoscale.models.iste.model import ISTE, IntermediateMaps

FIG_8 = "Fig. 8: features before and after the texture learner"
FIG_9 = "Fig. 9: what each decoder adds"
CHANNELS = 4
"""Channels shown of each map: those of greatest variance."""
FEATURES = "viridis"
LACKING = "Left out: it needs weights of iste with both decoders, such as -m iste=iste."


def inside_iste(material: Material) -> Iterator[Drawn | LeftOut]:
    """F_LR and F_TL, a figure for each data set; then I_LPD and I_LTD, a row for each."""
    found = find_iste(material)
    if found is None:
        yield from (LeftOut(section, LACKING) for section in (FIG_8, FIG_9))
        return
    label, model = found
    credit = material.rows.credit([label], [material.scale])
    decoders = []
    for number, shown in enumerate(material.one_a_set, start=1):
        with torch.inference_mode():
            seen = model.intermediate_maps(as_tensor(shown.pair.lr, material.rows), shown.pair.size)
        figure = draw_features(shown, seen)
        yield Drawn(f"fig08-{number}-texture", FIG_8, about_features(material, shown, seen), figure, credit)
        decoders.append(decoder_panels(shown, seen))
    figure = draw_sheet(decoders, max(material.shown[0].pair.size))
    yield Drawn("fig09-decoders", FIG_9, about_decoders(material, label), figure, credit)


def draw_features(shown: Shown, seen: IntermediateMaps) -> Figure:
    """The maps before the texture learner above those after it."""
    before = [low_resolution(shown.pair), *channels(seen.f_lr[0], "$F_{LR}$", shown.pair)]
    after = [original(shown), *channels(seen.f_tl[0], "$F_{TL}$", shown.pair)]
    return draw_sheet([before, after], max(shown.pair.size))


def decoder_panels(shown: Shown, seen: IntermediateMaps) -> list[Panel]:
    """A row of Fig. 9."""
    total = seen.i_lpd + seen.i_ltd
    return [
        low_resolution(shown.pair),
        Panel(as_picture(seen.i_lpd), "$I_{LPD}$", swing(seen.i_lpd)),
        Panel(as_picture(seen.i_ltd), "$I_{LTD}$", swing(seen.i_ltd)),
        Panel(as_picture(total), "$I_{LPD} + I_{LTD}$", swing(total)),
        original(shown),
    ]


def about_features(material: Material, shown: Shown, seen: IntermediateMaps) -> str:
    """The caption of Fig. 8."""
    return (
        f"{shown.scene.describe()} ({RULE}); {material.setting}. Above F_LR, the {seen.f_lr.shape[1]} "
        f"channels that the texture learner is given; below F_TL, the {seen.f_tl.shape[1]} that it makes of "
        "them, each output pixel seen from the cell that it lies in. First the root mean square over all "
        f"channels, then the {CHANNELS} of greatest variance (those below do not continue those above); each "
        "map from its 1st percentile (dark) to its 99th (bright)."
    )


def about_decoders(material: Material, label: str) -> str:
    """The caption of Fig. 9."""
    places = "; ".join(shown.scene.describe() for shown in material.one_a_set)
    return (
        f"{places} ({RULE}); {material.setting}. What the pixel decoder (LPD) and texture decoder (LTD) "
        f"of row {label} answer by themselves, and their sum, the model's output. In all of them "
        "mid-grey is zero, black -1, white +1; above each, mean ± standard deviation in grey levels from "
        "mid-grey. How the two share the mean colour is left to training and tells nothing."
    )


def find_iste(material: Material) -> tuple[str, ISTE] | None:
    """The model to look into: row ``iste`` if it is one, else the first ISTE with both decoders."""
    labels = sorted(material.rows.members, key=lambda label: label != "iste")
    for label in labels:
        model = material.rows.model(label, material.scale)
        if isinstance(model, ISTE) and model.branches.pixel_decoder and model.branches.texture_decoder:
            return label, model
    return None


def as_tensor(lr: Picture, rows: Rows) -> Float[Tensor, "1 3 h w"]:
    """A picture as models take it."""
    return torch.from_numpy(lr.astype(np.float32) / 255).permute(2, 0, 1)[None].to(rows.device)


def as_picture(answer: Float[Tensor, "1 3 H W"]) -> Picture:
    """Colours in [-1, 1] as bytes."""
    shown = (answer[0] * 0.5 + 0.5).clamp(0, 1) * 255
    return shown.round().byte().permute(1, 2, 0).cpu().contiguous().numpy()


def swing(answer: Float[Tensor, "1 3 H W"]) -> str:
    """Mean and standard deviation of an answer, in grey levels."""
    return f"{127.5 * float(answer.mean()):+.1f} ± {127.5 * float(answer.std()):.1f}"


def channels(features: Float[Tensor, "c _ _"], name: str, pair: Pair) -> list[Panel]:
    """A map's root mean square, and its channels of greatest variance."""
    strongest = features.flatten(1).var(dim=1).argsort(descending=True)[:CHANNELS].tolist()
    maps = [features.square().mean(dim=0).sqrt(), *(features[channel] for channel in strongest)]
    titles = [f"{name}, rms", *(f"{name}, channel {channel}" for channel in strongest)]
    return [
        Panel(shaded(one.cpu().numpy(), pair.size), title) for one, title in zip(maps, titles, strict=True)
    ]


def shaded(values: Float[np.ndarray, "_ _"], size: tuple[int, int]) -> Picture:
    """A map in colours from its 1st to its 99th percentile, at the size of the truth."""
    low, high = np.percentile(values, (1, 99))
    return as_squares(coloured(values, low, high, FEATURES), size)
