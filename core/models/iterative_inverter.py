"""An inverter that compares: Style Transformer's decoder (Hu et al., CVPR 2022) in ReStyle's passes.

Each pass sees the photo, the picture of the code so far and that code, and says what to add to it (Alaluf et
al., ICCV 2021, Equation 1): a descent step that was learned. As in Style Transformer one query for each code
reads coarse, middle and fine features in turn; what departs from the paper:

* the trunk is MobileNetV2, trained on ImageNet; it sees both pictures, and dlib's descriptors are tokens;
* queries begin as the code so far, and are told anew before each layer which code they stand for: else
  attention, trained for hours, collapses to one offset for all codes;
* a dense layer over the coarsest features' cells gives each query what attention, a mean over places, loses;
* codes are coordinates in W's own units (`core.inversion.whitening`), in which all directions weigh alike.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.mobilenet import CHANNELS, STRIDES, MobileNetTrunk
from core.models.style_transformer import DecoderLayer
from core.network_config import IterativeInverterConfig

# Of the trunk's resolutions the coarsest are read, one by each decoder layer.
LEVELS = 3
# dlib's, of two chips of a picture.
DESCRIPTORS = 2 * 128
DESCRIPTOR_TOKENS = 4
REDUCED, NORM_GROUPS = 64, 8


class Seen(NamedTuple):
    """What is seen of pictures: the trunk's maps, finest first, and descriptors (B, DESCRIPTORS)."""

    maps: tuple[Tensor, ...]
    descriptors: Tensor


class Level(nn.Module):
    """Of one resolution: the photo's features and how the picture's differ -> (B, D, h, w), with places."""

    def __init__(self, channels: int, width: int, side: int) -> None:
        super().__init__()
        self.compare = nn.Conv2d(2 * channels, width, 1)
        self.norm = nn.GroupNorm(NORM_GROUPS, width)
        self.place = nn.Parameter(torch.randn(width, side, side) * 0.02)

    def forward(self, photo: Tensor, picture: Tensor, coarser: Tensor | None) -> Tensor:
        """coarser: (B, D, h/2, w/2), of the level before."""
        x = self.compare(torch.cat([photo, photo - picture], 1))
        if coarser is not None:
            x = x + F.interpolate(coarser, size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.norm(x) + self.place


class IterativeInverter(nn.Module):
    """One pass of it; `core.inversion.passes` makes them all."""

    def __init__(self, config: IterativeInverterConfig) -> None:
        super().__init__()
        self.config = config
        d, side = config.width, config.input_resolution
        self.trunk = MobileNetTrunk()
        by_size = [*zip(CHANNELS, STRIDES, strict=True)][: -LEVELS - 1 : -1]  # coarsest first
        self.levels = nn.ModuleList(Level(channels, d, side // stride) for channels, stride in by_size)
        self.descriptors = nn.Linear(2 * DESCRIPTORS, DESCRIPTOR_TOKENS * d)
        self.codes = nn.Parameter(torch.randn(config.num_codes, d) * 0.5)
        self.enter = nn.Linear(config.w_dim, d)
        self.reduce = nn.Conv2d(d, REDUCED, 1)
        self.hidden = nn.Linear(REDUCED * (side // STRIDES[-1]) ** 2, config.dense)
        self.spread = nn.Linear(config.dense, config.num_codes * d)
        self.layers = nn.ModuleList(
            DecoderLayer(d, config.heads, config.feedforward, config.dropout) for _ in self.levels
        )
        self.out = nn.Linear(d, config.w_dim)
        for last in (self.spread, self.out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def look(self, pictures: Tensor, descriptors: Tensor) -> Seen:
        """pictures: (B, 3, S, S) in [-1, 1], S the config's; descriptors: (B, DESCRIPTORS), dlib's."""
        return Seen(self.trunk(pictures)[-LEVELS:], descriptors)

    def forward(self, photo: Seen, picture: Seen, v: Tensor) -> Tensor:
        """Coordinates (B, L, K) of the picture's code -> of one that is nearer to the photo's."""
        both = torch.cat([photo.descriptors, photo.descriptors - picture.descriptors], 1)
        tokens = self.descriptors(both).unflatten(1, (DESCRIPTOR_TOKENS, -1))  # (B, T, D)
        features: list[Tensor] = []
        for level, mine, other in zip(self.levels, photo.maps[::-1], picture.maps[::-1], strict=True):
            features.append(level(mine, other, features[-1] if features else None))
        x = F.leaky_relu(self.hidden(self.reduce(features[0]).flatten(1)), 0.2)  # (B, dense)
        query = self.enter(v) + self.spread(x).unflatten(1, v.shape[1:2] + (-1,))  # (B, L, D)
        for layer, feature in zip(self.layers, features, strict=True):
            # (B, D, T + h w, 1): tokens of whom the photo shows stand beside those of places.
            seen = torch.cat([tokens.transpose(1, 2), feature.flatten(2)], 2)[..., None]
            query = layer(query + self.codes, seen)
        return v + self.out(query)
