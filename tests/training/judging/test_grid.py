"""training.judging.grid: planted dots, flat places, and the command."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from training.judging.grid import PERIODS, SIDE, dots, flattest, main, psnr


def noisy(height: int = 320, width: int = 384, seed: int = 0) -> np.ndarray:
    """(H, W, 3) float: grey with the noise of a sensor."""
    return 128 + np.random.default_rng(seed).normal(0, 2, (height, width, 3))


def dotted(period: int, depth: float = 1.5) -> np.ndarray:
    """Noise with waves of one period along both sides."""
    picture = noisy()
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    waves = np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period)
    return np.clip(picture + depth * waves[..., None], 0, 255).round().astype(np.uint8)


def test_noise_has_no_grid() -> None:
    found = dots(noisy().round().astype(np.uint8))
    assert found.keys() == set(PERIODS)
    assert all(0.5 < value < 20 for value in found.values())


@pytest.mark.parametrize("period", PERIODS)
def test_dots_stand_out_at_their_own_period(period: int) -> None:
    found = dots(dotted(period))
    others = [value for p, value in found.items() if p != period]
    assert found[period] > 100
    assert max(others) < 20
    # Power is the square of the depth: twice as deep stands out four times as far.
    assert dots(dotted(period, 3))[period] == pytest.approx(4 * found[period], rel=0.2)


def test_figures_are_those_of_a_plain_spectrum() -> None:
    picture = dotted(4)[:SIDE, :SIDE]  # one window
    grey = picture.astype(np.float64).mean(2)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 3)
    n = np.arange(SIDE)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / (SIDE - 1))
    windowed = (fine - fine.mean()) * hann[:, None] * hann
    wave = np.exp(-2j * np.pi * np.outer(n, n) / SIDE)
    power = np.abs(wave @ windowed @ wave) ** 2  # rows are frequencies of y

    def ratio(cy: int, cx: int) -> float:
        near, ring = [], []
        for dy in range(-8, 9):
            for dx in range(-8, 9):
                value = power[(cy + dy) % SIDE, (cx + dx) % SIDE]
                near += [value] if np.hypot(dy, dx) <= 1 else []
                ring += [value] if 3 <= np.hypot(dy, dx) <= 8 else []
        return max(near) / np.median(ring)

    wanted = {p: max(ratio(k, 0), ratio(0, k), ratio(k, k)) for p in PERIODS for k in [SIDE // p]}
    assert dots(picture) == pytest.approx(wanted, rel=1e-3)


def test_the_flattest_windows_are_looked_at_and_neither_black_nor_white_ones() -> None:
    grey = np.zeros((256, 256), np.float32)  # windows at 0, 64, 128
    grey[:, 128:] = 255
    grey[128:, 128:] = 128
    assert flattest(grey)[0] == (128, 128)
    assert (0, 0) not in flattest(grey)
    assert (0, 128) not in flattest(grey)
    grey[128:, :128] = np.random.default_rng(0).uniform(60, 200, (128, 128))
    assert flattest(grey).index((128, 128)) < flattest(grey).index((128, 0))


def test_where_nothing_can_be_seen_nothing_is_said() -> None:
    assert dots(np.zeros((256, 256, 3), np.uint8)) is None
    assert dots(np.full((100, 256, 3), 128, np.uint8)) is None


def test_psnr_has_its_peak_at_255() -> None:
    a = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(a, a + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(a, a) == float("inf")


def test_command_prints_every_picture_the_median_and_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, raw = tmp_path / "clean", tmp_path / "raw"
    folder.mkdir()
    raw.mkdir()
    pictures = {"a.png": dotted(2), "b.png": dotted(8), "dark.png": np.zeros((256, 256, 3), np.uint8)}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name)
        Image.fromarray(picture + np.uint8(5)).save(raw / name)
    main(["--folder", str(folder), "--raw", str(raw)])
    printed = capsys.readouterr().out
    assert printed.startswith("2 of 3 pictures")
    rows = {line.split("|")[1].strip(): line.split("|")[2:5] for line in printed.splitlines() if "|" in line}
    assert rows.keys() == {"picture", "---", "a.png", "b.png", "median", "worst"}
    values = {name: [float(v) for v in rows[name]] for name in ("a.png", "b.png", "median", "worst")}
    assert values["worst"] == list(np.maximum(values["a.png"], values["b.png"]))
    assert values["median"] == pytest.approx(np.add(values["a.png"], values["b.png"]) / 2, abs=0.06)
    assert f"{20 * np.log10(51):.1f} dB" in printed
