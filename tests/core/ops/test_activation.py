import pytest
import torch

from core.ops.activation import bias_act


@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("noisy", [False, True])
def test_both_ways_give_the_same_and_the_same_gradients(clamp: float | None, noisy: bool) -> None:
    torch.manual_seed(0)
    x, bias = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    noise = torch.randn(4, 5, dtype=torch.float64) if noisy else None
    found = []
    for impl in ("ref", "fast"):
        leaves = x.clone().requires_grad_(), bias.clone().requires_grad_()
        y = bias_act(*leaves, noise, clamp, impl=impl)
        found.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
        torch.testing.assert_close(bias_act(x, bias, noise, clamp, impl=impl), y)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert clamp is None or float((found[0][0].abs() == clamp).double().mean()) > 0.3
