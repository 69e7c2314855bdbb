"""Which weights stand for a label, and what a caption says of them."""

from collections.abc import Callable
from pathlib import Path

from histoscale.experiments.figures.figure import Material, Models
from histoscale.experiments.methods import read_methods

Make = Callable[..., Material]


def test_the_first_of_several_seeds_is_shown_and_named(words: dict[str, str]) -> None:
    first, second = (words[label].partition("=")[2] for label in ("iste-tl-ltd", "iste-lfi-lpd"))
    models = Models(read_methods([f"net#7={first}", f"net#2={second}"]))
    assert list(models.methods) == ["net"]
    digest = models.methods["net"].files[0].digest
    assert models.credit(["bicubic", "net"], [2.0, 4.0]) == f"net#7 {digest}"
    assert models.missing(["net", "liif"]) == ["liif"]


def test_a_label_of_several_scales_has_one_model_each(
    words: dict[str, str], make: Make, tmp_path: Path
) -> None:
    material = make("edsr", "iste")
    assert material.models.load("edsr", 2) is material.models.load("edsr", 2)
    assert material.models.load("edsr", 2).scale == 2
    pair = material.examples[0].pair
    assert list(material.models.upscaled(pair, 2, ["iste"])) == ["bicubic", "iste"]
    assert list(material.models.upscaled(pair, 2)) == ["bicubic", "edsr", "iste"]
