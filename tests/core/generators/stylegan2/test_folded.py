"""The folded generator against the readable one."""

import copy
import gc

import pytest
import torch

from core.checkpoints import Bundle
from core.config import BundleConfig, GeneratorConfig
from core.generators.residual import LowRank, WeightShift
from core.generators.stylegan2.folded import KEPT_CORRECTIONS, FoldedConv, FoldedGenerator
from core.generators.stylegan2.network import Generator


@pytest.fixture
def codes(tiny_bundle: Bundle) -> torch.Tensor:
    return tiny_bundle.generator.sample(3, 1.0, seed=5)


@pytest.fixture
def exact(tiny_bundle: Bundle) -> FoldedGenerator:
    return tiny_bundle.generator.folded(torch.float32)


def signal_to_noise(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(wanted.square().mean() / (found - wanted).square().mean()).detach())


def test_in_float32_it_is_the_generator(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor
) -> None:
    found = exact.render(codes)
    assert found.shape == (3, 3, 32, 32)
    torch.testing.assert_close(found, tiny_bundle.generator.synthesis(codes), atol=1e-5, rtol=1e-4)


def test_in_bfloat16_it_is_close_and_comes_as_float32(tiny_bundle: Bundle, codes: torch.Tensor) -> None:
    found = tiny_bundle.generator.folded(torch.bfloat16).render(codes)
    assert found.dtype == torch.float32
    assert signal_to_noise(found, tiny_bundle.generator.synthesis(codes)) > 35


def test_gradients_of_a_low_rank_residual_are_the_generators(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor
) -> None:
    gradients = []
    for synthesis in (exact.synthesis, lambda w, r: tiny_bundle.generator.synthesis(w, residual=r)):
        pairs = [None if t is None else tuple(x[None].clone().requires_grad_() for x in t)
                 for t in low_rank(tiny_bundle.generator).tokens]  # fmt: skip
        leaves = [x for pair in pairs if pair is not None for x in pair]
        loss = synthesis(codes[:1], LowRank(tuple(pairs))).square().mean()
        gradients.append(torch.autograd.grad(loss, leaves))
    for found, wanted in zip(*gradients, strict=True):
        assert wanted.any()
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


def test_to_rgb_alone_can_be_given_other_codes(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor
) -> None:
    generator = tiny_bundle.generator
    w, w_rgb = codes[:1], codes[1:2]
    pairs, shift = low_rank(generator), weight_shift(generator)
    wanted = generator.synthesis(w, w_rgb, pairs)
    torch.testing.assert_close(exact.render(w, w_rgb, pairs), wanted, atol=1e-4, rtol=1e-3)
    for residual in (None, pairs, shift):
        own = exact.render(w, None, residual)
        assert torch.equal(exact.render(w, w, residual), own)
        assert not torch.equal(exact.render(w, w_rgb, residual), own)


def test_the_generator_itself_is_left_alone(tiny_config: BundleConfig) -> None:
    generator = Generator(tiny_config.generator)
    before = copy.deepcopy(generator.state_dict())
    generator.folded(torch.bfloat16).render(generator.sample(1))
    after = generator.state_dict()
    assert all(torch.equal(t, before[n]) and t.dtype == before[n].dtype for n, t in after.items())
    assert all(parameter.requires_grad for parameter in generator.parameters())


def low_rank(generator: Generator, seed: int = 0) -> LowRank:
    """Of the last five convolutions, as large as their kernels."""
    torch.manual_seed(seed)
    pairs = [(0.3 * torch.randn(4, o), 0.3 * torch.randn(4, i)) for o, i in generator.low_rank]
    return LowRank((None, None, *pairs[2:]))


def weight_shift(generator: Generator, seed: int = 0) -> WeightShift:
    torch.manual_seed(seed)
    return WeightShift(
        tuple(0.3 * conv.gain * torch.randn_like(conv.weight) for conv in generator.convolutions())
    )


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_low_rank_residual_joins_every_modulated_kernel(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor, batch: int, strength: float
) -> None:
    residual = low_rank(tiny_bundle.generator)
    whole = [None if t is None else strength * t[0].T @ t[1] for t in residual.tokens]
    # The same product with as many tokens as channels: P the identity, Q the residual itself.
    plain = LowRank(tuple(None if t is None else (torch.eye(len(t)), t) for t in whole))
    wanted = tiny_bundle.generator.synthesis(codes[:batch], residual=plain)
    found = exact.render(codes[:batch], None, residual, strength)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert (found - exact.render(codes[:batch])).abs().mean() > 0.02


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_weight_shift_is_added_to_the_weights(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor, batch: int, strength: float
) -> None:
    residual = weight_shift(tiny_bundle.generator)
    changed = copy.deepcopy(tiny_bundle.generator)
    for conv, shift in zip(changed.convolutions(), residual.shifts, strict=True):
        conv.weight.data += strength * shift / conv.gain
    for _ in range(2):  # made, then remembered
        found = exact.render(codes[:batch], None, residual, strength)
        torch.testing.assert_close(found, changed.synthesis(codes[:batch]), atol=1e-4, rtol=1e-4)
    assert (found - exact.render(codes[:batch])).abs().mean() > 0.02
    scaled = WeightShift(tuple(strength * shift for shift in residual.shifts))
    joined = tiny_bundle.generator.synthesis(codes[:batch], residual=scaled)
    torch.testing.assert_close(joined, changed.synthesis(codes[:batch]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [low_rank, weight_shift])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_strength_zero_is_off_and_nobody_elses_picture_changes(
    tiny_bundle: Bundle, codes: torch.Tensor, make, dtype: torch.dtype
) -> None:
    generator, w = tiny_bundle.generator, codes[:1]
    folded = generator.folded(dtype)
    mine, other = make(generator, 1), make(generator, 2)
    plain, refined = folded.render(w), folded.render(w, None, mine)
    half = folded.render(w, None, mine, 0.5)
    assert not torch.equal(plain, refined)
    for _ in range(KEPT_CORRECTIONS):
        folded.render(w, None, make(generator, 3), 0.7)
    folded.render(w, None, other)
    assert torch.equal(folded.render(w), plain)
    assert torch.equal(folded.render(w, None, mine, 0.0), plain)
    assert torch.equal(folded.render(w, None, mine), refined)
    assert torch.equal(folded.render(w, None, mine, 0.5), half)


def test_corrected_kernels_are_bounded_and_leave_with_their_portrait(
    tiny_bundle: Bundle, exact: FoldedGenerator, codes: torch.Tensor
) -> None:
    residuals = [weight_shift(tiny_bundle.generator, seed) for seed in range(KEPT_CORRECTIONS + 3)]
    with torch.inference_mode():
        for residual in residuals:
            exact.render(codes[:1], None, residual)
    assert list(exact._corrections) == residuals[-KEPT_CORRECTIONS:]
    del residual, residuals
    gc.collect()
    assert len(exact._corrections) == 0


def test_float16_is_for_the_highest_resolutions_alone() -> None:
    config = GeneratorConfig(128, (8,) * 6, w_dim=16, z_dim=16, mapping_layers=1, code_rank=0)
    torch.manual_seed(0)
    generator = Generator(config)
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.data += 0.2 * torch.randn_like(parameter)
    folded = generator.folded(torch.float16)
    layers = folded._layers
    convolutions = [layers.first, *(conv for block in layers.blocks for conv in (block.up, block.conv))]
    assert all(isinstance(conv, FoldedConv) for conv in convolutions)
    assert [conv.weight.dtype for conv in convolutions] == [torch.float32] * 3 + [torch.float16] * 8
    w = torch.randn(1, config.num_codes, 16)
    found = folded.render(w)
    assert found.dtype == torch.float32
    assert signal_to_noise(found, generator.synthesis(w)) > 50


def test_float16_survives_a_spike() -> None:
    config = GeneratorConfig(64, (8,) * 5, w_dim=16, z_dim=16, mapping_layers=1, code_rank=0)
    torch.manual_seed(0)
    generator = Generator(config)
    generator.blocks[1].conv.bias.data.fill_(6e4)  # what comes out is beyond float16's 65504
    assert generator.folded(torch.float16).render(torch.randn(1, config.num_codes, 16)).isfinite().all()
