"""Labels of sampled faces on disk: one .npz for every shard of pictures, and all of them in one table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.sampled import read_part


@dataclass(frozen=True)
class LabelTable:
    """N faces. `names`: the A labels; `values`: (N, A) float32, NaN where one could not be taken;
    `identity`: (N, 128) dlib's descriptors; `surround`: (N, S) the pictures' rim (`colours.surround`)."""

    names: tuple[str, ...]
    values: np.ndarray
    identity: np.ndarray
    surround: np.ndarray

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.identity), len(self.names)) or len(self.surround) != len(
            self.values
        ):
            raise ValueError(f"Labels of {self.values.shape} do not go with {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> np.ndarray:
        """(N,) the values of one label."""
        return self.values[:, self.names.index(name)]

    def save(self, path: Path) -> None:
        np.savez_compressed(
            path,
            names=np.array(self.names),
            values=self.values.astype(np.float32),
            identity=self.identity.astype(np.float32),
            surround=self.surround.astype(np.float16),
        )

    @classmethod
    def load(cls, path: Path) -> "LabelTable":
        with np.load(path, allow_pickle=False) as file:
            names = tuple(str(name) for name in file["names"])
            return cls(names, file["values"], file["identity"], file["surround"].astype(np.float32))


def load_faces(faces: Path, labels: Path, first: int, last: int) -> tuple[np.ndarray, LabelTable]:
    """Codes (N, L, D) float32 and their labels, of the shards first to last (excluded) that have both.

    Raises ValueError where there is none.
    """
    numbers = [k for k in range(first, last) if (labels / f"{k:03d}.npz").exists()]
    if not numbers:
        raise ValueError(f"{labels} holds no labels of the shards {first} to {last - 1}")
    tables = [LabelTable.load(labels / f"{k:03d}.npz") for k in numbers]
    codes = [read_part(faces / f"{k:03d}.safetensors", "codes") for k in numbers]
    joined = LabelTable(
        tables[0].names,
        np.concatenate([t.values for t in tables]),
        np.concatenate([t.identity for t in tables]),
        np.concatenate([t.surround for t in tables]),
    )
    return np.concatenate(codes), joined
