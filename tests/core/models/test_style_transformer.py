"""The inverter: the paper's size, and its attention against plain matrices."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from core.config import PAPER_INVERTER, GeneratorConfig
from core.generators.stylegan2.network import Generator
from core.models.inverter import invert
from core.models.style_transformer import DecoderLayer, StyleTransformer
from core.network_config import InverterConfig

TINY = InverterConfig(
    num_codes=4,
    w_dim=16,
    input_resolution=32,
    stem_width=16,
    widths=(16, 16, 32, 32),
    units=(1, 2, 1, 1),
    heads=2,
    feedforward=24,
    mapping_layers=2,
)


def test_paper_size_has_the_published_parameters() -> None:
    with torch.device("meta"):
        model = StyleTransformer(PAPER_INVERTER)
    count = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in model.mapping.parameters())
    assert round(count / 1e6, 2) == 40.62


def test_pyramid_resolutions() -> None:
    model = StyleTransformer(TINY).eval()
    shapes = [tuple(f.shape) for f in model.trunk(torch.randn(2, 3, 32, 32))]
    assert shapes == [(2, 16, 2, 2), (2, 16, 4, 4), (2, 16, 8, 8)]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 4, 16)


def test_decoder_layer_is_the_papers_equations() -> None:
    torch.manual_seed(0)
    layer = DecoderLayer(TINY.w_dim, TINY.heads, TINY.feedforward, TINY.dropout).double().eval()
    query = torch.randn(1, 4, 16, dtype=torch.float64)
    feature = torch.randn(1, 16, 3, 5, dtype=torch.float64)

    def attend(module: torch.nn.MultiheadAttention, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        wq, wk, wv = module.in_proj_weight.chunk(3)
        bq, bk, bv = module.in_proj_bias.chunk(3)
        q, k, v = q @ wq.T + bq, kv @ wk.T + bk, kv @ wv.T + bv
        heads = []
        for h in range(2):
            cut = slice(8 * h, 8 * h + 8)
            weights = torch.softmax(q[:, cut] @ k[:, cut].T / math.sqrt(8), -1)  # Equation 2
            heads.append(weights @ v[:, cut])
        return torch.cat(heads, 1) @ module.out_proj.weight.T + module.out_proj.bias  # Equation 3

    tokens = feature[0].reshape(16, 15).T  # (h*w, D)
    x = F.layer_norm(query[0] + attend(layer.self_attention, query[0], query[0]), (16,))
    x = F.layer_norm(x + attend(layer.cross_attention, x, tokens), (16,))  # Equation 4
    first, last = layer.feedforward[0], layer.feedforward[3]
    x = F.layer_norm(x + torch.relu(x @ first.weight.T + first.bias) @ last.weight.T + last.bias, (16,))
    torch.testing.assert_close(layer(query, feature)[0], x)


def test_dense_head_starts_silent_and_is_a_formula_of_the_coarse_features() -> None:
    torch.manual_seed(0)
    model = StyleTransformer(dataclasses.replace(TINY, dense_width=5)).double().eval()
    assert model.dense is not None
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with_head = model(image)
    head, model.dense = model.dense, None
    paper = model(image)
    torch.testing.assert_close(with_head, paper)

    torch.nn.init.normal_(head.out.weight)
    torch.nn.init.normal_(head.out.bias)
    coarse = model.trunk(image)[0]  # (2, 16, 2, 2)
    reduced = torch.einsum("oc,bchw->bohw", head.reduce.weight[:, :, 0, 0], coarse)
    reduced = (reduced + head.reduce.bias[:, None, None]).reshape(2, -1)
    hidden = reduced @ head.hidden.weight.T + head.hidden.bias
    hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    offsets = (hidden @ head.out.weight.T + head.out.bias).reshape(2, 4, 16)
    model.dense = head
    torch.testing.assert_close(model(image), paper + offsets)


def test_dense_width_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="Dense width -1"):
        dataclasses.replace(TINY, dense_width=-1)


def test_invert_adds_the_offsets_to_the_mean_code_at_any_input_size() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=8, channels=(8, 8), w_dim=16, z_dim=16))
    inverter = StyleTransformer(TINY).eval().requires_grad_(False)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    generator.w_mean.normal_()
    codes = invert(generator, inverter, image)
    torch.testing.assert_close(codes - generator.w_mean, inverter(image))
    # A picture enlarged by repeating pixels averages back to itself.
    large = image.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(invert(generator, inverter, large), codes, rtol=1e-4, atol=1e-4)
