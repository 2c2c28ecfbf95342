"""training.data.aligned: the same faces from a folder and from a tar."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.aligned import AlignedFaces

HEADER = "name,source,split,age,gender,group"


def write_faces(folder: Path, crops: dict[str, np.ndarray], rows: list[str], landmarks: np.ndarray) -> Path:
    """A folder as the published ones are."""
    folder.mkdir()
    (folder / "index.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    np.save(folder / "landmarks.npy", landmarks.astype(np.float32))
    for name, crop in crops.items():
        Image.fromarray(crop).save(folder / f"{name}.webp", lossless=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five faces of 8 px, three of them of the test split."""
    names = ("a1", "b1", "a2", "a3", "b2")
    splits = ("test", "train", "test", "test", "test")
    rows = [f"{n},{n[0].upper()},{s},{i},female," for i, (n, s) in enumerate(zip(names, splits, strict=True))]
    crops = {name: np.full((8, 8, 3), 40 * i, np.uint8) for i, name in enumerate(names)}
    landmarks = np.arange(5)[:, None, None] + np.zeros((5, 68, 2))
    return write_faces(tmp_path / "faces", crops, rows, landmarks)


def packed(folder: Path) -> Path:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        for file in folder.iterdir():
            tar.add(file, file.name)
    return path


@pytest.mark.parametrize("tar", [False, True])
def test_a_face_is_its_file_its_landmarks_and_its_row(folder: Path, tar: bool) -> None:
    faces = AlignedFaces.open(packed(folder) if tar else folder)
    face = faces["a2"]
    assert (face.crop == 80).all()
    assert face.crop.shape == (8, 8, 3)
    assert (face.landmarks == 2).all()
    assert (face.labels["age"], face.labels["split"]) == ("2", "test")
    assert "a2" in faces
    assert "c" not in faces


def test_the_first_of_every_source_are_those_of_the_table(folder: Path) -> None:
    faces = AlignedFaces.open(folder)
    assert faces.first(2) == ["a1", "a2", "b2"]
    assert faces.first(1) == ["a1", "b2"]
    assert faces.first(5, "train") == ["b1"]


def test_a_table_of_other_faces_is_refused(folder: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 68, 2), np.float32))
    (folder / "landmarks.npy").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="5 rows"):
        AlignedFaces.open(folder)
