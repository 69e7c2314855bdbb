"""The columns of the paper's tables, and refusals."""

import pytest

from histoscale.errors import ConfigError, ScaleError
from histoscale.experiments.compare.paper_tables import PRESETS, find_presets, scales_of


def test_the_columns_are_the_papers() -> None:
    assert {name: preset.scales for name, preset in PRESETS.items()} == {
        "table1": (2, 3, 4, 6, 8),
        "table2": (1.5, 2.4, 3.3, 4.2, 5.1),
        "table3": (1.5, 2, 2.4, 3, 3.3, 4, 4.2),
        "table4": (2, 3, 4),
        "table7": (2, 3, 4),
        "table9": (2, 3, 4),
    }
    assert [name for name, preset in PRESETS.items() if preset.any_scale_only] == ["table2", "table3"]


def test_presets_and_scales_stand_beside_each_other() -> None:
    found = find_presets(["table4", "table4"], [7.3, 2, 2])
    assert [preset.name for preset in found] == ["table4", "scales"]
    assert found[1].scales == (2, 7.3)
    assert scales_of(found) == (2, 3, 4, 7.3)


@pytest.mark.parametrize(
    ("names", "scales", "error", "words"),
    [
        (["table5"], [], ConfigError, "Unknown preset table5: choose table1, table2"),
        ([], [], ConfigError, "preset or scales"),
        ([], [0.5], ScaleError, r"at least 1.*0\.5"),
        ([], [float("nan")], ScaleError, "at least 1.*nan"),
    ],
)
def test_refusals(names: list[str], scales: list[float], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        find_presets(names, scales)
