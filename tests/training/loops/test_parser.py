"""The face parser's masks, training and figures."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.models.face_parser import CLASSES, FaceParser
from training.data.aligned import AlignedFaces
from training.data.masks import mask_names, mirrored, moved, read_mask
from training.judging import parser as judging
from training.judging.parser import POOLED, intersections, ious
from training.loops import parser as loop
from training.loops.parser import Batches, Trainer, class_weights

SIDE = 64
SKIN, HAIR, LEFT, RIGHT = (CLASSES.index(name) for name in ("skin", "hair", "left eye", "right eye"))


def face(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A pale disc with a brown top and two eyes, on blue."""
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[np.hypot(x - 32, y - 34 - number) < 22] = SKIN
    mask[(np.hypot(x - 32, y - 34 - number) < 22) & (y < 24)] = HAIR
    mask[np.hypot(x - 40, y - 34) < 4], mask[np.hypot(x - 24, y - 34) < 4] = LEFT, RIGHT
    colours = np.zeros((len(CLASSES), 3), np.uint8)
    colours[[0, SKIN, HAIR, LEFT, RIGHT]] = (40, 60, 200), (240, 200, 180), (90, 50, 20), (0, 0, 0), (0, 0, 0)
    return colours[mask], mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six faces with masks, four to train on, one each to hold and to judge; one more has no mask."""
    splits = ("train",) * 4 + ("val", "test", "train")
    rows = [f"n{i},CelebA-HQ,{split},,," for i, split in enumerate(splits)]
    (tmp_path / "index.csv").write_text("\n".join(["name,source,split,age,gender,group", *rows]) + "\n")
    np.save(tmp_path / "landmarks.npy", np.zeros((7, 68, 2), np.float32))
    (tmp_path / "masks").mkdir()
    for i in range(7):
        crop, mask = face(i)
        Image.fromarray(crop).save(tmp_path / f"n{i}.webp", lossless=True)
        if i < 6:
            Image.fromarray(mask).save(tmp_path / "masks" / f"n{i}.png")
    return tmp_path


def test_masks_of_a_split(folder: Path) -> None:
    rows = AlignedFaces.open(folder).rows
    assert mask_names(folder, rows, "train") == ["n0", "n1", "n2", "n3"]
    assert mask_names(folder, rows, "test") == ["n5"]
    assert np.array_equal(read_mask(folder, "n2"), face(2)[1])
    Image.fromarray(np.full((SIDE, SIDE), 19, np.uint8)).save(folder / "masks" / "n3.png")
    with pytest.raises(ValueError, match="mask of n3 holds other numbers"):
        read_mask(folder, "n3")


def test_a_mirrored_face_has_its_left_eye_at_its_left() -> None:
    crop, mask = face(0)
    other_crop, other = mirrored(crop, mask)
    assert np.array_equal(other_crop, crop[:, ::-1])
    for part in (LEFT, RIGHT):
        assert np.array_equal(other == part, mask[:, ::-1] == {LEFT: RIGHT, RIGHT: LEFT}[part])
    # The person's left is at the picture's right, before and after.
    assert np.flatnonzero((other == LEFT).any(0)).mean() > SIDE / 2
    again = mirrored(other_crop, other)
    assert np.array_equal(again[0], crop)
    assert np.array_equal(again[1], mask)


def test_crop_and_mask_move_alike() -> None:
    crop, mask = face(0)
    found, where = moved(crop, mask, np.random.default_rng(3))
    assert not np.array_equal(where, mask)
    assert set(np.unique(where)) <= set(np.unique(mask))
    inner = where == SKIN
    assert np.abs(found[inner].astype(int) - (240, 200, 180)).mean() < 12  # but for blended borders


def test_rare_classes_count_more_and_pixels_one_on_average(folder: Path) -> None:
    names = ["n0", "n1"]
    weights = class_weights(folder, names)
    pixels = np.concatenate([read_mask(folder, name).ravel() for name in names])
    share = np.bincount(pixels, minlength=len(CLASSES)) / len(pixels)
    assert float((torch.from_numpy(share) * weights).sum()) == pytest.approx(1)
    assert weights[LEFT] > weights[HAIR] > weights[SKIN]
    expected = (share[SKIN] / share[LEFT]) ** loop.RARE_POWER
    assert float(weights[LEFT] / weights[SKIN]) == pytest.approx(expected, rel=1e-4)


def test_iou_is_of_pixels_in_both_over_pixels_in_either() -> None:
    wanted, found = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    wanted[:2], found[1:3] = SKIN, SKIN
    wanted[3, 0], found[3, 0] = LEFT, RIGHT  # the same pooled class
    figures = ious(intersections(found, wanted))
    assert figures["skin"] == pytest.approx(4 / 12)
    assert figures["eyes"] == 1
    assert figures["background"] == pytest.approx(3 / 11)
    assert math.isnan(figures["hat"])
    assert figures["mean"] == pytest.approx((4 / 12 + 1) / 2)
    assert ious(2 * intersections(found, wanted))["skin"] == figures["skin"]
    assert {name for names in POOLED.values() for name in names} == set(CLASSES) - {"necklace"}


def test_it_learns_and_its_figures_are_those_of_its_masks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    faces = AlignedFaces.open(folder)
    names = mask_names(folder, faces.rows, "train")
    trainer = Trainer(FaceParser(), class_weights(folder, names), rate=3e-3)
    batches = iter(Batches(folder, faces, names, 4, seed=0))
    losses = [trainer.step(*next(batches), number=1000, left=1.0) for _ in range(12)]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])

    loop.save_half(folder / "parser.safetensors", trainer.parser.eval())
    judging.main(["--faces", str(folder), "--weights", str(folder / "parser.safetensors")])
    told = capsys.readouterr().out
    assert "1 masks" in told
    assert "skin" in told


def test_a_run_goes_on_where_it_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = folder / "trunk.pth"
    torch.save({}, published)
    monkeypatch.setattr("core.models.mobilenet.MobileNetTrunk.load_published", lambda trunk, state: None)
    words = ["--faces", str(folder), "--trunk", str(published), "--out", str(folder / "run"), "--batch", "2"]
    loop.main([*words, "--minutes", "0.01"])
    first = torch.load(folder / "run" / "last.pt", weights_only=True)
    loop.main([*words, "--minutes", "0.01", "--resume"])
    second = torch.load(folder / "run" / "last.pt", weights_only=True)
    assert second["number"] > first["number"] > 0
    assert second["spent"] > first["spent"]
    assert (folder / "run" / "parser.safetensors").is_file()
