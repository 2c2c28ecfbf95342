"""Refinement "best": gradient modification modules correct the generator's weights for one portrait.

After GANI ("Gradient Adjusting Networks for Domain Inversion", 2023): theta' = theta + M(gradient). Small
networks M, whose operators all kernels of the same width share, map what the loss asks of a weight to
that weight's correction; modules and corrected weights are learned together, on this one image. The paper's
formulas are lost from the text at hand, so these readings are ours:

* The gradient that a module sees is taken at the corrected weights and accumulated on the way: the sum of
  the steps that Adam makes of it. A gradient taken once, at the untouched weights, left
  the modules too little to work with in a rough trial on one face.
* Of a block's two linear operators the first acts along the input channels of a kernel and the second
  along its output channels.
* ScaleNorm measures length in units of its input's, and its scale starts at one. With the second operator
  small at first, an untrained module hands the accumulated gradient on as it is: it starts as plain tuning.
* Adam in place of Ranger.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.family import GeneratorFamily
from core.generators.residual import WeightShift
from core.refinement.optimise import (
    BETAS,
    KernelAdam,
    Likeness,
    Objective,
    TuningSettings,
    half_precision,
    tune,
)
from core.rendering.device_thread import Runs, at_once

NEGATIVE_SLOPE = 0.2
EPS = 1e-12


@dataclass(frozen=True)
class GradientSettings(TuningSettings):
    """blocks: residual blocks in a chain. module_rate: Adam's step for the modules' own weights.

    start: initial standard deviation of the second operators, in units of He's.
    """

    blocks: int = 1
    module_rate: float = 1e-2
    start: float = 0.01


class Block(nn.Module):
    """x + W2 leaky_relu(W1 x + b), then ScaleNorm, for all kernels (GANI, Equations 3 and 4)."""

    def __init__(self, shapes: Sequence[torch.Size], start: float, random: torch.Generator) -> None:
        super().__init__()
        self.first, self.bias, self.second = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        for width in sorted({shape[1] for shape in shapes}):
            bound = 1 / math.sqrt(width)
            self.first[str(width)] = torch.randn(width, width, generator=random) * math.sqrt(2) * bound
            self.bias[str(width)] = (2 * torch.rand(width, generator=random) - 1) * bound
        for width in sorted({shape[0] for shape in shapes}):
            spread = start * math.sqrt(2 / width)
            self.second[str(width)] = torch.randn(width, width, generator=random) * spread
        self.scale = nn.ParameterList(torch.ones(()) for _ in shapes)

    def forward(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """(O, k, k, I) each -> the same shapes."""
        return [self._one(x, scale) for x, scale in zip(gradients, self.scale, strict=True)]

    def _one(self, x: Tensor, scale: Tensor) -> Tensor:
        outputs, inputs = str(x.shape[0]), str(x.shape[-1])
        # The operators see x at mean square one. The factors go into their weights, which are smaller than x.
        size = _root_mean_square(x)
        hidden = F.linear(x, self.first[inputs] / size, self.bias[inputs])  # (O, k, k, I)
        hidden = F.leaky_relu(hidden, NEGATIVE_SLOPE).flatten(1)  # (O, k k I)
        y = x + (self.second[outputs] * size @ hidden).view(x.shape)
        return y * (scale * size / _root_mean_square(y))


class GradientModules(nn.Module):
    """Accumulated gradients -> corrections of the same shapes (O, I, k, k), near the identity at first."""

    def __init__(self, shapes: Sequence[torch.Size], settings: GradientSettings) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(settings.seed)
        self.blocks = nn.ModuleList(Block(shapes, settings.start, random) for _ in range(settings.blocks))

    def forward(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        x = [gradient.permute(0, 2, 3, 1) for gradient in gradients]  # (O, k, k, I)
        for block in self.blocks:
            x = block(x)
        return [y.permute(0, 3, 1, 2) for y in x]


def _root_mean_square(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x) / math.sqrt(x.numel()) + EPS


class ModifiedGradients:
    """The `Correction` that modules make of accumulated gradients."""

    def __init__(self, kernels: Sequence[Tensor], settings: GradientSettings) -> None:
        """kernels: (O, I, k, k) each, what is to be corrected."""
        self._accumulated = KernelAdam(kernels, settings.rate)
        shapes = [kernel.shape for kernel in kernels]
        self.modules = GradientModules(shapes, settings).to(kernels[0].device)
        self._rate = settings.module_rate
        self._adam = torch.optim.Adam(self.modules.parameters(), betas=BETAS)
        self._made: list[Tensor] = []

    def shifts(self) -> list[Tensor]:
        with half_precision(self._accumulated.values[0].device):
            self._made = self.modules(self._accumulated.values)
        return [made.detach().float() for made in self._made]

    def learn(self, gradients: Sequence[Tensor], pace: float) -> None:
        self._adam.zero_grad()
        torch.autograd.backward(
            self._made, [g.to(m.dtype) for g, m in zip(gradients, self._made, strict=True)]
        )
        self._adam.param_groups[0]["lr"] = self._rate * pace
        self._adam.step()
        self._accumulated.step(gradients, pace)


def refine_weights(
    generator: GeneratorFamily,
    likeness: Likeness,
    w_plus: Tensor,
    settings: GradientSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    preview: Callable[[WeightShift], None] | None = None,
    run: Runs = at_once,
) -> WeightShift:
    """The correction of the generator's kernels that makes it show this portrait.

    likeness: of pictures to the photo; w_plus: (L, D), its code, which stays as it is. progress, cancelled,
    preview, run: as in `optimise.tune`. The networks are left untouched, and may be used by other threads
    meanwhile. Equal arguments give equal bits on a CPU.

    Raises: Cancelled; RefinementFailed where no step gives finite numbers.
    """
    settings = settings or GradientSettings()
    objective = run(lambda: Objective(generator, likeness, w_plus, settings))
    correction = run(lambda: ModifiedGradients(objective.kernels, settings))
    return tune(objective, correction, settings, progress, cancelled, preview, run)
