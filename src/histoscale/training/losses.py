"""The losses of a training: L1 of Eq. 1, and those of SWD-Net, of Li et al. and of iste-plus."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.func import functional_call

from histoscale.config import LossTable, Run
from histoscale.data.pairs import Pair
from histoscale.errors import ConfigError
from histoscale.imaging.coords import output_positions
from histoscale.imaging.resize import bicubic_resize
from histoscale.models.base import CoordinateSuperResolver, SuperResolver, as_grid
from histoscale.models.baselines.fixed_scale import FixedScale
from histoscale.models.baselines.li2021 import Li2021, PatchGAN
from histoscale.models.baselines.swdnet import MULTIPLE_PX, SWDNet, haar
from histoscale.models.iste.plus import ISTEPlus
from histoscale.models.local_ensemble import as_rows, pick
from histoscale.training.curriculum import blurred_by_curriculum


class Objective(nn.Module):
    """Eq. (1): mean absolute error on (x - 0.5) / 0.5, of a whole patch or of sampled pixels.

    Attributes:
        adversary: the network that is trained against the model, if the loss has one.
    """

    def __init__(self, model: SuperResolver):
        super().__init__()
        self.model = model
        self.adversary: nn.Module | None = None

    def forward(self, pair: Pair, share: float) -> Float[Tensor, ""]:  # noqa: ARG002
        """Loss of one batch of 8-bit pairs when ``share`` of the run is over."""
        return doubled_error(predict(self.model, pair), unit_range(pair.target))


class WaveletObjective(Objective):
    """The loss of SWD-Net: first of the spatial stage alone, then of the coefficients and both images.

    Errors are summed. While the spatial stage learns alone, validation measures the output of the second
    stage, which is untrained.

    Args:
        model: the network.
        loss: gives the share of the run in which the spatial stage learns alone.
    """

    model: SWDNet

    def __init__(self, model: SWDNet, loss: LossTable):
        super().__init__(model)
        self.spatial_share = loss.spatial_share

    def forward(self, pair: Pair, share: float) -> Float[Tensor, ""]:
        """Loss of one batch of 8-bit pairs when ``share`` of the run is over."""
        image, target = model_input(pair), unit_range(pair.target)
        if share < self.spatial_share:
            return summed_error(self.model.spatial(image), target)
        stages = self.model.stages(image)
        images = summed_error(stages.output, target) + summed_error(stages.spatial, target)
        return summed_error(stages.coefficients, haar(target)) + 0.1 * images


class AdversarialObjective(Objective):
    """The loss of Li et al.: L1 and the least-squares loss of a conditional PatchGAN, the adversary.

    Both networks take each step together, on the sum of their losses. The adversary's weights are constants
    in the model's loss; the model's output is a constant in the adversary's loss.

    Args:
        model: the generator.
        loss: gives the weight of the adversarial part, and whether the degradation grows.
    """

    model: Li2021
    adversary: PatchGAN

    def __init__(self, model: Li2021, loss: LossTable):
        super().__init__(model)
        self.weight = loss.adversarial_weight
        self.curriculum = loss.curriculum
        self.adversary = PatchGAN()

    def forward(self, pair: Pair, share: float) -> Float[Tensor, ""]:
        """Loss of one batch of 8-bit pairs when ``share`` of the run is over."""
        target = unit_range(pair.target)
        if self.curriculum:
            upscaled = blurred_by_curriculum(target, share, self.model.scale)
        else:
            upscaled = bicubic_resize(model_input(pair), (target.shape[2], target.shape[3]))
        made = self.model.sharpen(upscaled).float()
        # Detached copies: the model learns from the adversary's answer and does not change it.
        fixed = {name: parameter.detach() for name, parameter in self.adversary.named_parameters()}
        answer = functional_call(self.adversary, fixed, (made, upscaled)).float()
        real = self.adversary(target, upscaled).float()
        false = self.adversary(made.detach(), upscaled).float()
        learnt = (1 - self.weight) * (made - target).abs().mean() + self.weight * (answer - 1).square().mean()
        # Least squares: the adversary learns to answer 1 for a target and 0 for an output.
        judged = ((real - 1).square().mean() + false.square().mean()) / 2
        loss: Tensor = learnt + judged
        return loss


class ResidualObjective(Objective):
    """The loss of iste-plus: Eq. 1 of its base on whole patches; later also of the sum at some pixels.

    A step of the base costs the same on a whole patch as on the few pixels that the branches can compute, and
    the base learns more from it. The pixels are drawn from torch's random state, which a checkpoint keeps.

    Args:
        model: the network.
        loss: gives the share of the run in which the base learns alone, and the number of pixels.
    """

    model: ISTEPlus

    def __init__(self, model: ISTEPlus, loss: LossTable):
        super().__init__(model)
        self.base_share, self.points = loss.base_share, loss.points

    def forward(self, pair: Pair, share: float) -> Float[Tensor, ""]:
        """Loss of one batch of 8-bit pairs when ``share`` of the run is over."""
        image, target = model_input(pair), unit_range(pair.target)
        if share < self.base_share:
            return doubled_error(self.model.base(image, (target.shape[2], target.shape[3])), target)
        rows, cols = (
            output_positions(n, small).to(image.device)
            for n, small in zip(target.shape[2:], image.shape[2:], strict=True)
        )
        height, width = pair.cell[0].tolist()  # whole patches of a batch have one scale
        features = self.model.encode(image)
        base = self.model.base.render(features.fast, rows, cols, (height, width)).float()
        # Pixels of each patch, drawn with repetition; their residual is added to the base at the same places.
        chosen = torch.randint(len(rows) * len(cols), (len(image), self.points), device=image.device)
        residual = self.model.residual(features, as_grid(rows, cols)[chosen], pair.cell).float()
        at_points = doubled_error(pick(as_rows(base), chosen) + residual, pick(as_rows(target), chosen))
        return doubled_error(base, target) + at_points


def doubled_error(made: Tensor, target: Tensor) -> Float[Tensor, ""]:
    """Mean absolute error on (x - 0.5) / 0.5 of colours in [0, 1]: twice that on x."""
    loss: Tensor = 2 * (made.float() - target).abs().mean()
    return loss


def predict(model: SuperResolver, pair: Pair) -> Float[Tensor, "..."]:
    """The output of the model in the shape of ``pair.target``."""
    image = model_input(pair)
    if pair.positions.shape[1] and isinstance(model, CoordinateSuperResolver):
        return model.decode(model.encode(image), pair.positions, pair.cell)
    size = (pair.target.shape[-2], pair.target.shape[-1])
    whole: Tensor = model(image, size)
    return whole


def unit_range(pixels: UInt8[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Bytes as floats in [0, 1]."""
    return pixels.float() / 255


def model_input(pair: Pair) -> Float[Tensor, "b 3 h w"]:
    """The low-resolution patches in [0, 1], channels last, which is faster in convolutions."""
    return unit_range(pair.lr).contiguous(memory_format=torch.channels_last)


def summed_error(made: Tensor, target: Tensor) -> Float[Tensor, ""]:
    """Sum of absolute differences over the whole batch."""
    return (made.float() - target).abs().sum()


def objective_for(run: Run, model: SuperResolver) -> Objective:
    """Build the loss that a run file names.

    Raises:
        ConfigError: if the loss belongs to another model, or the model cannot learn from the pairs.
    """
    check_pairs(run, model)
    name = run.model.name
    match run.loss.kind:
        case "wavelets":
            if not isinstance(model, SWDNet):
                raise _other_models_loss("wavelets", "swdnet", name)
            if run.data.patch_px % MULTIPLE_PX:
                raise ConfigError(
                    f"data.patch_px is {run.data.patch_px}, but wavelets need a multiple of {MULTIPLE_PX}."
                )
            return WaveletObjective(model, run.loss)
        case "adversarial":
            if not isinstance(model, Li2021):
                raise _other_models_loss("adversarial", "li2021", name)
            return AdversarialObjective(model, run.loss)
        case "residual":
            if not isinstance(model, ISTEPlus):
                raise _other_models_loss("residual", "iste-plus", name)
            if run.data.queries:
                raise ConfigError(
                    f"data.queries is {run.data.queries}, but loss.kind = 'residual' needs 0: "
                    "it draws loss.points."
                )
            return ResidualObjective(model, run.loss)
        case "l1":
            return Objective(model)


def _other_models_loss(kind: str, owner: str, name: str) -> ConfigError:
    return ConfigError(f'loss.kind = "{kind}" works only with model {owner}; use "l1" for {name}.')


def check_pairs(run: Run, model: SuperResolver) -> None:
    """Raise `ConfigError` unless ``model`` can compute what the run trains and validates."""
    name, queries = run.model.name, run.data.queries
    if queries and not isinstance(model, CoordinateSuperResolver):
        raise ConfigError(f"data.queries is {queries}, but {name} needs 0: it answers whole patches only.")
    if isinstance(model, FixedScale):
        for table, scales in (("data", run.data.scales), ("validation", run.validation.scales)):
            if set(scales) != {model.scale}:
                got = ", ".join(f"{scale:g}" for scale in scales) or "a range"
                raise ConfigError(
                    f"{table}.scales is {got}, but this {name} makes x{model.scale} only: set it to "
                    f"[{model.scale}]."
                )
