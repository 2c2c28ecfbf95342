"""The faces of the last photos, so that each photo is looked at once."""

import threading
from dataclasses import dataclass

import numpy as np

from core.errors import SessionExpired
from core.faces import finding
from core.faces.alignment import Face
from core.session import SessionStore

RECENT_FACES = 64
RECENT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class _Detection:
    """Faces of one photo, as an entry of a SessionStore."""

    faces: tuple[Face, ...]

    @property
    def nbytes(self) -> int:
        return sum(face.landmarks.nbytes for face in self.faces)


class Detections:
    """Finds faces. Thread-safe; the detectors, whose scratch memory is shared, serve one at a time."""

    def __init__(self) -> None:
        self._detector_lock = threading.Lock()
        self._found: SessionStore[_Detection] = SessionStore(RECENT_FACES, RECENT_BYTES)

    def find(self, photo: np.ndarray, content: str) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, as `finding.numbered`; content: its hash, which they are known by."""
        try:
            return self._found.get(content).faces
        except SessionExpired:
            faces = self.look(photo)
        self._found.put(content, _Detection(faces))
        return faces

    def look(self, photo: np.ndarray) -> tuple[Face, ...]:
        """The same, and nothing is remembered."""
        with self._detector_lock:
            faces = finding.search(photo)
        for face in faces:
            face.landmarks.setflags(write=False)
        return faces

    def drop(self, content: str) -> None:
        """Forget the faces of the photo with this hash."""
        self._found.drop(content)

    def clear(self) -> None:
        """Forget every photo."""
        self._found.clear()

    def __len__(self) -> int:
        return len(self._found)
