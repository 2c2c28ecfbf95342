"""Preview heads: the formula written out, what the picture depends on, which features each size has."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.generators.mobile.config import MobileConfig
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.preview import PreviewHead, preview_heads

CONFIG = MobileConfig(
    resolution=64, channels=(16, 16, 12, 8), w_dim=12, z_dim=12, mapping_layers=2, previews=(8, 16)
)


def head(inputs: int = 12, size: int = 8, later: int = 4) -> PreviewHead:
    torch.manual_seed(0)
    made = PreviewHead(inputs, size, later, w_dim=12, width=5).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def plainly(made: PreviewHead, x: Tensor, w: Tensor) -> Tensor:
    """x: (C, S, S), w: (later, D) -> (3, S, S): every product at every pixel."""
    state = made.state_dict()

    def linear(name: str, code: Tensor) -> Tensor:
        return state[f"{name}.weight"] @ code + state[f"{name}.bias"]

    def leaky(y: Tensor) -> Tensor:
        return torch.where(y > 0, y, y / 5)

    bands, groups, quarter = linear("bands", w[0]), linear("groups", w[0]), len(x) // 4
    styled = torch.stack(
        [x[c] * bands[c] * groups[c if c < quarter else (c - quarter) // 3] for c in range(len(x))]
    )
    y = leaky(torch.einsum("oc,chw->ohw", state["first_weight"], styled) + state["first_bias"][:, :, None])
    y = y * linear("second", w[1])[:, None, None]
    y = leaky(torch.einsum("oc,chw->ohw", state["second_weight"], y) + state["second_bias"][:, :, None])
    y = F.pad(y * linear("third", w[2:].flatten())[:, None, None], (1, 1, 1, 1))
    picture = state["fixed"] + state["colour_bias"]
    side = x.shape[1]
    for i in range(3):
        for j in range(3):
            seen = y[:, i : i + side, j : j + side]
            picture = picture + torch.einsum("oc,chw->ohw", state["colour_weight"][:, :, i, j], seen)
    return picture


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_head_is_the_formula(memory_format: torch.memory_format) -> None:
    made = head()
    x, w = torch.randn(2, 12, 8, 8).double(), torch.randn(2, 6, 12).double()
    expected = torch.stack([plainly(made, x[i], w[i, 2:]) for i in range(2)])
    torch.testing.assert_close(made(x.contiguous(memory_format=memory_format), w), expected)


def test_one_code_stands_for_all() -> None:
    made = head()
    x, w = torch.randn(2, 12, 8, 8).double(), torch.randn(2, 12).double()
    torch.testing.assert_close(made(x, w), made(x, w[:, None].expand(-1, 4, -1)))


def test_features_and_all_later_codes_have_a_gradient_and_no_earlier_one_has() -> None:
    made = head()
    x = torch.randn(1, 12, 8, 8).double().requires_grad_()
    w = torch.randn(1, 6, 12).double().requires_grad_()
    made(x, w).square().sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.abs().amin() > 0
    assert (w.grad[0, 2:].abs().amin(1) > 0).all()
    assert not w.grad[0, :2].any()


@pytest.mark.parametrize(("inputs", "later"), [(12, 2), (10, 3)])
def test_what_no_block_could_have_is_refused(inputs: int, later: int) -> None:
    with pytest.raises(ValueError, match="3 later codes"):
        PreviewHead(inputs, 8, later)


def test_each_size_has_the_features_and_later_codes_of_its_block() -> None:
    heads = preview_heads(CONFIG)
    generator = MobileGenerator(CONFIG, heads)
    w = torch.randn(1, CONFIG.num_codes, 12)
    for size, later in ((8, 5), (16, 3)):
        assert heads[size].later == later
        kept = w.clone().requires_grad_()
        picture = generator.synthesis(kept, size=size)
        assert picture.shape == (1, 3, size, size)
        picture.sum().backward()
        assert kept.grad is not None
        assert (kept.grad[0].abs().amax(1) > 0).all()
