"""The fade against a plain formula in numpy, and what it must leave alone."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from core.models.refine_style import resize
from core.refinement.fade import fade, unmoved


def smooth(size: int, count: int = 1, seed: int = 0) -> Tensor:
    """(count, 3, size, size) in [-1, 1]: structure of a few cycles, the same at every size."""
    random = np.random.default_rng(seed)
    x = (np.arange(size) + 0.5) / size
    pictures = np.zeros((count, 3, size, size))
    for fx, fy in [(1, 2), (3, 1), (5, 6), (8, 3), (7, 9)]:
        phase = random.uniform(0, 2 * np.pi, (count, 3, 1, 1))
        pictures += np.cos(2 * np.pi * (fx * x + fy * x[:, None]) + phase) / 5
    return torch.from_numpy(pictures).float()


def plain_weight(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """m of one picture of at most 128 px by its definition: (3, R, R) twice -> (R, R), in float64."""

    def mean(x: np.ndarray) -> np.ndarray:
        # scipy's radius is rounded from truncate * sigma; 12 px at 128.
        sigma = 0.03 * p.shape[-1]
        return gaussian_filter(x, sigma, mode="nearest", radius=int(np.ceil(2.5 * sigma)))

    variance = [sum(mean(c**2) - mean(c) ** 2 for c in x) for x in (p - r, p, r)]
    return np.clip(1 - variance[0] / (variance[1] + variance[2] + 0.01), 0, 1)


@pytest.mark.parametrize("size", [32, 128])
def test_the_weight_is_that_of_the_formula(size: int) -> None:
    p, r, refined = smooth(size, 2), smooth(size, 2, 1), smooth(size, 2, 2)
    p[0] = r[0] + 0.3 * (p[0] - r[0])  # one small edit, one large
    found = fade(p, refined, r)
    for i in range(2):
        a, b, c = (x[i].double().numpy() for x in (p, refined, r))
        m = plain_weight(a, c)
        assert 0 < m.mean() < 1
        np.testing.assert_allclose(found[i].numpy(), a + m * (b - a), atol=1e-5)


@pytest.mark.parametrize("size", [16, 128, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_an_edit_the_refined_picture_comes_back_bit_for_bit(size: int, dtype: torch.dtype) -> None:
    plain, refined = torch.randn(2, 2, 3, size, size, dtype=dtype).unbind()
    assert torch.equal(fade(plain, refined, plain.clone()), refined)


def test_it_fades_where_the_edit_was_and_nowhere_else() -> None:
    reference, refined = smooth(128), smooth(128, seed=1)
    plain = reference.clone()
    plain[..., 40:70, 40:70] = smooth(128, seed=2)[..., 40:70, 40:70]
    found = fade(plain, refined, reference)
    assert (found - plain)[..., 48:62, 48:62].abs().mean() < 0.1 * (refined - plain).abs().mean()
    # Beyond the window's reach of 10 px nothing is known of the edit.
    assert torch.equal(found[..., 90:, :], refined[..., 90:, :])


def test_light_alone_moves_nothing() -> None:
    reference = smooth(128)
    light = torch.linspace(-0.3, 0.3, 128).expand_as(reference)
    assert unmoved(reference + light, reference).mean() > 0.95
    # A face turned by a few pixels is as far from itself as another picture.
    assert unmoved(reference.roll(8, -1), reference).mean() < 0.5


def test_the_weight_does_not_depend_on_the_resolution() -> None:
    small, large = (unmoved(smooth(s), 0.6 * smooth(s, seed=1)) for s in (128, 512))
    assert large.shape == (1, 1, 512, 512)
    assert (resize(large, 128) - small).abs().max() < 0.03
