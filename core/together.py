"""Several faces of one photo, each with its own edits, and the photo that shows them all at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import BadRequest
from core.session import EditRequest, Portrait

# So many faces of a photo, beside the one in hand, keep their edits: at 1024 px each is some forty megabytes.
MAX_OTHERS = 8


@dataclass(frozen=True, eq=False)
class FaceEdits:
    """One face of a photo, with all that was edited of it.

    history: every edit, oldest first; cursor: the one that the photo shows.
    Raises: BadRequest if the cursor points at none.
    """

    portrait: Portrait
    history: tuple[EditRequest, ...]
    cursor: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.cursor < len(self.history):
            raise BadRequest("A face has at least one edit, and one of them is shown.")

    @property
    def face(self) -> int:
        """Its number in the photo, from 0."""
        return self.portrait.face

    @property
    def request(self) -> EditRequest:
        """The edit that the photo shows."""
        return self.portrait.shown(self.history[self.cursor])


@dataclass(frozen=True, eq=False)
class Change:
    """What one face's edit makes of the photo: inside the box it is `after`, (h, w, 3) uint8, read-only.

    left, top: of the box, in pixels of the photo.
    """

    left: int
    top: int
    after: np.ndarray

    def __post_init__(self) -> None:
        self.after.setflags(write=False)

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray) -> "Change | None":
        """The smallest box in which two pictures (H, W, 3) uint8 of one size differ; None: they do not."""
        differ = (before != after).any(2)
        rows, columns = np.flatnonzero(differ.any(1)), np.flatnonzero(differ.any(0))
        if not len(rows):
            return None
        (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
        return cls(int(left), int(top), after[top : bottom + 1, left : right + 1].copy())

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.after.nbytes

    def part(self, left: int, top: int, width: int, height: int) -> "Change | None":
        """What of it lies in this part of the photo, in the part's own pixels; None: nothing."""
        x, y = self.left - left, self.top - top
        rows = slice(max(0, -y), height - y)
        columns = slice(max(0, -x), width - x)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return None
        after = self.after[rows, columns]
        return Change(max(0, x), max(0, y), after.copy()) if after.size else None

    @property
    def box(self) -> tuple[slice, slice]:
        """Its rows and columns of the photo."""
        height, width = self.after.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def together(picture: np.ndarray, photo: np.ndarray, changes: Iterable[Change | None]) -> np.ndarray:
    """The picture with these changes of the photo, too; all three (H, W, 3) uint8. The caller's own.

    What each change adds to the photo's pixels is added here; where several meet, their sum is clipped
    once, so that their order does not matter. A pixel that nobody changed is the photo's own, exactly.
    """
    known = [change for change in changes if change is not None]
    if not known:
        return picture
    rows, columns = _around(known)
    result = picture.copy()
    total = picture[rows, columns].astype(np.int16)
    for change in known:
        down, across = change.box
        part = total[_within(down, rows), _within(across, columns)]
        part += change.after
        part -= photo[down, across]
    result[rows, columns] = total.clip(0, 255)
    return result


def _around(changes: Sequence[Change]) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around all of them."""
    pairs = zip(*(change.box for change in changes), strict=True)
    rows, columns = (slice(min(s.start for s in some), max(s.stop for s in some)) for some in pairs)
    return rows, columns


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
