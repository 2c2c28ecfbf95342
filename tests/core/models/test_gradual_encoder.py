"""pSp's and e4e's encoder: the published size, and the heads against sums over positions."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from core.models.gradual_encoder import GradualEncoder, StyleHead
from core.network_config import GradualEncoderConfig

TINY = GradualEncoderConfig(
    kind="psp",
    num_codes=9,
    w_dim=16,
    input_resolution=64,
    stem_width=16,
    widths=(16, 16, 32, 16),
    units=(1, 2, 1, 1),
)


def plain_head(head: StyleHead, x: Tensor) -> Tensor:
    """(B, D, s, s) -> (B, D), position by position."""
    for layer in head.convolutions:
        side = x.shape[-1]
        y = x.new_zeros(*x.shape[:2], side // 2, side // 2)
        for row in range(side // 2):
            for column in range(side // 2):
                y[:, :, row, column] = layer.bias
                for i in range(3):
                    for j in range(3):
                        above, left = 2 * row + i - 1, 2 * column + j - 1
                        if 0 <= above < side and 0 <= left < side:
                            y[:, :, row, column] += x[:, :, above, left] @ layer.weight[:, :, i, j].T
        x = torch.where(y > 0, y, 0.01 * y)
    assert x.shape[2:] == (1, 1)
    weight = head.linear.weight / math.sqrt(x.shape[1])
    return x[:, :, 0, 0] @ weight.T + head.linear.bias


@pytest.mark.parametrize("kind", ["psp", "e4e"])
def test_every_code_is_a_formula_of_its_feature(kind: str) -> None:
    torch.manual_seed(0)
    model = GradualEncoder(dataclasses.replace(TINY, kind=kind)).double().eval().requires_grad_(False)
    for head in model.heads:
        torch.nn.init.normal_(head.linear.bias)
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    coarse, middle, fine = model.trunk(image)
    features = [coarse] * 3 + [middle] * 4 + [fine] * 2
    codes = torch.stack([plain_head(h, x) for h, x in zip(model.heads, features, strict=True)], 1)
    if kind == "e4e":
        codes[:, 1:] += codes[:, :1].clone()
    torch.testing.assert_close(model(image), codes)


def test_paper_size_has_the_published_parameters() -> None:
    with torch.device("meta"):
        model = GradualEncoder(GradualEncoderConfig(kind="e4e", num_codes=18))
    assert sum(p.numel() for p in model.parameters()) // 1_000_000 == 267


def test_a_smaller_generator_takes_fewer_codes() -> None:
    model = GradualEncoder(dataclasses.replace(TINY, num_codes=2)).eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2, 16)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"kind": "restyle"}, "must be psp or e4e"), ({"input_resolution": 96}, "power of two from 32")],
)
def test_config_is_checked(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **wrong)
