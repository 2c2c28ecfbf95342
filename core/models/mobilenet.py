"""MobileNetV2 (Sandler et al., CVPR 2018) as a trunk: features of five resolutions of a picture.

Batch norms are folded into the convolutions, so that weights from elsewhere are `folded` first.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Table 2 of the paper: expansion t, channels c, repeats n, stride s of the first.
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
STEM = 32
# Stages whose outputs are given, finest first: their channels, and how many times smaller they are.
TAPPED = (0, 1, 2, 4, 6)
CHANNELS, STRIDES = (16, 24, 32, 96, 320), (2, 4, 8, 16, 32)
# ImageNet's, of RGB in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EPSILON = 1e-5


class Layer(NamedTuple):
    """A convolution and what its batch norm is called in torchvision's state dict."""

    name: str
    convolution: str
    norm: str


class InvertedResidual(nn.Module):
    """1x1 that widens, 3x3 of each channel alone, 1x1 that narrows; a shortcut where nothing changes size."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = nn.Conv2d(inputs, wide, 1) if expansion != 1 else None
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class MobileNetTrunk(nn.Module):
    """Pictures (B, 3, S, S) in [-1, 1] -> features of CHANNELS at S / STRIDES, finest first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 2, 1)
        stages, inputs = [], STEM
        for expansion, channels, repeats, stride in STAGES:
            units = [InvertedResidual(inputs, channels, stride, expansion)]
            units += [InvertedResidual(channels, channels, 1, expansion) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            inputs = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        mean, deviation = (pictures.new_tensor(part).view(1, 3, 1, 1) for part in (MEAN, DEVIATION))
        x, found = F.relu6(self.stem((pictures / 2 + 0.5 - mean) / deviation)), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPPED:
                found.append(x)
        return tuple(found)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Weights of torchvision's `mobilenet_v2`; its classifier, if there, is left out.

        Raises: KeyError or RuntimeError for another network's.
        """
        own: dict[str, Tensor] = {}
        for layer in _layers():
            weight, bias = _folded(state, layer)
            own |= {f"{layer.name}.weight": weight, f"{layer.name}.bias": bias}
        self.load_state_dict(own)


def _layers() -> list[Layer]:
    """Every convolution, as it is called here and there."""
    found, number = [Layer("stem", "features.0.0", "features.0.1")], 1
    for i, (expansion, _, repeats, _) in enumerate(STAGES):
        for j in range(repeats):
            own, theirs, at = f"stages.{i}.{j}", f"features.{number}.conv", 0
            if expansion != 1:
                found.append(Layer(f"{own}.expand", f"{theirs}.0.0", f"{theirs}.0.1"))
                at = 1
            found.append(Layer(f"{own}.depthwise", f"{theirs}.{at}.0", f"{theirs}.{at}.1"))
            found.append(Layer(f"{own}.project", f"{theirs}.{at + 1}", f"{theirs}.{at + 2}"))
            number += 1
    return found


def _folded(state: Mapping[str, Tensor], layer: Layer) -> tuple[Tensor, Tensor]:
    """The convolution and its bias with the norm inside: gamma (W x - mu) / sigma + beta."""
    gamma, beta, mean, variance = (
        state[f"{layer.norm}.{part}"].float() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / torch.sqrt(variance + EPSILON)
    return state[f"{layer.convolution}.weight"].float() * scale[:, None, None, None], beta - mean * scale
