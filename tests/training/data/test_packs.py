"""From an archive of photographs to splits in memory, and back."""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from core.config import AlignmentTemplate
from core.faces.alignment import crop, crop_transform, find_faces
from training.data.packs import ATTRIBUTES, build, extract, load, split_of

TIGHT = AlignmentTemplate(scale=0.54, shift=0.43)


def portrait() -> np.ndarray:
    """(200, 200, 3) uint8, a face as UTKFace crops it."""
    return np.ascontiguousarray(skimage.data.astronaut()[20:220, 124:324])


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


@pytest.fixture(scope="module")
def names() -> list[str]:
    """Two names of the training split and one of the test split, as UTKFace writes them."""
    every = [f"{20 + i}_{i % 2}_0_2017.jpg.chip.jpg" for i in range(400) if 20 + i <= 116]
    every += [f"30_1_0_{i}.jpg.chip.jpg" for i in range(400)]
    train = [name for name in every if split_of(name) == "train"][:2]
    return [*train, next(name for name in every if split_of(name) == "test")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> Path:
    face = portrait()
    path = tmp_path_factory.mktemp("archive") / "faces.tar"
    files = [(name, png(face)) for name in names]
    files.append(("40_0_0_1.jpg", png(np.full((200, 200, 3), 90, np.uint8))))  # no face
    files.append(("41_0_0_1.jpg", png(cv2.GaussianBlur(face, (0, 0), 2.5))))  # blurred
    files.append(("42_0_0_1.jpg", png(face[..., :1].repeat(3, 2))))  # monochrome
    files.append(("notes.txt", b"hello"))
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_build_keeps_good_faces_and_says_why_others_go(
    archive: Path, names: list[str], tmp_path: Path
) -> None:
    counts = build(archive, TIGHT, tmp_path, size=128, workers=1, limit=None)
    assert counts == {"kept": 3, "no face": 1, "blurred": 1, "monochrome": 1, "bad name": 1}
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert (list(train.files), list(test.files)) == (names[:2], names[2:])
    assert list(train.score("age")) == [int(name.split("_")[0]) for name in names[:2]]
    assert list(train.score("gender")) == [1 - int(name.split("_")[1]) for name in names[:2]]
    assert train.attributes == ATTRIBUTES
    assert train.scores.shape == (2, len(ATTRIBUTES))
    # The same face, cut by the product's own alignment: detection differs by some pixels, JPEG by little.
    photo = portrait()
    wanted = crop(photo, crop_transform(find_faces(photo)[0].landmarks, TIGHT), 128)
    assert np.abs(train.images[0].astype(int) - wanted).mean() < 12
    # Landmarks are in the crop's pixels: the eyes above the mouth, inside the picture.
    eyes, mouth = train.landmarks[0, 36:48].mean(0), train.landmarks[0, 48:].mean(0)
    assert 0 < eyes[1] < mouth[1] < 128

    assert extract(archive, tmp_path, "test", tmp_path / "out") == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == names[2:]


def test_load_refuses_unknown_and_empty_splits(archive: Path, tmp_path: Path) -> None:
    build(archive, TIGHT, tmp_path, size=128, workers=1, limit=1)
    with pytest.raises(ValueError, match="not one of"):
        load(tmp_path, "everything")
    with pytest.raises(ValueError, match="no face of the validation split"):
        load(tmp_path, "validation")
