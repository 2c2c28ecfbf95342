"""Published photos that are aligned to FFHQ's crop already: a folder or a tar of NAME.webp, with their table.

index.csv      a row a photo: name, source, split, and age, gender, group where they are known
landmarks.npy  (N, 68, 2) float32 in crop pixels, in the rows' order
"""

import csv
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TABLE, LANDMARKS = "index.csv", "landmarks.npy"

Read = Callable[[str], bytes]


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """crop: (S, S, 3) uint8; landmarks: (68, 2) float32 in its pixels; labels: the row of the table."""

    name: str
    crop: np.ndarray
    landmarks: np.ndarray
    labels: dict[str, str]


class AlignedFaces:
    """The table, and any face of it when it is asked for."""

    def __init__(self, read: Read) -> None:
        """read: a file's content by its name; raises KeyError or OSError where there is none."""
        self._read = read
        self.rows = list(csv.DictReader(io.StringIO(read(TABLE).decode("utf-8"))))
        self._numbers = {row["name"]: i for i, row in enumerate(self.rows)}
        self._landmarks = np.load(io.BytesIO(read(LANDMARKS)), allow_pickle=False)
        if self._landmarks.shape != (len(self.rows), 68, 2):
            shape = self._landmarks.shape
            raise ValueError(f"{LANDMARKS} is {shape}, but {TABLE} has {len(self.rows)} rows")

    @classmethod
    def open(cls, path: Path) -> "AlignedFaces":
        """A folder, or a tar of one."""
        if path.is_dir():
            return cls(lambda name: (path / name).read_bytes())
        tar = tarfile.open(path)  # noqa: SIM115  # read from as long as the faces live

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            if file is None:
                raise KeyError(name)
            return file.read()

        return cls(read)

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def __getitem__(self, name: str) -> AlignedFace:
        number = self._numbers[name]
        with Image.open(io.BytesIO(self._read(f"{name}.webp"))) as image:
            crop = np.asarray(image.convert("RGB"))
        return AlignedFace(name, crop, self._landmarks[number], self.rows[number])

    def first(self, per_source: int, split: str = "test") -> list[str]:
        """The first so many names of every source's split, in the table's order."""
        counts: dict[str, int] = {}
        chosen = []
        for row in self.rows:
            if row["split"] == split and counts.get(row["source"], 0) < per_source:
                counts[row["source"]] = counts.get(row["source"], 0) + 1
                chosen.append(row["name"])
        return chosen
