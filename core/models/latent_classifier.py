"""Latent classifier C of Style Transformer (Hu et al., CVPR 2022, section 4): W+ code -> attribute logits."""

import math

import torch
from torch import Tensor, nn

from core.network_config import ClassifierConfig

NEGATIVE_SLOPE = 0.2


class _Branches(nn.Module):
    """One linear layer for each attribute, all of them in one product.

    (B, A, in) -> (B, A, out); weight (A, out, in), bias (A, out).
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        # nn.Linear's own initialisation, so that a branch starts as a separate Linear would.
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bai,aoi->bao", x, self.weight) + self.bias


class LatentClassifier(nn.Module):
    """W+ code (B, L, D) -> one logit for each attribute (B, A).

    A trunk that all attributes share (flatten, two layers), then a branch of two layers for each: its hidden
    layer is the embedding C_f, its output the logit C_l. LeakyReLU 0.2 after every layer but the last and,
    where the config says so, the embedding.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.hidden
        self.trunk = nn.Sequential(
            nn.Flatten(),
            nn.Linear(config.num_codes * config.w_dim, first),
            self._activation(),
            nn.Linear(first, second),
            self._activation(),
        )
        count = len(config.attributes)
        self.embedding = _Branches(count, second, config.embedding)
        self.logit = _Branches(count, config.embedding, 1)

    def _activation(self) -> nn.Module:
        return nn.Softplus() if self.config.activation == "softplus" else nn.LeakyReLU(NEGATIVE_SLOPE)

    def embed(self, w: Tensor) -> Tensor:
        """C_f: (B, L, D) -> (B, A, embedding)."""
        shared = self.trunk(w)
        every = shared[:, None].expand(-1, len(self.config.attributes), -1)
        embedded = self.embedding(every)
        return embedded if self.config.linear_embedding else self._activation()(embedded)

    def forward(self, w: Tensor) -> Tensor:
        """C_l: (B, L, D) -> (B, A), logits before the sigmoid, in the order of `config.attributes`."""
        return self.logit(self.embed(w)).squeeze(-1)
