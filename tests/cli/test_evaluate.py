import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity

from cli import evaluate as evaluation
from cli.evaluate import evaluate, evenly, load_lpips, ms_ssim, mse, photos_in
from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadRequest
from core.session import Portrait


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


def test_evaluate_counts_measures_and_averages(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "load_lpips", lambda warn: lambda a, b: float((a - b).abs().max()))
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(np.ascontiguousarray(photo[:, ::-1])).save(tmp_path / "b.JPG")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "empty.png")
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("no picture at all")
    warnings: list[str] = []

    result = evaluate(tiny_engine, photos_in(tmp_path), warnings.append)

    assert (result["folder_photos"], result["photos"], result["no_face"]) == (4, 3, 1)
    assert result["refine"] == "off"
    assert [entry["file"] for entry in result["per_photo"]] == ["a.png", "b.JPG"]
    assert len(warnings) == 1
    assert warnings[0].startswith("broken.jpg")
    portrait = tiny_engine.open_portrait(photo)
    error = (portrait.crop.astype(float) - portrait.inversion.astype(float)) / 127.5
    first = result["per_photo"][0]
    assert first["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert first["lpips"] == pytest.approx(abs(error).max(), rel=1e-5)
    assert first["dlib_distance"] == portrait.identity.distance(portrait.inversion)
    for name in ("mse", "ms_ssim", "dlib_distance", "lpips", "seconds"):
        values = [entry[name] for entry in result["per_photo"]]
        assert result["mean"][name] == pytest.approx(sum(values) / 2)


def test_a_refined_portrait_is_measured_as_refined_and_timed_with_it(
    refining_bundle: Bundle, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "load_lpips", lambda warn: None)
    Image.fromarray(photo).save(tmp_path / "a.png")
    engine = Engine(refining_bundle)
    clock = iter(range(100))
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: next(clock))
    refine = engine.refine

    def slow(portrait: Portrait, mode: str) -> Portrait:
        assert mode == "fast"
        for _ in range(10):
            next(clock)
        return refine(portrait, mode)

    monkeypatch.setattr(engine, "refine", slow)
    (found,) = evaluate(engine, photos_in(tmp_path), pytest.fail, "fast")["per_photo"]
    portrait = refine(engine.open_portrait(photo), "fast")
    rendered = portrait.bases["fast"].clamp(-1, 1)
    crop = torch.from_numpy(portrait.crop / 127.5 - 1).permute(2, 0, 1)[None]
    assert found["mse"] == pytest.approx(float((rendered - crop).square().mean()), rel=0.01)
    assert found["mse"] != pytest.approx(float((portrait.rendered - crop).square().mean()), rel=0.02)
    assert found["seconds"] == 11


def test_a_refinement_that_the_model_lacks_is_refused(tiny_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no refiner"):
        evaluate(tiny_engine, [tmp_path / "a.png"], pytest.fail, "fast")


def test_a_limit_takes_photos_from_the_whole_folder(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "load_lpips", lambda warn: None)
    files = [tmp_path / f"{i}.png" for i in range(9)]
    assert [f.name for f in evenly(files, 3)] == ["0.png", "4.png", "8.png"]
    assert evenly(files, None) == evenly(files, 9) == evenly(files, 12) == files
    for file in files:
        Image.new("RGB", (100, 100), "grey").save(file)
    result = evaluate(tiny_engine, files, pytest.fail, limit=2)
    assert (result["folder_photos"], result["photos"], result["no_face"]) == (9, 2, 2)


def test_evaluate_without_any_face_has_no_means(
    tiny_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "load_lpips", lambda warn: None)
    Image.new("RGB", (100, 100), "grey").save(tmp_path / "empty.png")
    result = evaluate(tiny_engine, photos_in(tmp_path), pytest.fail)
    assert result["photos"] == result["no_face"] == 1
    assert result["per_photo"] == []
    assert set(result["mean"].values()) == {None}


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no photos"):
        photos_in(tmp_path)
    with pytest.raises(BadRequest, match="cannot be read"):
        photos_in(tmp_path / "missing")
