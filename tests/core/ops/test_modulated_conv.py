"""Modulated convolution: the fast form, the reference form, and loops."""

import pytest
import torch

from core.ops.activation import bias_act
from core.ops.modulated_conv import demodulation, kernel_energy, modulated_conv


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [4, 16])  # below and above where a batch of one folds into the kernel
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_fast_equals_reference(batch: int, size: int, up: bool, demodulate: bool) -> None:
    x = torch.randn(batch, 6, size, size, dtype=torch.float64)
    weight, style = torch.randn(5, 6, 3, 3, dtype=torch.float64), torch.randn(batch, 6, dtype=torch.float64)
    fast = modulated_conv(x, weight, style, demodulate, up)
    torch.testing.assert_close(fast, modulated_conv(x, weight, style, demodulate, up, impl="ref"))
    known = modulated_conv(x, weight, style, demodulate, up, energy=kernel_energy(weight))
    assert torch.equal(known, fast)


def test_demodulation_is_equation_3() -> None:
    weight, style = torch.randn(2, 3, 3, 3, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    for o in range(2):
        energy = sum(
            (style[0, i] * weight[o, i, a, b]) ** 2 for i in range(3) for a in range(3) for b in range(3)
        )
        torch.testing.assert_close(demodulation(kernel_energy(weight), style)[0, o], (energy + 1e-8) ** -0.5)


def test_demodulated_output_has_unit_variance() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 64, 64, 64), torch.randn(32, 64, 3, 3)
    y = modulated_conv(x, weight, torch.rand(1, 64) + 0.5)
    assert y[..., 1:-1, 1:-1].std().item() == pytest.approx(1.0, abs=0.03)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    x, weight, style = torch.randn(3, 6, 8, 8), torch.randn(5, 6, 3, 3), torch.randn(3, 6)
    alone = modulated_conv(x[1:2], weight, style[1:2])
    torch.testing.assert_close(modulated_conv(x, weight, style)[1:2], alone)


@pytest.mark.parametrize("noisy", [False, True])
def test_bias_act_equals_reference(noisy: bool) -> None:
    x, bias = torch.randn(2, 4, 5, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    noise = torch.randn(5, 5, dtype=torch.float64) if noisy else None
    torch.testing.assert_close(bias_act(x, bias, noise), bias_act(x, bias, noise, impl="ref"))
