"""What a visit can begin with beside the visitor's own: example photos, or faces that the model makes up."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.engine import Engine
from core.images import Photo, open_photo

GENERATED = 6
# In few of a model's faces none is seen; at 1024 px each try takes a second.
SEEDS_TRIED = 12


@dataclass(frozen=True, eq=False)
class Generated:
    """A face of `Engine.open_generated`, and its picture (R, R, 3) uint8."""

    seed: int
    picture: np.ndarray


Start = Path | Generated


def find_starts(engine: Engine, folder: str | os.PathLike[str]) -> tuple[Start, ...]:
    """The example photos in `folder`, by name; for a model that opens no photos, faces of its own."""
    if engine.opens_photos:
        return tuple(sorted(Path(folder).glob("*.jpg")))
    found: list[Start] = []
    for seed in range(SEEDS_TRIED):
        picture = engine.samples(1, seed)[0]
        if engine.find_faces(picture):
            found.append(Generated(seed, picture))
        if len(found) == GENERATED:
            break
    return tuple(found)


def photo_of(start: Start) -> Photo:
    """The photo or face to begin with."""
    return Photo(start.picture) if isinstance(start, Generated) else open_photo(start)


def stem_of(start: Start) -> str:
    """What files made of it are named after."""
    return f"sampled-face-{start.seed}" if isinstance(start, Generated) else start.stem


def seed_of(start: Start) -> int | None:
    """Of a face that the model makes up."""
    return start.seed if isinstance(start, Generated) else None


def picture(start: Start) -> np.ndarray:
    """The same to show: (H, W, 3) uint8."""
    return photo_of(start).pixels
