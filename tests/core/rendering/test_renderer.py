import copy
import gc

import pytest
import torch

from core.checkpoints import Bundle
from core.config import BundleConfig, GeneratorConfig
from core.generators.residual import LowRank, WeightShift
from core.generators.stylegan2.network import Generator
from core.rendering import renderer as render
from core.rendering.renderer import KEPT_CORRECTIONS, Renderer, compute_dtype, layer_dtype, tune_allocator

CPU = torch.device("cpu")


@pytest.fixture
def codes(tiny_bundle: Bundle) -> torch.Tensor:
    return tiny_bundle.generator.sample(3, 1.0, seed=5)


def signal_to_noise(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(wanted.square().mean() / (found - wanted).square().mean()).detach())


def test_float32_rendering_is_the_generators(
    tiny_bundle: Bundle, codes: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.float32)
    found = Renderer(tiny_bundle.generator, CPU).render(codes)
    assert found.shape == (3, 3, 32, 32)
    torch.testing.assert_close(found, tiny_bundle.generator.synthesis(codes), atol=1e-5, rtol=1e-4)


def test_bfloat16_rendering_is_close_and_comes_as_float32(
    tiny_bundle: Bundle, codes: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.bfloat16)
    found = Renderer(tiny_bundle.generator, CPU).render(codes)
    assert found.dtype == torch.float32
    assert signal_to_noise(found, tiny_bundle.generator.synthesis(codes)) > 35


def test_the_same_code_gives_the_same_bits_whatever_came_between(
    tiny_bundle: Bundle, codes: torch.Tensor
) -> None:
    renderer = Renderer(tiny_bundle.generator, CPU)
    first = renderer.render(codes[:1])
    kept = first.clone()
    renderer.render(codes[1:])
    assert torch.equal(renderer.render(codes[:1]), kept)
    assert torch.equal(first, kept)  # no buffer is handed out twice


def test_to_rgb_alone_can_be_given_other_codes(
    tiny_bundle: Bundle, codes: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.float32)
    renderer, generator = Renderer(tiny_bundle.generator, CPU), tiny_bundle.generator
    w, w_rgb = codes[:1], codes[1:2]
    shapes = [c.weight.shape for c in generator.convolutions()]
    random = torch.Generator().manual_seed(0)
    low_rank = LowRank(
        tuple(tuple(0.1 * torch.randn(2, n, generator=random) for n in shape[:2]) for shape in shapes)
    )
    shift = WeightShift(tuple(0.01 * torch.randn(shape, generator=random) for shape in shapes))
    pairs = [(p[None], q[None]) for p, q in low_rank.tokens]
    wanted = generator.synthesis(w, residuals=pairs, w_rgb=w_rgb)
    torch.testing.assert_close(renderer.render(w, low_rank, 1.0, w_rgb), wanted, atol=1e-4, rtol=1e-3)
    for residual in (None, low_rank, shift):
        own = renderer.render(w, residual)
        assert torch.equal(renderer.render(w, residual, 1.0, w), own)
        assert not torch.equal(renderer.render(w, residual, 1.0, w_rgb), own)


def test_the_generator_itself_is_left_alone(
    tiny_config: BundleConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.bfloat16)
    generator = Generator(tiny_config.generator)
    before = copy.deepcopy(generator.state_dict())
    Renderer(generator, CPU)
    after = generator.state_dict()
    assert all(torch.equal(t, before[n]) and t.dtype == before[n].dtype for n, t in after.items())


def low_rank(generator: Generator, seed: int = 0) -> LowRank:
    """Of the last five convolutions, as large as their kernels."""
    torch.manual_seed(seed)
    weights = [conv.weight for conv in generator.convolutions()]
    pairs = [(0.3 * torch.randn(4, o), 0.3 * torch.randn(4, i)) for o, i, _, _ in (w.shape for w in weights)]
    return LowRank((None, None, *pairs[2:]))


def weight_shift(generator: Generator, seed: int = 0) -> WeightShift:
    torch.manual_seed(seed)
    return WeightShift(
        tuple(0.3 * conv.gain * torch.randn_like(conv.weight) for conv in generator.convolutions())
    )


@pytest.fixture
def exact(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Renderer:
    """In float32, whatever this machine can."""
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.float32)
    return Renderer(tiny_bundle.generator, CPU)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_low_rank_residual_joins_every_modulated_kernel(
    tiny_bundle: Bundle, exact: Renderer, codes: torch.Tensor, batch: int, strength: float
) -> None:
    residual = low_rank(tiny_bundle.generator)
    whole = [None if t is None else (strength * t[0].T @ t[1], None) for t in residual.tokens]
    # The same product with as many tokens as channels: P the identity, Q the residual itself.
    plain = [None if t is None else (torch.eye(len(t[0]))[None], t[0][None]) for t in whole]
    wanted = tiny_bundle.generator.synthesis(codes[:batch], residuals=plain)
    found = exact.render(codes[:batch], residual, strength)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert (found - exact.render(codes[:batch])).abs().mean() > 0.02


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_weight_shift_is_added_to_the_weights(
    tiny_bundle: Bundle, exact: Renderer, codes: torch.Tensor, batch: int, strength: float
) -> None:
    residual = weight_shift(tiny_bundle.generator)
    changed = copy.deepcopy(tiny_bundle.generator)
    for conv, shift in zip(changed.convolutions(), residual.shifts, strict=True):
        conv.weight.data += strength * shift / conv.gain
    for _ in range(2):  # made, then remembered
        found = exact.render(codes[:batch], residual, strength)
        torch.testing.assert_close(found, changed.synthesis(codes[:batch]), atol=1e-4, rtol=1e-4)
    assert (found - exact.render(codes[:batch])).abs().mean() > 0.02


@pytest.mark.parametrize("make", [low_rank, weight_shift])
def test_strength_zero_is_off_and_nobody_elses_picture_changes(
    tiny_bundle: Bundle, codes: torch.Tensor, make
) -> None:
    renderer = Renderer(tiny_bundle.generator, CPU)
    mine, other = make(tiny_bundle.generator, 1), make(tiny_bundle.generator, 2)
    plain, refined = renderer.render(codes[:1]), renderer.render(codes[:1], mine)
    half = renderer.render(codes[:1], mine, 0.5)
    assert not torch.equal(plain, refined)
    for _ in range(KEPT_CORRECTIONS):
        renderer.render(codes[:1], make(tiny_bundle.generator, 3), 0.7)
    renderer.render(codes[:1], other)
    assert torch.equal(renderer.render(codes[:1]), plain)
    assert torch.equal(renderer.render(codes[:1], mine, 0.0), plain)
    assert torch.equal(renderer.render(codes[:1], mine), refined)
    assert torch.equal(renderer.render(codes[:1], mine, 0.5), half)


def test_corrected_kernels_are_bounded_and_leave_with_their_portrait(
    tiny_bundle: Bundle, codes: torch.Tensor
) -> None:
    renderer = Renderer(tiny_bundle.generator, CPU)
    residuals = [weight_shift(tiny_bundle.generator, seed) for seed in range(KEPT_CORRECTIONS + 3)]
    for residual in residuals:
        renderer.render(codes[:1], residual)
    assert list(renderer._corrections) == residuals[-KEPT_CORRECTIONS:]
    del residual, residuals
    gc.collect()
    assert len(renderer._corrections) == 0


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16"])
def test_bfloat16_only_where_the_processor_has_it(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True})
    assert compute_dtype(CPU) == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: False, "avx2": True})
    assert compute_dtype(CPU) == torch.float32
    assert compute_dtype(torch.device("cuda")) == torch.float16


def test_the_allocator_is_left_alone_where_it_is_not_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise AssertionError("there is no mallopt here")

    monkeypatch.setattr(render.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(render.ctypes, "CDLL", refuse)
    tune_allocator.__wrapped__()


def test_float16_is_for_the_highest_resolutions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GeneratorConfig(128, (8,) * 6, w_dim=16, z_dim=16, mapping_layers=1, code_rank=0)
    assert [layer_dtype(torch.float16, r, config) for r in (4, 8, 16, 128)] == [
        torch.float32, torch.float32, torch.float16, torch.float16,
    ]  # fmt: skip
    assert layer_dtype(torch.bfloat16, 4, config) == torch.bfloat16
    torch.manual_seed(0)
    generator = Generator(config)
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.data += 0.2 * torch.randn_like(parameter)
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.float16)
    renderer = Renderer(generator, CPU)
    assert [conv.weight.dtype for conv in renderer._convolutions] == [torch.float32] * 3 + [torch.float16] * 8
    w = torch.randn(1, config.num_codes, 16)
    found = renderer.render(w)
    assert found.dtype == torch.float32
    assert signal_to_noise(found, generator.synthesis(w)) > 50


def test_float16_survives_a_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GeneratorConfig(64, (8,) * 5, w_dim=16, z_dim=16, mapping_layers=1, code_rank=0)
    torch.manual_seed(0)
    generator = Generator(config)
    generator.blocks[1].conv.bias.data.fill_(6e4)  # what comes out is beyond float16's 65504
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.float16)
    assert Renderer(generator, CPU).render(torch.randn(1, config.num_codes, 16)).isfinite().all()
