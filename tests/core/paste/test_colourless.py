"""core.paste.colourless: what is grey, and what is painted in grey."""

import numpy as np
import pytest
import torch

from core.engine import Engine
from core.paste.colourless import colourless, in_grey
from core.session import EditRequest, View


def grey_noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (256, 256, 1), dtype=np.uint8).repeat(3, axis=2)


def test_grey_is_grey_with_the_rounding_of_files() -> None:
    crop = grey_noise()
    assert colourless(crop)
    crop[::2, :, 1] = np.clip(crop[::2, :, 1].astype(int) + 3, 0, 255)
    assert colourless(crop)


def test_sepia_a_faint_tint_and_colour_are_not_grey(photo: np.ndarray) -> None:
    assert not colourless(photo)
    assert not colourless(np.clip(grey_noise() * (1.0, 0.95, 0.82), 0, 255).astype(np.uint8))
    tinted = grey_noise()
    tinted[:20, :, 0] = np.clip(tinted[:20, :, 0].astype(int) + 12, 0, 255)
    assert not colourless(tinted)


def test_a_picture_in_grey_is_as_bright() -> None:
    pictures = torch.rand(2, 3, 5, 4) * 2 - 1
    grey = in_grey(pictures)
    red, green, blue = pictures.double().unbind(1)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    assert torch.allclose(grey.double(), expected[:, None].expand(-1, 3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("start", ["photo", "inversion"])
@pytest.mark.parametrize("output", ["face", "photo"])
@pytest.mark.parametrize("keep_detail", [True, False])
def test_a_photo_without_colour_stays_without(
    tiny_engine: Engine, photo: np.ndarray, start: str, output: str, keep_detail: bool
) -> None:
    grey = np.rint(photo @ (0.299, 0.587, 0.114)).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    portrait = tiny_engine.open_portrait(grey)
    view = View(start, output, keep_detail)
    edited = tiny_engine.edit(portrait, EditRequest({"smile": 2, "male": -1}, view=view))
    assert np.ptp(edited, axis=2).max() <= 2
    assert not np.array_equal(edited, portrait.photo if output == "photo" else portrait.crop)


def test_a_photo_in_colour_keeps_the_model_s(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    edited = tiny_engine.edit(portrait, EditRequest({"smile": 2}))
    assert np.ptp(edited, axis=2).max() > 20
