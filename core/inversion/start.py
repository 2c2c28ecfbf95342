"""Where a photo's descent starts: a linear guess of its code from what dlib's network sees of it.

Ridge regression in closed form, fitted by `training.loops.start`; only its leading components are kept.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.faces.dlib_network import CHIP_SIZE, DlibFaceNetwork, Unit
from core.network_config import StartConfig

# Left, top and side of the square around the face that is looked at besides the crop, in units of its side.
FACE = (40 / 256, 56 / 256, 176 / 256)
# Of dlib's five maps, those that are used, and the sides that they are averaged to.
MAPS = ((1, 6), (2, 4))
PICTURE = 24


def chip_outputs(network: DlibFaceNetwork, crops: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    """Of two chips of aligned crops (B, 3, S, S) in [-1, 1]: descriptors (B, 128) and maps.

    The chips are fixed squares of the crop, since its alignment has put the face there: FACE, and the whole.
    """
    return [network(chips) for chips in fixed_chips(crops)]


def start_features(crops: Tensor, outputs: Sequence[tuple[Tensor, Sequence[Tensor]]]) -> Tensor:
    """(B, 3, S, S) crops, their `chip_outputs` -> (B, F): the picture at PICTURE px, descriptors, maps."""
    found = [F.adaptive_avg_pool2d(crops, PICTURE).flatten(1)]
    for descriptor, maps in outputs:
        found.append(descriptor)
        found += [F.adaptive_avg_pool2d(maps[i].float(), pooled).flatten(1) for i, pooled in MAPS]
    return torch.cat(found, 1)


def fixed_chips(crops: Tensor) -> tuple[Tensor, Tensor]:
    """Aligned crops (B, 3, S, S) -> chips (B, 3, CHIP_SIZE, CHIP_SIZE) of the face and of the whole."""
    side = crops.shape[-1]
    left, top, width = (round(part * side) for part in FACE)
    face = crops[:, :, top : top + width, left : left + width]
    size = CHIP_SIZE, CHIP_SIZE
    near, far = (F.interpolate(x, size=size, mode="bilinear", antialias=True) for x in (face, crops))
    return near, far


def group_sizes(network: DlibFaceNetwork) -> list[int]:
    """How many of `start_features` are the picture's, and then each descriptor's and each map's."""
    widths = [cast(Unit, group[-1]).conv2.out_channels for group in network.groups]  # type: ignore[index]
    chip = [network.last.out_features, *(widths[i] * pooled**2 for i, pooled in MAPS)]
    return [3 * PICTURE**2, *chip, *chip]


class Start(nn.Module):
    """Features -> coordinates: ((features - mean) / scale) @ reduce @ expand + bias; matrices in float16."""

    def __init__(self, config: StartConfig) -> None:
        super().__init__()
        self.config = config
        features, rank, coordinates = config.features, config.rank, config.coordinates
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("reduce", torch.zeros(features, rank, dtype=torch.float16))
        self.register_buffer("expand", torch.zeros(rank, coordinates, dtype=torch.float16))
        self.register_buffer("bias", torch.zeros(coordinates))
        self.mean: Tensor
        self.scale: Tensor
        self.reduce: Tensor
        self.expand: Tensor
        self.bias: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, K) float32."""
        x = (features - self.mean) / self.scale
        return x @ self.reduce.float() @ self.expand.float() + self.bias
