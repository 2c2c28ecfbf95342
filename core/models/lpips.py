"""LPIPS with AlexNet: how different two pictures look (Zhang et al. 2018, version 0.1 of its weights)."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from core.errors import BadCheckpoint

# Channels, kernel, stride and padding of AlexNet's convolutions (Krizhevsky 2014, as torchvision has it);
# before the second and third comes a maximum over 3x3 at half the size.
CHANNELS = (64, 192, 384, 256, 256)
KERNELS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
POOLED_BEFORE = (1, 2)
# Where torchvision's `features` has them: ReLUs and pooling take numbers too.
TORCHVISION_INDICES = (0, 3, 6, 8, 10)
# Of the paper's scaling layer, for RGB in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPSILON = 1e-10


class Lpips(nn.Module):
    """The distance, and its parts: what depends on one picture alone need be computed once."""

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        self.channels = tuple(channels)
        inputs = (3, *channels[:-1])
        self.trunk = nn.ModuleDict(
            {
                f"features_{index}": nn.Conv2d(i, o, kernel, stride, padding)
                for index, i, o, (kernel, stride, padding) in zip(
                    TORCHVISION_INDICES, inputs, channels, KERNELS, strict=True
                )
            }
        )
        # How much each channel counts: not negative.
        self.weights = nn.ParameterList(nn.Parameter(torch.rand(o)) for o in channels)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1], sides of 31 px or more -> five maps (B, C, h, w), unit columns."""
        # Constants, not buffers: a state dict has no place for them, and a network is built on no device.
        shift, scale = (pictures.new_tensor(rgb).view(1, 3, 1, 1) for rgb in (SHIFT, SCALE))
        x, maps = (pictures - shift) / scale, []
        for i, convolution in enumerate(self.trunk.values()):
            if i in POOLED_BEFORE:
                x = F.max_pool2d(x, 3, stride=2)
            x = F.relu(convolution(x))
            maps.append(x * (x.float().square().sum(1, keepdim=True) + EPSILON).rsqrt().to(x.dtype))
        return maps

    def between(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """The distance (B,) float32 of pictures by their `features` (Equation 1)."""
        parts = [
            ((x - y).float().square().mean((2, 3)) * weight).sum(1)
            for x, y, weight in zip(a, b, self.weights, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] each -> (B,)."""
        return self.between(self.features(a), self.features(b))


def load_lpips(path: Path) -> Lpips:
    """Frozen, float32. path: a safetensors file in the published names, the trunk in half precision or not.

    Raises: BadCheckpoint if it is damaged or holds something else.
    """
    model = Lpips()
    try:
        model.load_state_dict(from_torchvision_names(load_file(path)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadCheckpoint(f"{path.name} is damaged, or does not hold LPIPS with AlexNet.") from error
    return model.eval().requires_grad_(False)


def from_torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`trunk.features.N.weight`, `.bias` and `lin.linN` (1, C, 1, 1) -> the names of `Lpips`, float32."""
    named = {}
    for name, tensor in state.items():
        if name.startswith("lin.lin"):
            named[f"weights.{name.removeprefix('lin.lin').split('.')[0]}"] = tensor.float().flatten()
        else:
            named[name.replace("trunk.features.", "trunk.features_")] = tensor.float()
    return named
