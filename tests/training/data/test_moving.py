"""training.data.moving: strips that begin with the photo and end with the edit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine import Engine
from core.images import encode_png
from core.placing import reduced
from core.session import EditRequest, View
from training.data import moving
from training.data.moving import PICTURES, SIDE, strip


def test_from_the_photo_to_the_edit(tiny_engine: Engine, photo: np.ndarray) -> None:
    found = strip(tiny_engine, photo, "smile", -2.0)
    assert found.shape == (SIDE, PICTURES * SIDE, 3)
    small = reduced(tiny_engine.open_portrait(photo), SIDE)
    for place, value in ((0, 0), (PICTURES // 2, -1), (PICTURES - 1, -2)):
        wanted = tiny_engine.edit(small, EditRequest({"smile": value}, view=View("photo", "photo")))
        assert np.array_equal(found[:, place * SIDE : (place + 1) * SIDE], wanted)


def test_files_say_face_slider_and_end(
    tiny_bundle_dir: Path, tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "face1.jpg").write_bytes(encode_png(photo))
    monkeypatch.setattr(moving, "PICTURES", 2)
    words = ["--bundle", str(tiny_bundle_dir), "--examples", str(tmp_path), "--out", str(tmp_path / "out")]
    moving.main([*words, "face1:smile=1", "face1:male=-1"])
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["face1-male-low.webp", "face1-smile-high.webp"]
    assert Image.open(files[0]).size == (2 * SIDE, SIDE)
