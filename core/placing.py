"""The same portrait in its photo at another size, or in a part of that."""

import dataclasses

import cv2
import numpy as np

from core.session import Portrait


def placed(
    portrait: Portrait, photo: np.ndarray, size: tuple[int, int], corner: tuple[int, int] = (0, 0)
) -> Portrait:
    """The same face, with the same code and the same directions.

    photo: (h, w, 3) uint8, of the portrait's photo at width and height `size` what begins at `corner` (x, y).
    """
    height, width = portrait.photo.shape[:2]
    # Rounding makes the two scales differ by a fraction of a pixel; use what the picture really got.
    scale_x, scale_y = size[0] / width, size[1] / height
    scale = max(size) / max(width, height)
    (x, y), half = portrait.transform.center, portrait.transform.half_side
    left, top = corner
    transform = dataclasses.replace(
        portrait.transform,
        # Pixel centres lie at integers, so the picture's corner is at -1/2.
        center=((x + 0.5) * scale_x - 0.5 - left, (y + 0.5) * scale_y - 0.5 - top),
        half_side=(half[0] * scale, half[1] * scale),
    )
    faces = tuple(
        dataclasses.replace(
            face,
            box=tuple(round(edge * scale) - start for edge, start in zip(face.box, 2 * corner, strict=True)),
            landmarks=((face.landmarks + 0.5) * scale - 0.5 - corner).astype(np.float32),
        )
        for face in portrait.faces
    )
    key = portrait.key.reduced(max(size))
    return portrait.elsewhere(key=key, photo=photo, faces=faces, transform=transform)


def reduced(portrait: Portrait, side: int) -> Portrait:
    """The same face in a photo whose longest side is at most `side` px; same code, same directions."""
    height, width = portrait.photo.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return portrait
    photo = shrink(portrait.photo, side)
    return placed(portrait, photo, photo.shape[1::-1])


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """HWC uint8 with its longest side at most `side`; as it is where that already holds."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
