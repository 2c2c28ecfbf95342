"""Filters against sums written out by hand."""

import pytest
import torch
import torch.nn.functional as F

from core.ops.filtering import binomial_kernel, blur, downsample, upsample

SIZES = [(4, 4), (5, 8)]


@pytest.mark.parametrize("size", SIZES)
def test_upsample_equals_its_reference(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(upsample(x), upsample(x, impl="ref"), rtol=0, atol=1e-12)


def test_upsample_by_hand() -> None:
    # One axis: an output pixel lies a quarter input pixel off, and mixes its two neighbours 3 to 1.
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    x[..., 1, 1] = 16
    row = torch.tensor([0, 1, 3, 3, 1, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(upsample(x)[0, 0], torch.outer(row, row))


def test_blur_is_a_plain_sum_over_the_window() -> None:
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    kernel = binomial_kernel(dtype=torch.float64)
    padded = F.pad(x, (2, 1, 2, 1))
    wanted = torch.zeros_like(x)
    for i in range(4):
        for j in range(4):
            wanted += kernel[i, j] * padded[..., i : i + 6, j : j + 7]
    torch.testing.assert_close(blur(x, (2, 1)), wanted)


def test_downsample_keeps_a_constant_inside() -> None:
    y = downsample(torch.ones(1, 1, 8, 8))
    assert y.shape == (1, 1, 4, 4)
    torch.testing.assert_close(y[..., 1:-1, 1:-1], torch.ones(1, 1, 2, 2))
