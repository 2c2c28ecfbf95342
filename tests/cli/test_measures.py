"""cli.measures: each against a plain formula."""

import sys

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity

from cli.measures import Measures, load_lpips, made_small, means, ms_ssim, mse
from core.faces.identity import descriptor, distance
from core.faces.judge import IdentityJudge
from core.inversion.whitening import Whitening
from tests.core.faces.test_judge import random_network


def pair(side: int, noise: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two (side, side, 3) float64 images in [-1, 1]: smooth waves, and the same with noise."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 7, side), np.linspace(0, 5, side))
    a = np.stack([np.sin(x + k) * np.cos(y - k) for k in range(3)], axis=-1) * 0.8
    return a, np.clip(a + noise * random.standard_normal(a.shape), -1, 1)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def plain_ms_ssim(a: np.ndarray, b: np.ndarray, scales: int) -> float:
    """Wang et al. 2003 with scipy: a full 2-D window, one channel after the other."""
    all_weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales]
    weights = [w / sum(all_weights) for w in all_weights]
    grid = np.arange(-5, 6)
    window = np.exp(-(grid[:, None] ** 2 + grid[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    channels = []
    for c in range(3):
        x, y, product = a[..., c], b[..., c], 1.0
        for s in range(scales):

            def mean(z: np.ndarray) -> np.ndarray:
                return correlate(z, window)[5:-5, 5:-5]

            mx, my = mean(x), mean(y)
            vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
            term = (2 * vxy + 0.06**2) / (vx + vy + 0.06**2)
            if s == scales - 1:
                term = term * (2 * mx * my + 0.02**2) / (mx**2 + my**2 + 0.02**2)
            product *= max(term.mean(), 0.0) ** weights[s]
            even = len(x) // 2 * 2
            x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4
                    for z in (x[:even, :even], y[:even, :even]))  # fmt: skip
        channels.append(product)
    return float(np.mean(channels))


# 0.02 and 0.06 above: K1 and K2 times the range 2; K2 = 0.03.
@pytest.mark.parametrize(("side", "scales"), [(256, 5), (176, 5), (128, 4), (64, 3), (16, 1)])
def test_ms_ssim_matches_a_plain_formula_at_as_many_scales_as_fit(side: int, scales: int) -> None:
    a, b = pair(side)
    assert ms_ssim(tensor(a), tensor(b)) == pytest.approx(plain_ms_ssim(a, b, scales), abs=1e-9)


def test_one_scale_is_the_ssim_of_skimage() -> None:
    a, b = pair(20)
    plain = structural_similarity(
        a, b, data_range=2, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ms_ssim(tensor(a), tensor(b)) == pytest.approx(plain, abs=1e-9)


def test_ms_ssim_is_one_for_equal_images_zero_for_opposite_ones_and_falls_with_noise() -> None:
    a, _ = pair(128)
    values = [ms_ssim(tensor(a), tensor(pair(128, noise)[1])) for noise in (0.0, 0.1, 0.5)]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2]
    checks = np.sign(np.random.default_rng(1).standard_normal(a.shape))
    assert ms_ssim(tensor(checks), tensor(-checks)) == 0


def test_ms_ssim_refuses_what_is_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="11 px"):
        ms_ssim(torch.zeros(1, 3, 10, 64), torch.zeros(1, 3, 10, 64))


def test_mse_is_on_minus_one_to_one() -> None:
    assert mse(torch.full((1, 3, 4, 4), -1.0), torch.full((1, 3, 4, 4), 1.0)) == 4


def test_lpips_that_cannot_be_had_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)  # makes the import fail
    warnings: list[str] = []
    assert load_lpips(warnings.append) is None
    assert len(warnings) == 1
    assert "LPIPS" in warnings[0]


def test_pictures_are_made_small_by_area_and_never_large() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    wanted = picture.reshape(256, 4, 256, 4, 3).mean((1, 3)) / 127.5 - 1
    np.testing.assert_allclose(made_small(picture)[0].permute(1, 2, 0).numpy(), wanted, atol=1e-6)
    assert made_small(picture[:128, :128]).shape == (1, 3, 128, 128)


@pytest.fixture(scope="module")
def measures() -> Measures:
    """Codes of 8 numbers, each of deviation 2 around 1."""
    basis = 2 * torch.eye(8)[:, None].repeat(1, 4, 1)  # (8, 4, 8)
    whitening = Whitening(torch.ones(4, 8), basis)
    return Measures(lambda a, b: float((a - b).abs().max()), IdentityJudge(random_network()), whitening)


def test_a_crop_and_its_picture_are_compared_at_256_px_with_the_crops_landmarks(measures: Measures) -> None:
    random = np.random.default_rng(0)
    small = random.integers(100, 156, (256, 256, 3), dtype=np.uint8)
    landmarks = random.uniform(60, 190, (68, 2)).astype(np.float32)
    picture = cv2.resize(small + np.uint8(20), (1024, 1024), interpolation=cv2.INTER_NEAREST)
    found = measures.picture(small, landmarks, picture)
    assert found["mse"] == pytest.approx((20 / 127.5) ** 2, rel=1e-5)
    assert found["lpips"] == pytest.approx(20 / 127.5, rel=1e-4)
    there = descriptor(picture, landmarks * 4 + 1.5)
    assert found["dlib_distance"] == pytest.approx(distance(descriptor(small, landmarks), there))
    assert found["judge_cosine"] == measures.judge.cosine(small, picture, landmarks)
    # A model of fewer pixels than the crop is judged at its own.
    fewer = measures.picture(picture, landmarks * 4 + 1.5, small[::4, ::4])
    wanted = (picture.reshape(64, 16, 64, 16, 3).mean((1, 3)) - small[::4, ::4]) / 127.5
    assert fewer["mse"] == pytest.approx((wanted**2).mean(), rel=1e-4)


def test_without_their_networks_perception_is_null_and_the_judge_says_nothing(measures: Measures) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    landmarks = np.random.default_rng(1).uniform(10, 50, (68, 2)).astype(np.float32)
    found = Measures(None, None, measures.whitening).picture(picture, landmarks, picture)
    assert found == {"mse": 0, "ms_ssim": 1, "dlib_distance": 0, "lpips": None}


def test_codes_are_measured_in_their_own_deviations(measures: Measures) -> None:
    sample = 1 + 2 * torch.randn(8, generator=torch.Generator().manual_seed(0)).expand(4, 8)
    found = measures.code(sample)
    assert found["code_rms"] == pytest.approx(float(((sample - 1) / 2).square().mean().sqrt()), rel=1e-5)
    assert found["code_spread"] == pytest.approx(0, abs=1e-6)
    apart = measures.code(torch.ones(4, 8) + torch.tensor([6.0, -6.0, 6.0, -6.0])[:, None])
    assert (apart["code_rms"], apart["code_spread"]) == pytest.approx((3, 3), rel=1e-5)


def test_means_are_over_the_rows_that_know() -> None:
    assert means([{"a": 1.0, "b": None}, {"a": 2.0, "c": 5.0}]) == {"a": 1.5, "b": None, "c": 5.0}
    assert means([]) == {}
