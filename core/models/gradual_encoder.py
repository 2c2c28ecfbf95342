"""The encoders of pSp (Richardson et al., CVPR 2021) and e4e (Tov et al., SIGGRAPH 2021): one head per code.

Both read the three features of an IR-SE trunk with a pyramid, the trunk of Style Transformer. A head
("map2style", pSp section 3.1) halves its feature down to one pixel and ends in a linear layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.generators.stylegan2.layers import EqualizedLinear
from core.models.style_transformer import Trunk
from core.network_config import GradualEncoderConfig

NEGATIVE_SLOPE = 0.01
# Codes that are read from the coarse feature, and those before the fine one's (pSp section 3.1).
COARSE, MIDDLE = 3, 7


class StyleHead(nn.Module):
    """One code from one feature: (B, D, s, s), s = 2**halvings -> (B, D), in the precision of its weights."""

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(halvings))
        self.linear = EqualizedLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.linear.weight.dtype)
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), NEGATIVE_SLOPE)
        return self.linear(x.flatten(1))


class GradualEncoder(nn.Module):
    """The inverter. Its output is an offset from the generator's mean code."""

    def __init__(self, config: GradualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config)
        coarse = config.input_resolution.bit_length() - 5  # log2(S / 16), the halvings of F1
        self.heads = nn.ModuleList(
            StyleHead(config.w_dim, coarse + (code >= COARSE) + (code >= MIDDLE))
            for code in range(config.num_codes)
        )

    def forward(self, image: Tensor) -> Tensor:
        """image: (B, 3, S, S) in [-1, 1], S the config's input resolution -> offsets (B, L, D)."""
        f1, f2, f3 = self.trunk(image)
        features = (f1 if c < COARSE else f2 if c < MIDDLE else f3 for c in range(len(self.heads)))
        codes = torch.stack([head(x) for head, x in zip(self.heads, features, strict=True)], 1)
        if self.config.kind == "psp":
            return codes
        # e4e section 4.1: the first head gives the base code, the others what their code adds to it.
        return torch.cat([codes[:, :1], codes[:, :1] + codes[:, 1:]], 1)
