"""The columns of the paper's tables that compare methods by PSNR and SSIM."""

from collections.abc import Sequence
from dataclasses import dataclass

from histoscale.errors import ConfigError
from histoscale.experiments.images import check_scale


@dataclass(frozen=True)
class Preset:
    """The scales of a table.

    Attributes:
        trained_to: scales above it are out of distribution; None if the table makes no difference.
        any_scale_only: whether to leave out methods that do not make every one of the scales themselves.
        has_frechet: whether the Frechet distance is measured as well.
    """

    name: str
    title: str
    scales: tuple[float, ...]
    trained_to: float | None = None
    any_scale_only: bool = False
    has_frechet: bool = False


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("table1", "Table 1: all methods", (2.0, 3.0, 4.0, 6.0, 8.0), trained_to=4.0),
        Preset(
            "table2", "Table 2: scales that are no integers", (1.5, 2.4, 3.3, 4.2, 5.1), any_scale_only=True
        ),
        Preset(
            "table3",
            "At the scales of Table 3",
            (1.5, 2.0, 2.4, 3.0, 3.3, 4.0, 4.2),
            any_scale_only=True,
            has_frechet=True,
        ),
        Preset("table4", "Table 4: ISTE without each part", (2.0, 3.0, 4.0)),
        Preset("table7", "Table 7: ISTE on three encoders", (2.0, 3.0, 4.0)),
        Preset("table9", "Table 9: LIIF and LTE with more parameters", (2.0, 3.0, 4.0)),
    )
}
"""By name. In the paper, Table 3 has only the Frechet distance."""


def find_presets(names: Sequence[str], scales: Sequence[float]) -> tuple[Preset, ...]:
    """Find presets by name and, if scales are given, make one more of these.

    Raises:
        ConfigError: if a name is unknown, or neither names nor scales are given.
        ScaleError: if a scale is below 1 or no number.
    """
    for name in names:
        if name not in PRESETS:
            raise ConfigError(f"Unknown preset {name}: choose {', '.join(PRESETS)}.")
    for scale in scales:
        check_scale(scale)
    if not (names or scales):
        raise ConfigError("There is no scale to compare at: give a preset or scales.")
    found = [PRESETS[name] for name in dict.fromkeys(names)]
    if scales:
        found.append(Preset("scales", "The scales asked for", tuple(sorted({float(s) for s in scales}))))
    return tuple(found)


def scales_of(presets: Sequence[Preset]) -> tuple[float, ...]:
    """List every scale of some presets once, in ascending order."""
    return tuple(sorted({scale for preset in presets for scale in preset.scales}))
