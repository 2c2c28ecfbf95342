import copy

import pytest
import torch

from core import render
from core.checkpoints import Bundle
from core.config import BundleConfig
from core.models.stylegan2 import Generator
from core.render import Renderer, compute_dtype, tune_allocator

CPU = torch.device("cpu")


@pytest.fixture
def codes(tiny_bundle: Bundle) -> torch.Tensor:
    return tiny_bundle.generator.sample(3, 1.0, seed=5)


def signal_to_noise(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(wanted.square().mean() / (found - wanted).square().mean()))


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


def test_the_generator_itself_is_left_alone(
    tiny_config: BundleConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "compute_dtype", lambda device: torch.bfloat16)
    generator = Generator(tiny_config.generator)
    before = copy.deepcopy(generator.state_dict())
    Renderer(generator, CPU)
    after = generator.state_dict()
    assert all(torch.equal(t, before[n]) and t.dtype == before[n].dtype for n, t in after.items())


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
