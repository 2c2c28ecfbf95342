"""core.paste.focus: by how much a photo is out of focus, and pictures as soft as that."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from core.engine import Engine
from core.paste.focus import blur_of, out_of_focus
from core.session import EditRequest, Portrait, View
from core.showing import shown

SIZE = 512
y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
REGION = ((x / 150) ** 2 + (y / 190) ** 2 < 1).astype(np.float32)


def textured(seed: int = 0, contrast: float = 1.0, fall: float = 3.1) -> np.ndarray:
    """(SIZE, SIZE, 3) float64 levels, whose power falls as the frequency to that power."""
    noise = np.fft.rfft2(np.random.default_rng(seed).normal(size=(SIZE, SIZE)))
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    picture = np.fft.irfft2(noise / np.maximum(frequency, 1 / SIZE) ** (fall / 2), s=(SIZE, SIZE))
    grey = 128 + 25 * contrast * picture / picture.std()
    return np.repeat(grey[..., None], 3, axis=2)


def soft(picture: np.ndarray, sigma: float, noise: float = 0.0) -> np.ndarray:
    """uint8, by scipy's Gaussian, then with grain."""
    picture = gaussian_filter(picture, (sigma, sigma, 0)) if sigma else picture
    grain = np.random.default_rng(9).normal(0, noise, (SIZE, SIZE, 1)) if noise else 0.0
    return np.rint(picture + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [4.0, 6.0, 9.0])
@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("contrast", [0.6, 1.0])
def test_a_blurred_photo_is_told_by_how_much(sigma: float, noise: float, contrast: float) -> None:
    photo = soft(textured(1, contrast), sigma, noise)
    # All of the picture: a random texture's coarsest octave has a few waves alone in a face.
    everywhere = np.ones((SIZE, SIZE), np.float32)
    assert blur_of(photo, everywhere, SIZE) == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize("noise", [0.0, 6.0, 40.0])
@pytest.mark.parametrize("fall", [2.8, 3.1, 3.3])
def test_a_photo_in_focus_is_told_0_whatever_its_grain(noise: float, fall: float) -> None:
    assert blur_of(soft(textured(fall=fall), 0, noise), REGION, SIZE) == 0


def test_what_is_not_simply_soft_is_left_alone() -> None:
    waves = np.repeat((128 + 60 * np.sin(x / 6))[..., None], 3, axis=2)
    assert blur_of(soft(waves, 0), REGION, SIZE) == 0
    assert blur_of(np.full((SIZE, SIZE, 3), 90, np.uint8), REGION, SIZE) == 0


def test_too_few_pixels_are_no_blur() -> None:
    """A small face, enlarged: the paste shows no more of the model's picture than that anyway."""
    small = soft(textured(), 0).reshape(64, 8, 64, 8, 3).mean(axis=(1, 3)).astype(np.uint8)
    photo = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    assert blur_of(photo, REGION, SIZE) > 1.5
    assert blur_of(photo, REGION, 64) == 0
    assert blur_of(soft(textured(), 9), REGION, 60) == 0  # too few to tell


def test_without_a_face_nothing_is_told() -> None:
    assert blur_of(soft(textured(), 6.0), np.zeros((SIZE, SIZE), np.float32), SIZE) == 0


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_a_real_portrait(photo: np.ndarray, sigma: float) -> None:
    face = np.ascontiguousarray(photo[50:250, 125:325])
    crop = cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    crop = soft(crop.astype(float), sigma * SIZE / 200)
    assert blur_of(crop, REGION, 200) * 200 / SIZE == pytest.approx(sigma, rel=0.25)


def test_pictures_are_blurred_by_a_gaussian_and_at_0_are_themselves() -> None:
    pictures = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
    found = out_of_focus(pictures, 2.0)
    expected = gaussian_filter(pictures.double().numpy(), (0, 0, 2, 2), mode="mirror")
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), expected, atol=0.01)
    assert out_of_focus(pictures, 0.0) is pictures


@pytest.mark.parametrize("output", ["face", "photo"])
@pytest.mark.parametrize("start", ["photo", "inversion"])
@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_what_is_laid_on_a_photo_is_as_soft_as_it(
    tiny_engine: Engine,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    sigma: float,
    start: str,
    output: str,
) -> None:
    monkeypatch.setattr("core.session.focus.blur_of", lambda *_: sigma)
    # One that has not been measured yet.
    portrait = dataclasses.replace(tiny_engine.open_portrait(photo))
    request = EditRequest({"smile": 2}, view=View(start, output))  # type: ignore[arg-type]
    found = tiny_engine.edit(portrait, request)
    levels = [
        picture[0].permute(1, 2, 0).cpu().numpy() * 127.5 + 127.5 for picture in drawn(tiny_engine, portrait)
    ]
    if (start, output) == ("inversion", "face"):  # the model's own picture is sharp
        assert np.abs(found - levels[1].clip(0, 255)).max() < 1
        return
    if sigma:
        levels = [gaussian_filter(picture, (sigma, sigma, 0), mode="mirror") for picture in levels]
    expected = shown(portrait, request.view, tuple(levels), None).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert not np.array_equal(found, portrait.crop if output == "face" else portrait.photo)


def drawn(engine: Engine, portrait: Portrait) -> tuple[torch.Tensor, torch.Tensor]:
    """G(w) and G(w') of a smile, sharp."""
    rendered = engine.rendered(portrait, EditRequest({"smile": 2}))
    return rendered.base, rendered.edited


@pytest.mark.parametrize(
    "what", ["focus.blur_of", "lighting.light_on", "toning.tone_of", "grain.grain_of", "blocks.blocks_of"]
)
def test_a_photo_is_measured_once(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    asked = []
    nothing = 0.0 if what == "focus.blur_of" else None
    monkeypatch.setattr(f"core.session.{what}", lambda *seen: asked.append(seen) or nothing)
    portrait = dataclasses.replace(tiny_engine.open_portrait(photo))
    for value in (1, 2):
        tiny_engine.edit(portrait, EditRequest({"smile": value}, view=View("photo", "photo")))
    assert len(asked) == 1
