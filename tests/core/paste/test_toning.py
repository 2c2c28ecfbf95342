"""core.paste.toning: what is of one tone, and that an edit of it stays in it."""

import cv2
import numpy as np
import pytest
import torch

from core.engine import Engine
from core.paste.toning import in_tone, tone_of
from core.session import EditRequest, View

SEPIA, BLUE = (1.07, 0.9, 0.68), (0.6, 0.85, 1.1)


def toned(photo: np.ndarray, tone: tuple[float, ...], noise: float = 0) -> np.ndarray:
    """As darkrooms and filters do: grey, multiplied, clipped at white; and through a JPEG."""
    grey = photo @ (0.299, 0.587, 0.114)
    grey = grey + np.random.default_rng(0).normal(0, noise, grey.shape)
    picture = (grey[:, :, None] * tone).clip(0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[:, :, ::-1])


@pytest.mark.parametrize("tone", [SEPIA, BLUE])
@pytest.mark.parametrize("noise", [0, 12])
def test_a_tone_is_found_through_grain_and_jpeg(
    photo: np.ndarray, tone: tuple[float, ...], noise: float
) -> None:
    found = tone_of(toned(photo, tone, noise))
    assert found is not None
    luma = 120.0
    level = luma / np.dot(tone, (0.299, 0.587, 0.114))
    assert np.abs(found[120] - (level * np.array(tone) - luma)).max() < 4


def test_grey_is_the_tone_of_none_and_colours_have_none(photo: np.ndarray) -> None:
    grey = np.rint(photo @ (0.299, 0.587, 0.114)).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    found = tone_of(grey)
    assert found is not None
    assert not found.any()
    assert tone_of(photo) is None
    assert tone_of(photo // 2) is None
    assert tone_of(photo // 12) is None  # of a dark photo all lies close together
    half = toned(photo, SEPIA)
    half[:, :256] = photo[:, :256]
    assert tone_of(half) is None


def test_pictures_take_the_tone_of_their_brightness() -> None:
    tone = np.stack([np.linspace(0, 40, 256), np.linspace(0, -10, 256), np.linspace(0, -60, 256)], 1)
    pictures = torch.rand(2, 3, 5, 4) * 2.4 - 1.2
    found = in_tone(pictures, tone.astype(np.float32)).double().numpy()
    luma = np.einsum("nchw,c->nhw", pictures.double().numpy(), (0.299, 0.587, 0.114))
    share = ((luma + 1) / 2).clip(0, 1)
    for channel, end in enumerate((40, -10, -60)):
        assert np.allclose(found[:, channel], luma + share * end / 127.5, atol=1e-5)
    assert in_tone(pictures, None) is pictures


@pytest.mark.parametrize("tone", [SEPIA, BLUE])
def test_what_an_edit_changes_stays_in_the_tone(
    tiny_engine: Engine, photo: np.ndarray, tone: tuple[float, ...]
) -> None:
    sepia = toned(photo, tone)
    portrait = tiny_engine.open_portrait(sepia)
    request = EditRequest({"smile": 2, "male": -1}, view=View("photo", "photo"))
    pictures, _ = tiny_engine.run(lambda: tiny_engine._edits.pictures(portrait, request))
    curve = tone_of(portrait.crop)
    assert curve is not None
    for picture in pictures:
        luma = picture @ np.array((0.299, 0.587, 0.114), np.float32)
        wanted = np.stack([np.interp(luma, np.arange(256), curve[:, i]) for i in range(3)], 2)
        inside = (luma > 1) & (luma < 254)
        assert np.abs(picture - luma[:, :, None] - wanted)[inside].max() < 1.5
    assert not np.array_equal(*pictures)
