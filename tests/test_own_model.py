"""From published files at their full size to an edited photo, through all that a visitor uses."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_files import FULL, direction_content, style_transformer_content, write
from PIL import Image
from rosinality_files import write_rosinality

from app.handlers import Handlers
from core.engine import Engine
from core.faces.alignment import to_crop
from core.images import encode_png, open_image
from core.session import EditRequest, View
from launch import main

ME = "me"
SIZE, CODES = 1024, 18


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with `mine`: config F's generator, a Style Transformer and a direction, imported."""
    files = tmp_path_factory.mktemp("files")
    write_rosinality(files / "generator.pt", SIZE, narrow=None, w_dim=512, seed=1)
    # Its file holds the generator of the next seed, which is the same.
    write(files / "encoder.pt", style_transformer_content(SIZE, FULL, 1024, narrow=None, seed=0))
    torch.save(direction_content(1, CODES, 512), files / "older.pt")
    home = files / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAGIST_HOME", str(home))
        for arguments in (
            [str(files / "generator.pt"), "--name", "mine"],
            [str(files / "older.pt"), str(files / "encoder.pt"), "--into", "mine"],
        ):
            assert main(["models", "import", *arguments]) == 0
    return home


@pytest.fixture(scope="module")
def handlers(home: Path) -> Handlers:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAGIST_HOME", str(home))
        return Handlers(Engine.load("mine", device="cpu"))


def pixels(url: str) -> np.ndarray:
    return open_image(base64.b64decode(url.split(",")[1]))


@pytest.mark.slow
def test_a_photo_is_edited_at_1024_px(handlers: Handlers, photo: np.ndarray, tmp_path: Path) -> None:
    upload = tmp_path / "photo.png"
    upload.write_bytes(encode_png(photo))
    message, _ = list(handlers.open_file(ME, EditRequest(), str(upload)))[-1]
    assert message["kind"] == "opened"
    assert pixels(message["frame"]).shape == (SIZE, SIZE, 3)

    asked = handlers.request(ME, {"older": 2.0})
    before, after = pixels(message["frame"]), pixels(handlers.settle(ME, asked)["frame"])
    assert np.abs(before.astype(int) - after).mean() > 1

    whole = handlers.request(ME, {"older": 2.0}, output="photo")
    shown = handlers.settle(ME, whole)["request"]
    download = handlers.export({"token": ME, "format": "png", "request": shown})
    edited = np.asarray(Image.open(io.BytesIO(base64.b64decode(download["data"]))))
    assert edited.shape == photo.shape
    portrait = handlers.visits.get(ME).portrait
    ys, xs = np.mgrid[: photo.shape[0], : photo.shape[1]]
    at = to_crop(np.stack([xs, ys], -1).astype(np.float32), portrait.transform, SIZE)
    beyond = ((at < -1) | (at > SIZE)).any(-1)
    assert beyond.any()
    assert np.array_equal(edited[beyond], photo[beyond])
    face = portrait.faces[0].box
    inside = np.s_[face[1] : face[3], face[0] : face[2]]
    assert np.abs(edited[inside].astype(int) - photo[inside]).mean() > 5


@pytest.mark.slow
def test_the_command_line_writes_the_same_picture(
    home: Path, handlers: Handlers, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("VISAGIST_HOME", str(home))
    (tmp_path / "in.png").write_bytes(encode_png(photo))
    out = tmp_path / "out.png"
    arguments = ["edit", str(tmp_path / "in.png"), "--model", "mine", "--device", "cpu", "--set", "older=-1"]
    assert main([*arguments, "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sliders"] == {"older": -1.0}
    portrait = handlers.engine.open_portrait(photo)
    wanted = handlers.engine.edit(portrait, EditRequest({"older": -1.0}, view=View("photo", "photo")))
    assert np.array_equal(open_image(out), wanted)
