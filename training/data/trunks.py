"""Two small ImageNet trunks as features for probes: SqueezeNet 1.1 and AlexNet, weights given by path.

Iandola et al. 2016 and Krizhevsky 2014 with torchvision's layer numbers. Labels are made with one and judged
with the other, so that a slider is never judged by the features that found it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

INPUT_SIZE = 224
TRUNKS = ("squeezenet", "alexnet")
# Of the crop's 256 px: the face with its hair, where every attribute that is probed lies.
ROWS, COLUMNS = slice(28, 252), slice(16, 240)
Trunk = Callable[[Tensor], tuple[Tensor, ...]]


def load_trunk(name: str, path: Path) -> Trunk:
    """Faces (B, 3, 224, 224) in [0, 1] -> two feature maps. Raises ValueError for an unknown name, KeyError
    where the file is not that network's."""
    weights = {key.removeprefix("trunk."): value.float() for key, value in load_file(path).items()}
    if name == "squeezenet":
        return lambda x: _squeezenet(x, weights)
    if name == "alexnet":
        return lambda x: _alexnet(x, weights)
    raise ValueError(f"A trunk is one of {', '.join(TRUNKS)}, not {name!r}")


@torch.no_grad()
def grid_features(trunk: Trunk, pictures: np.ndarray, cells: int = 5) -> np.ndarray:
    """(N, 256, 256, 3) uint8 crops -> (N, F) float32: both maps averaged to cells x cells, where things lie
    matters.

    Each map is brought to unit root mean square, so that neither outweighs the other.
    """
    rows = []
    for start in range(0, len(pictures), 16):
        cut = np.ascontiguousarray(pictures[start : start + 16, ROWS, COLUMNS])
        x = torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255  # (B, 3, 224, 224)
        maps = [F.adaptive_avg_pool2d(m, cells).flatten(1) for m in trunk(x)]  # (B, C cells cells)
        rows.append(torch.cat([m / m.square().mean(1, keepdim=True).sqrt() for m in maps], 1))
    return torch.cat(rows).numpy()


def _conv(x: Tensor, weights: dict[str, Tensor], name: str, stride: int = 1, padding: int = 0) -> Tensor:
    return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))


def _squeezenet(x: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Maps of 13x13 after the fourth and the last fire module; mean and deviation are folded into the
    file."""
    x = _conv(x, weights, "features.0", stride=2)
    middle = x
    for layer in (None, 3, 4, None, 6, 7, None, 9, 10, 11, 12):
        if layer is None:
            x = middle = F.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        squeezed = _conv(x, weights, f"features.{layer}.squeeze")
        narrow = _conv(squeezed, weights, f"features.{layer}.expand1x1")
        wide = _conv(squeezed, weights, f"features.{layer}.expand3x3", padding=1)
        x = torch.cat([narrow, wide], 1)
    return middle, x


def _alexnet(x: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Maps of 13x13 after the third and the fifth convolution; x in [0, 1] is normalised as for ImageNet."""
    mean, deviation = x.new_tensor((0.485, 0.456, 0.406)), x.new_tensor((0.229, 0.224, 0.225))
    x = (x - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    x = F.max_pool2d(_conv(x, weights, "features.0", stride=4, padding=2), 3, 2)
    x = F.max_pool2d(_conv(x, weights, "features.3", padding=2), 3, 2)
    third = _conv(x, weights, "features.6", padding=1)
    return third, _conv(_conv(third, weights, "features.8", padding=1), weights, "features.10", padding=1)
