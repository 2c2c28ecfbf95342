"""core.paste.lighting: which light is ordinary, and the way out of another and back."""

import dataclasses

import numpy as np
import pytest
import torch

from core.engine import Engine
from core.images import to_tensor
from core.paste.lighting import Light, in_good_light, in_photos_light, light_of, light_on
from core.session import EditRequest, View

FIFTH, RED, BLUE = (0.2, 0.2, 0.2), (1.5, 0.14, 0.092), (0.12, 0.28, 1.35)
SIZE = 256


def linear(levels: np.ndarray) -> np.ndarray:
    value = np.asarray(levels, np.float64) / 255
    return np.where(value > 0.04045, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4, value / 12.92)


def levels(light: np.ndarray) -> np.ndarray:
    light = np.asarray(light, np.float64)
    return 255 * np.where(light > 0.0031308, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055, 12.92 * light)


def portrait(lamp: tuple[float, ...] = (1, 1, 1)) -> np.ndarray:
    """A face before a bright wall under a lamp, with some texture."""
    picture = np.full((SIZE, SIZE, 3), (214.0, 214, 210))
    picture[face()] = (200, 150, 128)
    picture += np.random.default_rng(0).normal(0, 4, (SIZE, SIZE, 1))
    return levels((linear(picture) * lamp).clip(0, 1)).round().astype(np.uint8)


def face() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return ((x - 128) / 60) ** 2 + ((y - 140) / 75) ** 2 < 1


REGION = face().astype(np.float32)


@pytest.mark.parametrize("lamp", [(1, 1, 1), (0.6, 0.6, 0.6), (1.1, 0.9, 0.6), (0.9, 1, 1.1)])
def test_ordinary_light_is_nobody_s_business(lamp: tuple[float, ...]) -> None:
    crop = portrait(lamp)
    assert light_of(crop, REGION) is None
    pictures = torch.rand(1, 3, 4, 4)
    assert in_good_light(crop, None) is crop
    assert in_photos_light(pictures, None) is pictures


def test_a_dark_skin_is_no_dark_photo() -> None:
    crop = portrait()
    crop[face()] = (70, 45, 38)
    assert light_of(crop, REGION) is None


def test_a_dark_photo_is_what_its_brightest_hundredth_says() -> None:
    crop = portrait(FIFTH)
    light = light_of(crop, REGION)
    assert light is not None
    # Of a copy of half the side: the mean of every four pixels.
    small = np.rint(crop.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)))
    expected = linear(np.percentile(small.max(axis=2), 99)) / linear(np.float64(220))
    assert np.allclose(light, expected, rtol=0.02)  # a level either way


@pytest.mark.parametrize("lamp", [RED, BLUE])
@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_lamp_s_colour_is_found_by_the_face(lamp: tuple[float, ...], strength: float) -> None:
    light = light_of(portrait(tuple(strength * np.array(lamp))), REGION)
    assert light is not None
    assert np.allclose(np.array(light) / max(light), np.array(lamp) / max(lamp), rtol=0.25)


@pytest.mark.parametrize("lamp", [RED, BLUE])
@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_in_good_light_a_face_from_under_a_lamp_is_as_bright_as_most(
    lamp: tuple[float, ...], strength: float
) -> None:
    crop = portrait(tuple(strength * np.array(lamp)))
    lit = in_good_light(crop, light_of(crop, REGION))
    bright = linear(np.median(lit[face()], axis=0)) @ (0.2126, 0.7152, 0.0722)
    assert bright == pytest.approx(0.27, rel=0.1)


def test_where_no_face_is_nothing_is_told() -> None:
    assert light_of(portrait(FIFTH), np.zeros((SIZE, SIZE), np.float32)) is None


def test_the_way_back_is_the_plain_formula_and_goes_on_beyond_black_and_white() -> None:
    light = Light(1.0, 0.14, 0.06)
    pictures = torch.linspace(-1.2, 1.3, 48).view(1, 3, 4, 4)
    found = in_photos_light(pictures, light)
    expected = levels(linear((pictures.double().numpy() + 1) * 127.5) * np.reshape(light, (3, 1, 1)))
    assert np.allclose((found.numpy() + 1) * 127.5, expected, atol=0.01)


def test_into_good_light_and_back_loses_less_than_a_level() -> None:
    crop, light = portrait(FIFTH), Light(0.2, 0.2, 0.2)
    back = in_photos_light(to_tensor(in_good_light(crop, light)), light)
    assert (back - to_tensor(crop)).abs().max() * 127.5 < 0.75


def test_what_is_added_in_good_light_is_added_as_the_photo_has_it() -> None:
    """White teeth on a skin, one fifth of the light: what they would be in it."""
    crop = portrait(FIFTH)
    light = light_of(crop, REGION)
    base = in_good_light(crop, light)
    edited = base.copy()
    edited[150:160, 110:146] = 235
    shown = (in_photos_light(to_tensor(edited), light)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert light is not None
    assert np.allclose(shown[155, 128], levels(linear(np.full(3, 235.0)) * light), atol=0.1)
    assert shown.max() < 140


def test_a_code_of_the_photo_s_own_light_keeps_it() -> None:
    crop = portrait(RED)
    light = light_of(crop, REGION)
    assert light_on(crop, REGION, to_tensor(in_good_light(crop, light))) == light
    assert light_on(crop, REGION, to_tensor(crop)) is None


def test_codes_are_found_of_the_photo_in_good_light(tiny_engine: Engine, photo: np.ndarray) -> None:
    dark = levels(linear(photo) * 0.1).round().astype(np.uint8)
    opened = tiny_engine.open_portrait(dark)
    light = light_of(opened.crop, opened.mask)
    assert light is not None
    lit = tiny_engine.invert_picture(in_good_light(opened.crop, light))
    assert np.allclose(lit.w_plus, opened.w_plus.cpu().numpy(), atol=1e-5)
    assert not np.allclose(tiny_engine.invert_picture(opened.crop).w_plus, lit.w_plus, atol=1e-3)


@pytest.mark.parametrize("output", ["face", "photo"])
@pytest.mark.parametrize("start", ["photo", "inversion"])
def test_every_view_is_in_the_photos_light(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, start: str, output: str
) -> None:
    portrait = tiny_engine.open_portrait(photo)
    request = EditRequest({"smile": 2}, view=View(start, output))  # type: ignore[arg-type]
    plain = tiny_engine.edit(portrait, request)
    monkeypatch.setattr(type(portrait), "light", Light(1.0, 0.1, 0.1))
    red = tiny_engine.edit(dataclasses.replace(portrait), request)  # one that has not found its light yet
    if (start, output) == ("inversion", "face"):
        bright = in_good_light(red, Light(1.0, 0.1, 0.1)).astype(int)
        assert np.abs(bright - plain).max() <= 6  # a level in a tenth of the light
    assert not np.array_equal(red, plain)


def test_a_portraits_light_is_found_once(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("core.session.lighting.light_on", lambda *pictures: asked.append(pictures))
    portrait = dataclasses.replace(tiny_engine.open_portrait(photo))
    for value in (1, 2):
        tiny_engine.edit(portrait, EditRequest({"smile": value}))
    assert len(asked) == 1
    tiny_engine.edit(
        dataclasses.replace(portrait), EditRequest({"smile": 1})
    )  # another portrait's may differ
    assert len(asked) == 2
