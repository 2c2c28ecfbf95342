"""RefineStyle (Xia et al. 2024): one look at the photo gives low-rank residuals of the generator's kernels.

For every refined 3x3 convolution n two sets of L tokens become P_n (L, C_out) and Q_n (L, C_in), and
P_n^T Q_n is added to its modulated kernel (Equations 2 and 3). Token sets are read from image features by
grouped transformer decoder layers (section 3.3).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.style_transformer import DecoderLayer, Trunk
from core.network_config import RefinerConfig
from core.ops.modulated_conv import LowRankPair

FACTOR = 0.01


class RefineStyle(nn.Module):
    """One- or two-stage refiner for one generator.

    One-stage: reads F3, the finest features of the inverter that also gives the codes. Two-stage: reads the
    photo and its inversion with a trunk of its own, and so works behind any frozen inverter.
    """

    def __init__(self, config: RefinerConfig, kernels: Sequence[tuple[int, int]]) -> None:
        """kernels: (outputs, inputs) of each, `GeneratorFamily.low_rank`; the last ones are refined.

        Raises: ValueError if there are fewer than the config refines.
        """
        super().__init__()
        if config.layers > len(kernels):
            raise ValueError(
                f"Refiner {config.stage} changes {config.layers} kernels, the generator has {len(kernels)}"
            )
        self.config = config
        self.channels = tuple(kernels)
        refined = self.channels[len(self.channels) - config.layers :]
        # P tokens first, then Q tokens, one group of L for each layer: the paper's initial token sets.
        self.tokens = nn.Parameter(torch.randn(2 * config.layers, config.tokens, config.w_dim))
        self.heads_p = nn.ModuleList(nn.Linear(config.w_dim, outputs) for outputs, _ in refined)
        self.heads_q = nn.ModuleList(nn.Linear(config.w_dim, inputs) for _, inputs in refined)
        # A and B of Equation 4, "initialized with small values".
        self.factors = nn.Parameter(torch.full((2 * config.layers, config.tokens), FACTOR))
        self.trunk = Trunk(config, 6 * config.fold**2) if config.stage == "two_stage" else None
        sizes = config.w_dim, config.heads, config.feedforward, config.dropout
        self.layers = nn.ModuleList(DecoderLayer(*sizes) for _ in range(1 if self.trunk is None else 3))

    def one_stage(self, finest: Tensor) -> list[LowRankPair | None]:
        """finest: (B, D, S/4, S/4), F3 of the inverter's trunk.

        Returns for each of the generator's kernels None, or P (B, L, O) and Q (B, L, I).
        """
        return self._pairs((finest,))

    def two_stage(self, image: Tensor, inversion: Tensor) -> list[LowRankPair | None]:
        """image, inversion: (B, 3, R, R) in [-1, 1] -> as `one_stage`."""
        assert self.trunk is not None
        size = self.config.input_resolution * self.config.fold
        both = resize(torch.cat([image, inversion.clamp(-1, 1)], 1), size)  # (B, 6, S, S)
        return self._pairs(self.trunk(F.pixel_unshuffle(both, self.config.fold)))

    def _pairs(self, features: tuple[Tensor, ...]) -> list[LowRankPair | None]:
        groups, tokens, width = self.tokens.shape
        query = self.tokens.reshape(1, groups * tokens, width).expand(len(features[0]), -1, -1)
        for layer, feature in zip(self.layers, features, strict=True):
            query = layer(query, feature, groups)
        query = query.unflatten(1, (groups, tokens))  # (B, 2 N, L, D)
        pairs: list[LowRankPair | None] = [None] * (len(self.channels) - self.config.layers)
        n = self.config.layers
        for i, (head_p, head_q) in enumerate(zip(self.heads_p, self.heads_q, strict=True)):
            p = head_p(query[:, i]) * self.factors[i, :, None]  # (B, L, O), Equation 4
            q = head_q(query[:, n + i]) * self.factors[n + i, :, None]  # (B, L, I)
            pairs.append((p, q))
        return pairs


def resize(image: Tensor, size: int) -> Tensor:
    """(B, C, R, R) -> (B, C, size, size): area average down, bilinear up."""
    if image.shape[-1] > size:
        return F.interpolate(image, size=(size, size), mode="area")
    if image.shape[-1] < size:
        return F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
    return image
