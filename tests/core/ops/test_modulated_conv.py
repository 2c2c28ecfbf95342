"""Modulated convolution: the fast form, the reference form, and loops."""

import pytest
import torch

from core.ops.activation import bias_act
from core.ops.modulated_conv import demodulation, kernel_energy, modulated_conv, residual_energy


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


def low_rank(batch: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 4, 5, dtype=dtype) * 0.3, torch.randn(batch, 4, 6, dtype=dtype) * 0.3


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_residual_in_closed_form_equals_the_kernel_it_stands_for(
    batch: int, size: int, up: bool, demodulate: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(size)
    x = torch.randn(batch, 6, size, size, dtype=dtype)
    weight, style = torch.randn(5, 6, 3, 3, dtype=dtype) / 7, torch.randn(batch, 6, dtype=dtype)
    residual = low_rank(batch, dtype)
    fast = modulated_conv(x, weight, style, demodulate, up, residual=residual)
    plain = modulated_conv(x, weight, style, demodulate, up, residual=residual, impl="ref")
    torch.testing.assert_close(fast, plain, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)
    assert not torch.allclose(fast, modulated_conv(x, weight, style, demodulate, up), atol=1e-2)


def test_the_reference_form_is_equations_2_and_3() -> None:
    """One output pixel of one sample, in loops."""
    x, weight = torch.randn(2, 6, 3, 3, dtype=torch.float64), torch.randn(5, 6, 3, 3, dtype=torch.float64)
    style, (p, q) = torch.randn(2, 6, dtype=torch.float64), low_rank(2)
    found = modulated_conv(x, weight, style, demodulate=False, residual=(p, q), impl="ref")[1, 2, 1, 1]
    wanted = 0.0
    for i in range(6):
        added = sum(float(p[1, r, 2] * q[1, r, i]) for r in range(4))
        for a in range(3):
            for b in range(3):
                wanted += (float(style[1, i] * weight[2, i, a, b]) + added) * float(x[1, i, a, b])
    assert found.item() == pytest.approx(wanted)


def test_energy_of_a_residual_is_what_it_adds_to_the_sum_of_squares() -> None:
    weight, style = torch.randn(5, 6, 3, 3, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    p, q = low_rank(2)
    kernel = weight[None] * style[:, None, :, None, None]  # (B, O, I, 3, 3)
    whole = (kernel + (p.mT @ q)[..., None, None]).square().sum((2, 3, 4)) - kernel.square().sum((2, 3, 4))
    torch.testing.assert_close(residual_energy(weight, style, (p, q)), whole)


def test_a_residual_that_cancels_its_kernel_leaves_numbers() -> None:
    """The demodulation's sum is then zero but for rounding, which must not reach a square root's far side."""
    style, kernel = torch.ones(1, 1), torch.full((1, 1, 3, 3), 0.7)
    residual = torch.ones(1, 1, 1), torch.full((1, 1, 1), -0.7)
    assert modulated_conv(torch.randn(1, 1, 4, 4), kernel, style, residual=residual).isfinite().all()


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


@pytest.mark.parametrize("size", [4, 16])  # the shared kernel, and one of its own
def test_float16_does_not_overflow_where_the_style_is_large(size: int) -> None:
    torch.manual_seed(0)
    x, style = 200 * torch.rand(1, 24, size, size), 300 + 300 * torch.rand(1, 24)
    weight = torch.rand(8, 24, 3, 3)
    pair = 10 * torch.rand(1, 2, 8), 10 * torch.rand(1, 2, 24)
    for residual in (None, pair):
        wanted = modulated_conv(x, weight, style, residual=residual, impl="ref")
        # Its plain sums would be 24 * 9 * 200 * 450 / 4 and more.
        found = modulated_conv(x.half(), weight.half(), style, residual=residual).float()
        torch.testing.assert_close(found, wanted, rtol=5e-3, atol=0.5)
