"""The protocol of one case: sizes, crops, bicubic treated as models, errors."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn

from histoscale.data.manifest import ImageRecord, find_images
from histoscale.errors import ConfigError, DataError, InputError, ScaleError
from histoscale.experiments.images import Case, make_pair, plan_cases, spread
from histoscale.experiments.methods import BICUBIC
from histoscale.experiments.scoring import score_case
from histoscale.models.base import SuperResolver


class Nearest(SuperResolver):
    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        return nn.functional.interpolate(image, size, mode="nearest")


class OnlyDouble(SuperResolver):
    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        if size[0] != 2 * image.shape[2]:
            raise ScaleError("This model doubles.")
        return nn.functional.interpolate(image, size, mode="bicubic")


@pytest.fixture
def record(tmp_path: Path) -> ImageRecord:
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 256, (13, 15, 3), dtype=np.uint8))
    rough.resize((120, 97), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    return ImageRecord("a", tmp_path / "a.png", "made", prep="none")


@pytest.mark.parametrize(
    ("side", "scale", "lr", "hr"),
    # methods.md 2.4: HistoSR's 192 px and TCGA's 768 px
    [
        (192, 3.3, 58, 191),
        (192, 4.2, 45, 189),
        (192, 5.1, 37, 189),
        (768, 3.3, 232, 766),
        (192, 2.4, 80, 192),
    ],
)
def test_sizes_are_the_papers(side: int, scale: float, lr: int, hr: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    small, truth = make_pair(image, scale, "none")
    assert (small.shape, truth.shape) == ((lr, lr, 3), (hr, hr, 3))
    assert np.array_equal(truth, image[:hr, :hr])


def test_the_chosen_degradation_is_used() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    contrast = [float(make_pair(image, 4, kind)[0].std()) for kind in ("none", "B", "C")]
    assert contrast[0] > contrast[1] > contrast[2]


def test_scores_bicubic_first_and_then_every_model(record: ImageRecord) -> None:
    scores = score_case(Case(record, "none", 2.0), {"nearest": Nearest(), "double": OnlyDouble()})
    assert [s.model for s in scores] == [BICUBIC, "nearest", "double"]
    bicubic, nearest, double = scores
    assert bicubic.psnr_whole > nearest.psnr_whole + 1
    assert bicubic.ssim > nearest.ssim
    assert double.psnr_whole > nearest.psnr_whole
    assert (bicubic.dataset, bicubic.prep, bicubic.image, bicubic.scale) == ("made", "none", "a", 2.0)


def test_both_protocols_treat_bicubic_as_models(record: ImageRecord) -> None:
    class OurBicubic(SuperResolver):
        def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
            from histoscale.imaging.resize import bicubic_resize

            return bicubic_resize(image, size)

    bicubic, ours = score_case(Case(record, "B", 2.4), {"ours": OurBicubic()})
    assert ours.psnr_shaved == pytest.approx(bicubic.psnr_shaved, abs=1e-4)
    assert ours.psnr_whole == pytest.approx(bicubic.psnr_whole, abs=0.1)  # Pillow rounds in between


def test_a_scale_a_model_cannot_make_leaves_no_figures(record: ImageRecord) -> None:
    _, double = score_case(Case(record, "none", 3.0), {"double": OnlyDouble()})
    assert math.isnan(double.psnr_whole)
    assert math.isnan(double.ssim)


def test_scale_one_without_blur_is_perfect(record: ImageRecord) -> None:
    bicubic, nearest = score_case(Case(record, "none", 1.0), {"nearest": Nearest()})
    assert bicubic.psnr_whole == nearest.psnr_whole == nearest.psnr_shaved == math.inf
    assert nearest.ssim == 1


@pytest.mark.parametrize("scale", [40.0, 200.0])
def test_an_image_too_small_is_named_in_the_refusal(record: ImageRecord, scale: float) -> None:
    with pytest.raises(InputError, match=rf"a\.png cannot be (scored|used) at x{scale:g}: "):
        score_case(Case(record, "none", scale), {})


def test_plan_is_every_image_by_degradation_by_scale_once(record: ImageRecord) -> None:
    cases = plan_cases([record], [2, 3.3, 2.0], ["none", "B"])
    assert [(c.degradation, c.scale) for c in cases] == [("none", 2), ("none", 3.3), ("B", 2), ("B", 3.3)]


@pytest.mark.parametrize("scale", [0.5, 0.0, -2.0, math.nan, math.inf])
def test_impossible_scales_are_refused(record: ImageRecord, scale: float) -> None:
    with pytest.raises(ScaleError, match="at least 1"):
        plan_cases([record], [2, scale], ["B"])


def test_unknown_degradations_and_ambiguous_names_are_refused(record: ImageRecord) -> None:
    with pytest.raises(ConfigError, match="Unknown degradation E"):
        plan_cases([record], [2], ["E"])
    twin = ImageRecord("a", record.path.with_suffix(".jpg"), "made")
    with pytest.raises(DataError, match=r"a\.png and .*a\.jpg"):
        plan_cases([record, twin], [2], ["B"])


def test_spread_takes_from_the_whole_of_each_set() -> None:
    records = [ImageRecord(str(i), Path(str(i)), name) for name in ("s", "t") for i in range(6)]
    assert [(r.set, r.id) for r in spread(records, 2)] == [("s", "0"), ("s", "3"), ("t", "0"), ("t", "3")]
    assert spread(records, None) == records == spread(records, 99)


def test_a_crop_scores_the_middle_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 70, 3), dtype=np.uint8)
    for name, pixels in (("whole", image), ("middle", image[10:50, 15:55])):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"{name}.png")
    whole, middle = (find_images(tmp_path / f"{name}.png")[0] for name in ("whole", "middle"))
    cropped, alone = plan_cases([whole], [2.0], ["B"], crop_px=40), plan_cases([middle], [2.0], ["B"])
    assert score_case(cropped[0], {})[0].psnr_whole == score_case(alone[0], {})[0].psnr_whole
    (uncropped,) = plan_cases([whole], [2.0], ["B"])
    assert score_case(uncropped, {})[0].psnr_whole != score_case(alone[0], {})[0].psnr_whole
