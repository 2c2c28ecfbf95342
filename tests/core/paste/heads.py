"""A photo, a model's rendering of it and edits, drawn; what a parser would say of them is known."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.faces.alignment import CropTransform, crop
from core.faces.kinds import Kind
from core.models.face_parser import CLASSES
from core.paste.detail import bands
from core.paste.letting_go import Fresh, Seen, fresh
from core.paste.scene import SIDE, Scene, scene

# The crop lies in the middle of the photo, and the wider square in it.
PHOTO = 640
WHERE = CropTransform(((PHOTO - 1) / 2, (PHOTO - 1) / 2), (SIDE * 0.75, 0.0))
COLOURS = {
    Kind.BACKGROUND: (190, 190, 200),
    Kind.CLOTHES: (40, 60, 140),
    Kind.SKIN: (200, 150, 130),
    Kind.HAIR: (70, 50, 40),
    Kind.HAT: (30, 140, 60),
    Kind.GLASSES: (20, 20, 20),
}
# What a parser would call them.
NAMED = {
    Kind.BACKGROUND: "background",
    Kind.CLOTHES: "cloth",
    Kind.SKIN: "skin",
    Kind.HAIR: "hair",
    Kind.HAT: "hat",
    Kind.GLASSES: "glasses",
}
# What the photo's colours are off the model's by.
OFF = {Kind.BACKGROUND: (0, -30, 10), Kind.HAIR: (40, 10, 0), Kind.SKIN: (-20, 5, 10)}


def kinds_of(size: int, scale: float = 1.0, hair: float = 100.0, bald: bool = False) -> np.ndarray:
    """(size, size) uint8: a head in the middle, its hair that far from it; at scale 1 as in a crop."""
    v, u = (np.mgrid[:size, :size] - (size - 1) / 2) / scale
    kinds = np.full((size, size), Kind.BACKGROUND, np.uint8)
    kinds[(v > 95) & (np.abs(u) < 110)] = Kind.CLOTHES
    if not bald:
        kinds[(np.hypot(u, v + 40) < hair) & (v < 60)] = Kind.HAIR
    kinds[(u / 55) ** 2 + (v / 75) ** 2 < 1] = Kind.SKIN
    kinds[(np.abs(u) < 25) & (v > 0) & (v < 110)] = Kind.SKIN
    return kinds


def classes_of(kinds: np.ndarray) -> np.ndarray:
    """Numbers of CLASSES, (S, S) uint8, for kinds."""
    return np.array([CLASSES.index(NAMED[kind]) for kind in sorted(Kind)], np.uint8)[kinds]


def painted(kinds: np.ndarray, off: bool = False, seed: int = 0) -> np.ndarray:
    """(S, S, 3) float32 of kinds: the model's colours, or the photo's; strands in the hair."""
    picture = np.zeros((*kinds.shape, 3), np.float32)
    for kind, colour in COLOURS.items():
        picture[kinds == kind] = np.add(colour, OFF.get(kind, (0, 0, 0))) if off else colour
    noise = np.random.default_rng(seed).normal(0, 1, kinds.shape).astype(np.float32)
    picture[kinds == Kind.HAIR] += 60 * cv2.GaussianBlur(noise, (0, 0), 1.5)[kinds == Kind.HAIR][:, None]
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


@dataclass
class Sitting:
    """photo: (PHOTO, PHOTO, 3) uint8; crop, base: (SIDE, SIDE, 3); region: (SIDE, SIDE)."""

    photo: np.ndarray
    crop: np.ndarray
    base: np.ndarray
    region: np.ndarray
    scene: Scene

    @classmethod
    def of(cls, hair: float = 100.0) -> "Sitting":
        """A photo of a head with hair."""
        kinds = kinds_of(SIDE, hair=hair)
        photo = painted(kinds_of(PHOTO, 1.5, hair=hair), off=True, seed=1).clip(0, 255).astype(np.uint8)
        said = iter((kinds, kinds_of(SIDE, 1 / 1.5, hair=hair)))
        region = cv2.GaussianBlur((kinds == Kind.SKIN).astype(np.float32), (0, 0), 4)
        return cls(
            photo,
            crop(photo, WHERE, SIDE),
            painted(kinds),
            region,
            scene(photo, WHERE, lambda _: classes_of(next(said))),
        )

    def seen(self, kinds: np.ndarray) -> Seen:
        return Seen(self.scene, kinds)

    def fresh(self, edited: np.ndarray, kinds: np.ndarray) -> Fresh:
        everywhere, seen = np.ones((SIDE, SIDE), np.float32), self.seen(kinds)
        parts = bands(self.crop, self.base, edited, self.region, everywhere, seen.people)
        return fresh(seen, edited, parts)


def inner(where: np.ndarray, by: int = 9) -> np.ndarray:
    """(S, S) bool: well inside."""
    return cv2.erode(where.astype(np.uint8), np.ones((by, by)), borderValue=0) > 0
