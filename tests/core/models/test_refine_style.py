"""RefineStyle against its equations, written out."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import GeneratorConfig
from core.generators.residual import LowRank
from core.generators.stylegan2.network import Generator
from core.models.refine_style import FACTOR, RefineStyle, resize
from core.network_config import RefinerConfig

GENERATOR = GeneratorConfig(resolution=16, channels=(12, 8, 4), w_dim=8, z_dim=8, mapping_layers=1)
KERNELS = GENERATOR.low_rank
SIZES = {"tokens": 3, "w_dim": 8, "heads": 1, "feedforward": 16, "dropout": 0.0, "input_resolution": 32}
ONE = RefinerConfig("one_stage", layers=2, **SIZES)
TWO = RefinerConfig(
    "two_stage", layers=5, stem_width=16, widths=(16, 16, 16, 16), units=(1, 1, 1, 1), fold=2, **SIZES
)


def attention(module: nn.MultiheadAttention, query: Tensor, memory: Tensor) -> Tensor:
    """One head, Equation 5: softmax(q k^T / sqrt(C)) v, for one group's (L, C) and keys (M, C)."""
    weight_q, weight_k, weight_v = module.in_proj_weight.chunk(3)
    bias_q, bias_k, bias_v = module.in_proj_bias.chunk(3)
    q, k, v = query @ weight_q.T + bias_q, memory @ weight_k.T + bias_k, memory @ weight_v.T + bias_v
    return module.out_proj(torch.softmax(q @ k.T / math.sqrt(q.shape[-1]), -1) @ v)


def test_a_refiner_of_more_kernels_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two_stage changes 5 kernels, the generator has 4"):
        RefineStyle(TWO, KERNELS[1:])


def test_tokens_see_their_own_group_and_the_whole_picture() -> None:
    torch.manual_seed(0)
    refiner = RefineStyle(ONE, KERNELS).double().eval()
    refiner.factors.data.uniform_(0.5, 1.5)
    feature = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    pairs = refiner.one_stage(feature)
    assert pairs[:3] == [None, None, None]
    layer = refiner.layers[0]
    for n, pair in enumerate(pairs[3:]):
        assert pair is not None
        for found, head, group in ((pair[0], refiner.heads_p[n], n), (pair[1], refiner.heads_q[n], 2 + n)):
            x, memory = refiner.tokens[group], feature[1].flatten(1).T
            x = layer.norms[0](x + attention(layer.self_attention, x, x))
            x = layer.norms[1](x + attention(layer.cross_attention, x, memory))
            x = layer.norms[2](x + layer.feedforward(x))
            wanted = head(x) * refiner.factors[group, :, None]  # Equation 4
            torch.testing.assert_close(found[1], wanted)


@pytest.mark.parametrize("config", [ONE, TWO], ids=["one", "two"])
def test_a_new_refiner_hardly_changes_the_picture(config: RefinerConfig) -> None:
    torch.manual_seed(0)
    generator, refiner = Generator(GENERATOR).eval(), RefineStyle(config, KERNELS).eval()
    assert torch.equal(refiner.factors, torch.full_like(refiner.factors, FACTOR))
    w, image = torch.randn(2, GENERATOR.num_codes, 8), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        plain = generator.synthesis(w)
        if config.stage == "one_stage":
            pairs = refiner.one_stage(torch.randn(2, 8, 8, 8))
        else:
            pairs = refiner.two_stage(image, plain)
        refined = generator.synthesis(w, residual=LowRank(tuple(pairs)))
    change = (refined - plain).square().mean().sqrt() / plain.std()
    assert 0 < change < 0.05


def test_a_two_stage_refiner_sees_both_pictures_and_every_pixel() -> None:
    torch.manual_seed(0)
    refiner = RefineStyle(TWO, KERNELS).eval()
    image, inversion = (torch.rand(1, 3, 64, 64, requires_grad=True) for _ in range(2))
    pairs = refiner.two_stage(image, inversion)
    assert all(pair is not None for pair in pairs)
    sum(p.square().sum() + q.square().sum() for p, q in pairs if p is not None).backward()
    for picture in (image, inversion):
        assert (picture.grad.abs().sum(1) > 0).all()


def test_its_trunk_reads_blocks_of_pixels_as_channels() -> None:
    refiner = RefineStyle(TWO, KERNELS).eval()
    seen: list[Tensor] = []
    assert refiner.trunk is not None
    refiner.trunk.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image, inversion = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64) * 4 - 2
    refiner.two_stage(image, inversion)
    assert seen[0].shape == (1, 24, 32, 32)
    both = torch.cat([image, inversion.clamp(-1, 1)], 1)
    for channel in range(6):
        for row in range(2):
            for column in range(2):
                wanted = both[0, channel, row::2, column::2]
                assert torch.equal(seen[0][0, 4 * channel + 2 * row + column], wanted)


def test_gradients_reach_every_weight() -> None:
    torch.manual_seed(0)
    generator = Generator(GENERATOR).requires_grad_(False)
    refiner = RefineStyle(TWO, KERNELS)
    w, image = torch.randn(2, GENERATOR.num_codes, 8), torch.rand(2, 3, 16, 16)
    pairs = refiner.two_stage(image, generator.synthesis(w))
    F.mse_loss(generator.synthesis(w, residual=LowRank(tuple(pairs))), image).backward()
    idle = [name for name, p in refiner.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


def test_resize_averages_areas_and_keeps_what_fits() -> None:
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(resize(image, 4), F.avg_pool2d(image, 2))
    assert resize(image, 8) is image
    assert resize(image, 16).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stage": "three_stage"}, "one_stage or two_stage"),
        ({"heads": 3}, "divisible by num_heads 3"),
        ({"layers": 0}, "at least one layer"),
        ({"polish": 101}, "from 0 to 100"),
    ],
)
def test_a_wrong_description_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RefinerConfig(**{"stage": "one_stage", "layers": 2, **SIZES, **change})
