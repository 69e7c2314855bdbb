"""Who is trained on what and tested on what: the paper's four settings, and those that make them fair."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from histoscale.workflows.glands.run_file import ORIGINAL

Way: TypeAlias = Literal["test", "train", "both"]
"""On which side a kind of images stands in for the originals."""
WAYS: tuple[Way, ...] = get_args(Way)
WORDS: dict[Way, str] = {
    "test": "trained on originals, tested on these",
    "train": "trained on these, tested on originals",
    "both": "trained and tested on these",
}


class Setting(NamedTuple):
    """Kinds of images that a U-Net learns from and is tested on."""

    trained_on: str
    tested_on: str


def setting_of(way: Way, kind: str) -> Setting:
    """The setting in which a kind of images stands in for the originals."""
    match way:
        case "test":
            return Setting(ORIGINAL, kind)
        case "train":
            return Setting(kind, ORIGINAL)
        case "both":
            return Setting(kind, kind)


def all_settings(kinds: Sequence[str]) -> list[Setting]:
    """Every setting once."""
    return list(dict.fromkeys(setting_of(way, kind) for way in WAYS for kind in kinds))


def kinds_tested(trained_on: str, kinds: Sequence[str]) -> list[str]:
    """What a U-Net that learned from a kind of images is tested on."""
    return [setting.tested_on for setting in all_settings(kinds) if setting.trained_on == trained_on]
