"""Reference editor T of Style Transformer (Hu et al., CVPR 2022, section 4.1)."""

import math

import torch
from torch import Tensor, nn

from core.network_config import ReferenceEditorConfig

# A query that wins no value gives nothing, not 0 / 0.
EPSILON = 1e-8


class ReferenceEditor(nn.Module):
    """T(w_s, w_r) for one attribute: the step that gives the source what the reference has of it.

    Codes of one face lie close together, so a token is its code, projected, and its place. What leaves is
    T(w_s, w_r) - T(w_s, w_s): a face that takes from itself stays as it is, bit for bit. Beyond a length
    that the config may name, a code's step grows ever less: between faces that have little in common, a step
    of full length ends where no face is.
    """

    moved: Tensor

    def __init__(self, config: ReferenceEditorConfig) -> None:
        super().__init__()
        self.config = config
        d, width = config.w_dim, config.width
        self.source = nn.Linear(d, width)
        self.reference = nn.Linear(d, width)
        self.places = nn.Parameter(torch.randn(2, config.num_codes, width))
        self.self_attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, d, bias=False)
        # 1 for a code that it moves, 0 for one that it leaves: what acts elsewhere need not be held there.
        self.register_buffer("moved", torch.ones(config.num_codes, 1))

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        """source, reference: w_s and w_r, (B, L, D) -> delta w (B, L, D)."""
        query = self.source(source) + self.places[0]  # (B, L, width)
        query = self.query(query + self.self_attention(query, query, query, need_weights=False)[0])
        step = self.moved * self.out(self._read(query, reference) - self._read(query, source))
        if self.config.longest is None:
            return step
        return step / (1 + (step / self.config.longest).square().sum(-1, keepdim=True)).sqrt()

    def _read(self, query: Tensor, codes: Tensor) -> Tensor:
        tokens = self.reference(codes) + self.places[1]  # (B, L, width)
        read = slot_attention(*(self._heads(x) for x in (query, self.key(tokens), self.value(tokens))))
        return read.transpose(1, 2).flatten(2)  # (B, nh, L, hs) -> (B, L, width)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.config.heads, -1)).transpose(1, 2)  # (B, L, width) -> (B, nh, L, hs)


def slot_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Norm_K(Softmax_Q(Q K^T / sqrt(d))) V (Equation 5): queries compete for each value.

    query: (..., Lq, d); key, value: (..., Lk, d) -> (..., Lq, d).
    """
    weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-2)  # (..., Lq, Lk)
    return weights / weights.sum(-1, keepdim=True).clamp_min(EPSILON) @ value
