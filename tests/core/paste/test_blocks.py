"""core.paste.blocks: of which quality a coarse JPEG is, and what an edit paints as coarse as that."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from core.engine import Engine
from core.paste import blocks as module
from core.paste.blocks import UNIT, Blocks, are_crude, as_coarse, blocks_of
from core.session import EditRequest, View

LANDMARKS = np.random.default_rng(0).uniform((150, 40), (300, 220), (68, 2)).astype(np.float32)


def jpeg(picture: np.ndarray, quality: int, subsampling: int = 2) -> np.ndarray:
    """Coded and decoded by Pillow."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.array(Image.open(file))


@pytest.mark.parametrize("quality", [4, 6, 10, 20])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("cut", [(0, 0), (5, 11)])
def test_quality_and_grid_are_found(
    photo: np.ndarray, quality: int, subsampling: int, cut: tuple[int, int]
) -> None:
    """Of a part of such a photo, too: where its units begin."""
    coarse = jpeg(photo, quality, subsampling)[cut[1] :, cut[0] :]
    found = blocks_of(coarse, LANDMARKS)
    assert found is not None
    assert found.quality == quality
    step = UNIT if subsampling else UNIT // 2
    assert (found.left % step, found.top % step) == (-cut[0] % step, -cut[1] % step)
    assert are_crude(coarse, LANDMARKS) == (quality < 8)


def test_photos_of_an_ordinary_quality_have_none(photo: np.ndarray) -> None:
    for picture in (photo, jpeg(photo, 60), photo[:, :, :1].repeat(3, 2), np.zeros_like(photo)):
        assert blocks_of(picture, LANDMARKS) is None
        assert not are_crude(picture, LANDMARKS)
    # Smaller again, as a phone's messages are: there are no blocks any more.
    small = np.array(Image.fromarray(jpeg(photo, 8)).resize((400, 400), Image.Resampling.BICUBIC))
    assert blocks_of(small, LANDMARKS * 400 / 512) is None
    assert blocks_of(jpeg(photo, 8), LANDMARKS / 4) is None  # too few pixels to tell
    edited = photo // 2
    assert as_coarse(photo, edited, None) is edited


def test_units_that_were_touched_are_what_the_jpeg_makes_of_them(photo: np.ndarray) -> None:
    coarse = jpeg(photo, 8)
    edited = coarse.copy()
    edited[100:140, 200:250] = 128 + np.random.default_rng(0).integers(-60, 60, (40, 50, 3))
    given = edited.copy()
    found = as_coarse(coarse, edited, blocks_of(coarse, LANDMARKS))
    assert np.array_equal(edited, given)
    touched = np.zeros((512, 512), bool)
    touched[96:144, 192:256] = True  # whole units of 16
    assert np.array_equal(found[~touched], coarse[~touched])
    # All of the picture, coded at once; beside its units colours are carried over their edge.
    expected = jpeg(edited, 8)
    inside = slice(98, 142), slice(194, 254)
    assert np.abs(found[inside].astype(int) - expected[inside]).mean() < 1
    assert np.abs(found[inside].astype(int) - edited[inside]).mean() > 10


def test_a_photo_that_begins_within_a_unit(photo: np.ndarray) -> None:
    coarse = jpeg(photo, 8)[5:-3, 11:-6]
    known = blocks_of(coarse, LANDMARKS)
    edited = coarse.copy()
    for corner in (slice(0, 4), slice(-4, None)):
        edited[corner, corner] = 255
    found = as_coarse(coarse, edited, known)
    assert found.shape == edited.shape
    assert found[:4, :4].mean() > 150
    assert found[-4:, -4:].mean() > 150
    # Units end after 11 (16 - 5) rows and 5 (16 - 11) columns.
    assert np.array_equal(found[11:200], coarse[11:200])
    assert not np.array_equal(found, edited)


def test_where_nothing_changed_nothing_is_coded(photo: np.ndarray) -> None:
    coarse = jpeg(photo, 8)
    assert as_coarse(coarse, coarse, blocks_of(coarse, LANDMARKS)) is coarse


def test_a_whole_photo_is_shown_as_coarse(
    tiny_engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tiny_engine.open_portrait(photo)
    request = EditRequest({"smile": 2}, view=View("photo", "photo"))
    clean = tiny_engine.edit(known, request)
    blocks = Blocks(6, module.SAMPLINGS[0], 0, 0)
    monkeypatch.setattr("core.session.blocks.blocks_of", lambda *_: blocks)
    coarse = tiny_engine.edit(dataclasses.replace(known), request)
    assert np.array_equal(coarse, as_coarse(known.photo, clean, blocks))
    assert not np.array_equal(coarse, clean)
