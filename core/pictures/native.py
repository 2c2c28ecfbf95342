"""A decoded picture as its file has it: its own numbers in its own colours, upright."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

# Rows that are computed at a time, so that a giant picture is never there as floats.
ROWS = 256
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
INKS_LOST = "its inks, now sRGB"

# (left, top, right, bottom) in pixels, the last two excluded.
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Native:
    """Pixels as they are stored, and what their numbers mean.

    values: (H, W, C) uint8 or uint16, [0, white]; C: 1 grey, 3 RGB, 4 CMYK, whose white is all ink.
    white: 255; 65535 of 16 bits; 4095 of a camera's 12 bits in 16. alpha: (H, W) of the same type and range.
    profile: ICC, what the values mean; None: sRGB, or grey of sRGB's curve. lost: in words, what of the
    file's picture is not here.
    """

    values: np.ndarray
    white: int = 255
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    lost: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        """PIL's word for the channels: "L", "RGB" or "CMYK"."""
        return MODES[self.values.shape[2]]

    @property
    def deep(self) -> bool:
        """Whether a channel has more than 8 bits."""
        return self.values.dtype != np.uint8

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.values.shape[1], self.values.shape[0]

    def part(self, box: Box) -> "Native":
        """The pixels of a box."""
        left, top, right, bottom = box
        where = slice(top, bottom), slice(left, right)
        alpha = None if self.alpha is None else self.alpha[where]
        return dataclasses.replace(self, values=self.values[where], alpha=alpha)

    def upright(self, orientation: int) -> "Native":
        """An EXIF orientation, 1 to 8, undone; any other number is none."""
        alpha = None if self.alpha is None else upright(self.alpha, orientation)
        return dataclasses.replace(self, values=upright(self.values, orientation), alpha=alpha)

    def turned(self, turns: int) -> "Native":
        """So many quarters clockwise."""
        if turns % 4 == 0:
            return self
        values = np.ascontiguousarray(np.rot90(self.values, -turns))
        alpha = None if self.alpha is None else np.ascontiguousarray(np.rot90(self.alpha, -turns))
        return dataclasses.replace(self, values=values, alpha=alpha)

    def eight_bit(self) -> np.ndarray:
        """(H, W, C) uint8, [0, 255], laid over white where it is transparent; itself where it is that."""
        if not self.deep and self.alpha is None:
            return self.values
        result = np.empty(self.values.shape, np.uint8)
        for rows in strips(len(result)):
            result[rows] = np.rint(self.over_white(rows) * np.float32(255 / self.white))
        return result

    def over_white(self, rows: slice) -> np.ndarray:
        """(rows, W, C) float32, [0, white]: those rows, laid over white where they are transparent."""
        values = self.values[rows].astype(np.float32)
        if self.alpha is None:
            return values
        share = self.alpha[rows, :, None] * np.float32(1 / self.white)
        return self.white + share * (values - self.white)


def turned_box(box: Box, size: tuple[int, int], turns: int) -> Box:
    """Where the box of a picture (width, height) lies when that is turned so many quarters clockwise."""
    left, top, right, bottom = box
    width, height = size
    for _ in range(turns % 4):
        left, top, right, bottom = height - bottom, left, height - top, right
        width, height = height, width
    return left, top, right, bottom


def strips(height: int) -> Iterator[slice]:
    """The rows of a picture, ROWS at a time."""
    return (slice(row, min(row + ROWS, height)) for row in range(0, height, ROWS))


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) at (width, height), averaged."""
    # OpenCV drops a last axis of one.
    small: np.ndarray = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], image.shape[2])


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: 5 to 8 store columns as rows; then rows or columns may run backwards."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
