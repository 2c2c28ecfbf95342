"""training.judging.pasted_sheets: every face and slider is drawn once, at its own size or smaller."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.engine import Engine
from core.images import open_image, save_image
from training.judging.pasted_sheets import draw, fitted, opener, pasted, sheet, slid, taken


@pytest.mark.parametrize(("height", "width"), [(10, 20), (80, 40), (300, 200)])
def test_a_photo_is_fitted_and_never_enlarged(height: int, width: int) -> None:
    shown = fitted(np.zeros((height, width, 3), np.uint8), 60)
    assert shown.shape == (60, 60, 3)
    scale = min(1, 60 / max(height, width))
    assert (shown == 0).all(2).sum() == round(scale * height) * round(scale * width)


def test_pictures_stand_in_rows() -> None:
    pictures = [np.full((8, 8, 3), value, np.uint8) for value in range(5)]
    drawn = sheet(pictures, 8, 3)
    assert drawn.shape == (16, 24, 3)
    assert [drawn[0, 0, 0], drawn[0, 8, 0], drawn[8, 0, 0], drawn[8, 16, 0]] == [0, 1, 3, 255]


def test_edits_are_of_the_whole_photo(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    first, edited = pasted(tiny_engine, portrait, slid(["smile"], 2.0))
    assert np.array_equal(first, photo)
    assert edited.shape == photo.shape
    assert (edited != photo).any()


def test_sheets_are_written_and_photos_without_a_face_left_out(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path
) -> None:
    save_image(photo, tmp_path / "a.png")
    save_image(np.zeros((64, 64, 3), np.uint8), tmp_path / "empty.png")
    photos = [tmp_path / "a.png", tmp_path / "empty.png"]
    draw(tiny_engine, photos, slid(["smile", "male"], 2.0), opener(tiny_engine, 1.0, None), 128, tmp_path)
    assert open_image(tmp_path / "a.jpg").shape == (256, 256, 3)
    assert open_image(tmp_path / "sheet.jpg").shape == (256, 3 * 256, 3)
    words = json.loads((tmp_path / "sheet.json").read_text())
    assert words == {"rows": ["a.png"], "columns": ["photo", "smile +2", "male +2"]}
    assert not (tmp_path / "empty.jpg").exists()


def test_faces_that_are_taken_from_stand_above(
    taking_engine: Engine, photo: np.ndarray, tmp_path: Path
) -> None:
    save_image(photo, tmp_path / "a.png")
    edits = taken(taking_engine, ["smile", "young"], [2, 1])
    draw(taking_engine, [tmp_path / "a.png"], edits, opener(taking_engine, 1.0, None), 128, tmp_path)
    drawn = open_image(tmp_path / "sheet.jpg")
    assert drawn.shape == (2 * 256, 3 * 256, 3)
    assert (drawn[:200, :200] == 255).all()
    assert json.loads((tmp_path / "sheet.json").read_text())["columns"] == ["photo", "gallery:2", "gallery:1"]
    takes = [request.takes for request in edits.values()]
    gallery = taking_engine.gallery
    assert [take.reference for (take,) in takes] == [gallery[1], gallery[0]]
    assert {take.what for (take,) in takes} == {("smile", "young")}


def test_known_codes_are_taken_up_again(tiny_engine: Engine, photo: np.ndarray, tmp_path: Path) -> None:
    save_image(photo, tmp_path / "a.png")
    code = tiny_engine.generator.sample(1, seed=4)[0].numpy()
    (tmp_path / "codes").mkdir()
    np.save(tmp_path / "codes" / "portraits-a.npy", code)
    portrait = opener(tiny_engine, 1.0, tmp_path)(tmp_path / "a.png")
    np.testing.assert_array_equal(portrait.w_plus.numpy(), code)
