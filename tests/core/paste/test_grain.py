"""core.paste.grain: how grainy a photo is, and what an edit paints as grainy as that."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from core.engine import Engine
from core.paste.grain import SIDE, Grain, as_grainy, grain_of, middle
from core.session import EditRequest, View

SIZE = 300
y, x = np.mgrid[:SIZE, :SIZE]
# Landmarks need no order here: what counts is where the outermost lie.
LANDMARKS = np.random.default_rng(0).uniform(60, 240, (68, 2)).astype(np.float32)


def shaded(noise: np.ndarray | float = 0.0) -> np.ndarray:
    """A soft shape with an edge in it, and noise (SIZE, SIZE, 3)."""
    picture = 120 + 40 * np.sin(x / 60)[..., None] * np.array((1, 0.8, 0.6)) + 30.0 * (y > 200)[..., None]
    return np.rint(picture + noise).clip(0, 255).astype(np.uint8)


def noise(sigma: float, blur: float = 0.0, share: tuple[float, ...] = (1, 1, 1)) -> np.ndarray:
    white = np.random.default_rng(3).normal(0, 1, (SIZE, SIZE, 3))
    fine = gaussian_filter(white, (blur, blur, 0)) if blur else white
    return sigma * fine / fine.std() * np.array(share)


@pytest.mark.parametrize("sigma", [0.0, 2.0, 5.0])
def test_a_photo_with_little_grain_has_none(sigma: float) -> None:
    assert grain_of(shaded(noise(sigma)), LANDMARKS) is None
    photo = shaded()
    assert as_grainy(photo, photo // 2, None) is not photo


def test_a_real_portrait_has_none(photo: np.ndarray) -> None:
    # Her face, about; flags behind it do not count.
    landmarks = np.random.default_rng(0).uniform((180, 70), (270, 190), (68, 2))
    assert grain_of(photo, landmarks) is None


@pytest.mark.parametrize(("sigma", "share"), [(15.0, (1, 1, 1)), (40.0, (1, 1, 1)), (25.0, (1, 0.8, 0.5))])
def test_grain_is_as_strong_as_the_photo_s_in_every_colour(sigma: float, share: tuple[float, ...]) -> None:
    found = grain_of(shaded(noise(sigma, share=share)), LANDMARKS)
    assert found is not None
    assert found.noise.shape == (SIDE, SIDE, 3)
    assert np.allclose(found.noise.std((0, 1)), sigma * np.array(share), rtol=0.12)


def test_grain_is_as_coarse_and_as_grey_as_the_photo_s() -> None:
    """Neighbours are as alike as in the photo's noise, and so are colours."""
    for blur, grey in ((0.0, True), (0.7, False)):
        given = noise(30, blur)
        if grey:
            given = given[..., :1].repeat(3, 2)
        found = grain_of(shaded(given), LANDMARKS)
        assert found is not None

        def alike(field: np.ndarray) -> tuple[float, float]:
            beside = np.corrcoef(field[:, 1:, 0].ravel(), field[:, :-1, 0].ravel())[0, 1]
            return float(beside), float(np.corrcoef(field[..., 0].ravel(), field[..., 1].ravel())[0, 1])

        assert np.allclose(alike(found.noise), alike(given), atol=0.1)


def test_it_repeats_without_a_seam() -> None:
    found = grain_of(shaded(noise(30, 0.7)), LANDMARKS)
    assert found is not None
    step = np.abs(np.diff(found.noise, axis=1)).mean()
    assert np.abs(found.noise[:, 0] - found.noise[:, -1]).mean() == pytest.approx(step, rel=0.2)


@pytest.mark.parametrize("sigma", [12.0, 40.0])
def test_what_was_painted_clean_is_as_grainy_as_around_it_and_the_rest_is_left(sigma: float) -> None:
    photo = shaded(noise(sigma))
    grain = grain_of(photo, LANDMARKS)
    edited = photo.copy()
    edited[100:160, 100:180] = 140  # painted
    brighter = slice(170, 200), slice(100, 180)  # the photo's own, with its grain
    edited[brighter] = photo[brighter].clip(0, 250) + 5
    given = edited.copy()
    found = as_grainy(photo, edited, grain)
    assert np.array_equal(edited, given)
    same = (photo == edited).all(2)
    assert np.array_equal(found[same], photo[same])
    # Well inside: within three times AROUND of its rim the photo's grain counts.
    assert found[112:148, 112:168].std() == pytest.approx(
        (photo[112:148, 112:168] - 1.0 * shaded()[112:148, 112:168]).std(), rel=0.15
    )
    assert np.abs(found[brighter].astype(int) - edited[brighter]).mean() < 0.15 * sigma
    assert np.array_equal(found, as_grainy(photo, edited, grain))


def test_where_nothing_changed_nothing_is_added() -> None:
    photo = shaded(noise(30))
    grain = grain_of(photo, LANDMARKS)
    assert as_grainy(photo, photo, grain) is photo


def test_the_middle_of_a_face_that_is_cut_off() -> None:
    (left, top), part = middle(shaded(), LANDMARKS - 150)
    assert (left, top) == (0, 0)
    assert 0 < min(part.shape[:2]) < 100
    assert middle(shaded(), LANDMARKS - 900)[1].size == 0
    assert grain_of(shaded(noise(40)), LANDMARKS - 900) is None


@pytest.mark.parametrize("output", ["face", "photo"])
def test_every_view_that_shows_the_photo_has_its_grain(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    request = EditRequest({"smile": 2}, view=View("photo", output))  # type: ignore[arg-type]
    known = tiny_engine.open_portrait(photo)
    clean = tiny_engine.edit(known, request)
    grain = Grain(np.random.default_rng(0).normal(0, 30, (SIDE, SIDE, 3)).astype(np.float32), 700.0)
    monkeypatch.setattr("core.session.grain.grain_of", lambda *_: grain)
    grainy = tiny_engine.edit(dataclasses.replace(known), request)
    before = known.photo if output == "photo" else known.crop
    assert np.array_equal(grainy, as_grainy(before, clean, grain))
    assert not np.array_equal(grainy, clean)
