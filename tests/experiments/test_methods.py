"""Rows from arguments of the command line: labels, seeds, scales, and weights that cannot share a row."""

from pathlib import Path

import pytest

from histoscale import weights
from histoscale.errors import ConfigError, WeightsError
from histoscale.experiments.methods import (
    Method,
    MethodAtScale,
    WeightsFile,
    check_seeds,
    label_of,
    parse,
    read_methods,
)


@pytest.mark.parametrize(
    ("word", "name", "source"),
    [
        ("iste-fast", "iste-fast", "iste-fast"),
        ("out/net.safetensors", "net", "out/net.safetensors"),
        ("liif*=out/net.safetensors", "liif*", "out/net.safetensors"),
        ("liif#2=out/a=b.safetensors", "liif#2", "out/a=b.safetensors"),
        ("out/a=b.safetensors", "a=b", "out/a=b.safetensors"),
    ],
)
def test_labels_seeds_and_weights_are_parsed(word: str, name: str, source: str) -> None:
    assert parse(word) == (name, source)
    assert label_of(name) == name.split("#", maxsplit=1)[0]


def test_one_label_is_one_member_a_seed_and_one_file_a_scale(folder: Path) -> None:
    words = [f"edsr={folder}/edsr-x{scale}.safetensors" for scale in (3, 2)]
    methods = read_methods(
        [*words, f"net#1={folder}/a.safetensors", f"net#2={folder}/b.safetensors", "bicubic"]
    )
    assert [method.name for method in methods] == ["edsr", "net#1", "net#2"]
    assert [file.scale for file in methods[0].files] == [3, 2]
    assert [method.files[0].scale for method in methods[1:]] == [None, None]
    digest = weights.card(folder / "a.safetensors").sha256
    assert digest.startswith(methods[1].files[0].digest)
    assert len(methods[1].files[0].digest) == 12


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["e={}/edsr-x2.safetensors", "e={}/edsr-x2.safetensors"],
            r"both make x2: .* such as e#2=",
        ),
        (["e={}/a.safetensors", "e={}/b.safetensors"], "of row e both make every scale"),
        (["e={}/a.safetensors", "e={}/edsr-x3.safetensors"], "of row e both make x3"),
        (["e#1={}/a.safetensors", "e={}/b.safetensors"], "Row e has models with and without a seed"),
        (["e#1={}/a.safetensors", "e#2={}/a.safetensors"], "Row e has the same weights twice"),
        (["bicubic={}/a.safetensors"], "Bicubic is in every comparison"),
    ],
)
def test_weights_that_cannot_be_one_row(folder: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_methods([word.format(folder) for word in words])
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named() -> None:
    with pytest.raises(WeightsError, match="There are no weights named nobody"):
        read_methods(["iste=nobody"])


def test_seeds_of_other_rows_do_not_matter() -> None:
    check_seeds(["a#1", "a#2", "b"])


# Which weights stand for a method at a scale.


TWO, FOUR = WeightsFile("two", "2", 2), WeightsFile("four", "4", 4)
FIXED, ANY = Method("edsr", (FOUR, TWO)), Method("net", (WeightsFile("net", "n"),))


@pytest.mark.parametrize(
    ("scale", "resized", "plain"),
    [
        (2.0, MethodAtScale("edsr", TWO), MethodAtScale("edsr", TWO)),
        (4.0, MethodAtScale("edsr", FOUR), MethodAtScale("edsr", FOUR)),
        (1.5, MethodAtScale("edsr", TWO, 2), MethodAtScale("edsr", TWO)),
        (2.4, MethodAtScale("edsr", FOUR, 4), MethodAtScale("edsr", FOUR)),
        (6.0, MethodAtScale("edsr", FOUR, 4), MethodAtScale("edsr", FOUR)),
    ],
)
def test_the_next_larger_scale_or_the_largest(
    scale: float, resized: MethodAtScale, plain: MethodAtScale
) -> None:
    assert FIXED.at(scale, allow_resize=True) == resized
    assert FIXED.at(scale) == plain


def test_any_scale_is_never_resized() -> None:
    assert ANY.at(2.4, allow_resize=True) == MethodAtScale("net", ANY.files[0])
