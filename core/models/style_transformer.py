"""Style Transformer inverter (Hu et al., CVPR 2022): an image becomes W+ codes by attention.

Trunk: IR-SE residual network with three taps joined in a feature pyramid (section 3). Queries: one
learnable z per code, mapped by an MLP, updated by three transformer decoder layers (section 3.1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.stylegan2.layers import MappingNetwork
from core.network_config import GradualEncoderConfig, InverterConfig, RefinerConfig

SE_REDUCTION = 16


class SqueezeExcite(nn.Module):
    """Channel gates from the global average (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // SE_REDUCTION, 1, bias=False)
        self.excite = nn.Conv2d(channels // SE_REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))  # (B, C, 1, 1)
        return x * torch.sigmoid(gate)


class Bottleneck(nn.Module):
    """IR-SE unit: BN, 3x3, PReLU, 3x3 with stride, BN, gates, plus a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut: nn.Module
        if inputs == outputs:
            self.shortcut = nn.MaxPool2d(1, stride)
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcite(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)


class Trunk(nn.Module):
    """IR-SE network and pyramid. image (B, C, S, S) -> F1 (S/16), F2 (S/8), F3 (S/4), all (B, D, ., .).

    inputs: C, 3 for a picture.
    """

    def __init__(
        self, config: InverterConfig | RefinerConfig | GradualEncoderConfig, inputs: int = 3
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, config.stem_width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(config.stem_width),
            nn.PReLU(config.stem_width),
        )
        stages, inputs = [], config.stem_width
        for width, units in zip(config.widths, config.units, strict=True):
            layers = [Bottleneck(inputs, width, 2)] + [Bottleneck(width, width, 1) for _ in range(units - 1)]
            stages.append(nn.Sequential(*layers))
            inputs = width
        self.stages = nn.ModuleList(stages)
        _, fine, middle, coarse = config.widths
        out = config.w_dim
        self.lateral_fine = nn.Conv2d(fine, out, 1)
        self.lateral_middle = nn.Conv2d(middle, out, 1)
        # The paper's trunk ends as wide as the codes; a narrower one needs a projection.
        self.lateral_coarse = nn.Identity() if coarse == out else nn.Conv2d(coarse, out, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stages[0](self.stem(image))
        c3 = self.stages[1](x)
        c2 = self.stages[2](c3)
        f1 = self.lateral_coarse(self.stages[3](c2))
        f2 = _enlarge(f1, c2) + self.lateral_middle(c2)
        f3 = _enlarge(f2, c3) + self.lateral_fine(c3)
        return f1, f2, f3


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class DecoderLayer(nn.Module):
    """Post-norm transformer decoder layer: self-attention, cross-attention, FFN (Equations 1 to 4)."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, feature: Tensor, groups: int = 1) -> Tensor:
        """query: (B, L, D), feature: (B, D, h, w) -> (B, L, D).

        groups: in self-attention a query sees the L / groups of its own group alone (RefineStyle, Eq. 5).
        """
        tokens = feature.flatten(2).transpose(1, 2)  # (B, h*w, D)
        own = query.reshape(len(query) * groups, -1, query.shape[2])  # (B * groups, L / groups, D)
        update, _ = self.self_attention(own, own, own, need_weights=False)
        query = self.norms[0](query + self.dropout(update.reshape(query.shape)))
        update, _ = self.cross_attention(query, tokens, tokens, need_weights=False)
        query = self.norms[1](query + self.dropout(update))
        return self.norms[2](query + self.dropout(self.feedforward(query)))


class DenseHead(nn.Module):
    """Offsets from the coarsest features with their places kept: a departure from the paper.

    Attention pools: what a query reads is a mean over positions, and at width 256, trained from
    nothing, all queries came to read nearly the same. A dense layer over the grid keeps its cells and the
    codes apart. It starts as zero.
    """

    def __init__(self, config: InverterConfig) -> None:
        super().__init__()
        side = config.input_resolution // 16
        reduced = config.w_dim * 3 // 8
        self.num_codes = config.num_codes
        self.reduce = nn.Conv2d(config.w_dim, reduced, 1)
        self.hidden = nn.Linear(reduced * side * side, config.dense_width)
        self.out = nn.Linear(config.dense_width, config.num_codes * config.w_dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, coarse: Tensor) -> Tensor:
        """coarse: (B, D, S/16, S/16) -> (B, L, D)."""
        x = F.leaky_relu(self.hidden(self.reduce(coarse).flatten(1)), 0.2)  # (B, dense width)
        return self.out(x).unflatten(1, (self.num_codes, -1))


class StyleTransformer(nn.Module):
    """The inverter. Its output is an offset from the generator's mean code."""

    def __init__(self, config: InverterConfig) -> None:
        super().__init__()
        self.config = config
        self.z = nn.Parameter(torch.randn(config.num_codes, config.w_dim))
        # Starts as the generator's MLP and is trained on (the paper counts it with the generator).
        self.mapping = MappingNetwork(config.w_dim, config.w_dim, config.mapping_layers)
        self.trunk = Trunk(config)
        sizes = config.w_dim, config.heads, config.feedforward, config.dropout
        self.layers = nn.ModuleList(DecoderLayer(*sizes) for _ in range(3))
        self.dense = DenseHead(config) if config.dense_width else None

    def forward(self, image: Tensor) -> Tensor:
        """image: (B, 3, S, S) in [-1, 1], S the config's input resolution -> offsets (B, L, D)."""
        query = self.mapping(self.z)[None].expand(len(image), -1, -1)  # (B, L, D)
        features = self.trunk(image)
        for layer, feature in zip(self.layers, features, strict=True):
            query = layer(query, feature)
        return query if self.dense is None else query + self.dense(features[0])
