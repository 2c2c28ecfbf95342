"""The generator: topology, counts, and one whole forward pass written out plainly."""

import math

import torch
import torch.nn.functional as F

from core.config import PAPER_GENERATOR, GeneratorConfig
from core.generators.stylegan2.network import Generator
from core.ops.filtering import upsample
from core.ops.modulated_conv import modulated_conv

TINY = GeneratorConfig(resolution=16, channels=(8, 6, 4), w_dim=10, z_dim=7, mapping_layers=3)


def tiny() -> Generator:
    torch.manual_seed(0)
    generator = Generator(TINY).double().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if "noise_strength" in name or name.endswith("bias"):
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return generator


def test_config_f_at_1024_has_the_published_size() -> None:
    generator = Generator(PAPER_GENERATOR)
    count = sum(p.numel() for p in generator.parameters())
    assert round(count / 1e6, 2) == 30.37
    assert round(sum(p.numel() for p in generator.mapping.parameters()) / 1e6, 2) == 2.10
    assert PAPER_GENERATOR.num_codes == 18


def test_synthesis_against_a_plain_pass() -> None:
    generator = tiny()
    state = generator.state_dict()
    w = torch.randn(2, TINY.num_codes, TINY.w_dim, dtype=torch.float64)

    def layer(prefix: str, x: torch.Tensor, code: torch.Tensor, up: bool) -> torch.Tensor:
        inputs = x.shape[1]
        affine = state[f"{prefix}.affine.weight"] / math.sqrt(TINY.w_dim)
        style = code @ affine.T + state[f"{prefix}.affine.bias"]
        weight = state[f"{prefix}.weight"] / math.sqrt(inputs * 9)
        x = modulated_conv(x, weight, style, up=up, impl="ref")
        x = x + state[f"{prefix}.noise"] * state[f"{prefix}.noise_strength"]
        return F.leaky_relu(x + state[f"{prefix}.bias"].view(1, -1, 1, 1), 0.2) * 2**0.5

    def to_rgb(prefix: str, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        affine = state[f"{prefix}.affine.weight"] / math.sqrt(TINY.w_dim)
        style = code @ affine.T + state[f"{prefix}.affine.bias"]
        weight = state[f"{prefix}.weight"] / math.sqrt(x.shape[1])
        y = modulated_conv(x, weight, style, demodulate=False, impl="ref")
        return y + state[f"{prefix}.bias"].view(1, -1, 1, 1)

    x = layer("first", state["constant"].repeat(2, 1, 1, 1), w[:, 0], up=False)
    rgb = to_rgb("first_rgb", x, w[:, 1])
    for b in (1, 2):
        x = layer(f"blocks.{b - 1}.up", x, w[:, 2 * b - 1], up=True)
        x = layer(f"blocks.{b - 1}.conv", x, w[:, 2 * b], up=False)
        rgb = upsample(rgb, impl="ref") + to_rgb(f"blocks.{b - 1}.to_rgb", x, w[:, 2 * b + 1])
    assert rgb.shape == (2, 3, 16, 16)
    torch.testing.assert_close(generator.synthesis(w).double(), rgb, rtol=1e-5, atol=1e-5)


def test_to_rgb_alone_can_be_given_other_codes() -> None:
    generator = tiny()
    w, w_rgb = torch.randn(2, 1, TINY.num_codes, TINY.w_dim, dtype=torch.float64)
    assert torch.equal(generator.synthesis(w, w_rgb=w), generator.synthesis(w))
    seen = []
    for name, module in generator.named_modules():
        if name.endswith("affine"):
            module.register_forward_pre_hook(lambda _, code, name=name: seen.append((name, *code)))
    found = generator.synthesis(w, w_rgb=w_rgb)
    wanted = [("first", w, 0), ("first_rgb", w_rgb, 1)]
    for b in (0, 1):
        layers = ("up", w, 2 * b + 1), ("conv", w, 2 * b + 2), ("to_rgb", w_rgb, 2 * b + 3)
        wanted += [(f"blocks.{b}.{layer}", codes, i) for layer, codes, i in layers]
    assert [name for name, _ in seen] == [f"{name}.affine" for name, *_ in wanted]
    assert all(torch.equal(code, codes[:, i]) for (_, code), (_, codes, i) in zip(seen, wanted, strict=True))
    assert not torch.equal(found, generator.synthesis(w))


def test_stopping_at_a_resolution_gives_the_sum_so_far() -> None:
    generator = tiny()
    w = torch.randn(1, TINY.num_codes, TINY.w_dim, dtype=torch.float64)
    small = generator.synthesis(w, size=8)
    assert small.shape == (1, 3, 8, 8)
    generator.blocks[-1].to_rgb.weight.zero_()
    generator.blocks[-1].to_rgb.bias.zero_()
    torch.testing.assert_close(generator.synthesis(w), upsample(small))


def test_truncation_meets_the_mean_at_zero() -> None:
    generator = tiny()
    generator.w_mean.normal_()
    z = torch.randn(2, TINY.z_dim, dtype=torch.float64)
    mean = generator.synthesis(generator.w_mean[None]).expand(2, -1, -1, -1)
    torch.testing.assert_close(generator(z, psi=0.0), mean)
    assert (generator(z, psi=1.0) - mean).abs().max() > 1e-3


def test_mapping_ignores_the_length_of_z() -> None:
    generator = tiny()
    z = torch.randn(2, TINY.z_dim, dtype=torch.float64)
    torch.testing.assert_close(generator.mapping(z), generator.mapping(5 * z), rtol=1e-6, atol=1e-6)


def test_samples_follow_the_stored_gaussian() -> None:
    generator = tiny()
    generator.code_mean.normal_()
    generator.code_basis.zero_()
    generator.code_basis[0, 3] = 2.0  # varies the fourth number of the first code alone
    codes = generator.sample(2000, psi=0.5, seed=1)
    offset = codes - generator.code_mean
    assert abs(offset[:, 0, 3].std().item() - 1.0) < 0.06
    offset[:, 0, 3] = 0
    assert offset.abs().max() == 0
    assert generator.code_basis.shape == (TINY.code_rank, TINY.num_codes * TINY.w_dim)
    assert torch.equal(generator.sample(3, seed=1), generator.sample(3, seed=1))
    assert not torch.equal(generator.sample(3, seed=1), generator.sample(3, seed=2))
