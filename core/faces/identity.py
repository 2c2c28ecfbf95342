"""Who a face looks like: dlib's 128-number descriptor (one person's photos lie closer than about 0.6)."""

import functools
import threading

import dlib
import numpy as np

from core.faces.alignment import model_file

# dlib's network keeps its activations between calls, so two visitors must not run it at once.
_lock = threading.Lock()


@functools.cache
def _network() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(model_file("dlib_face_recognition_resnet_model_v1.dat"))


def descriptor(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(128,) float32 descriptor of the face whose landmarks are given.

    photo: HWC uint8 RGB; landmarks: (68, 2) in its pixels, iBUG order. To compare a picture with its
    edit, use the same landmarks for both: finding them anew would measure the detector as well.
    """
    points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
    left, top = np.floor(landmarks.min(0))
    right, bottom = np.ceil(landmarks.max(0))
    shape = dlib.full_object_detection(dlib.rectangle(int(left), int(top), int(right), int(bottom)), points)
    with _lock:
        found = _network().compute_face_descriptor(np.ascontiguousarray(photo), shape)
    return np.array(found, dtype=np.float32)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Euclidean distance of two (128,) descriptors: 0 the same picture, about 0.8 two strangers."""
    return float(np.linalg.norm(a - b))


class Identity:
    """Who one aligned face looks like: its descriptor is computed once, when it is first asked for.

    All portraits of a face share one. Both sides of a comparison are crops: a descriptor of the whole photo
    sees hair and background that a crop lacks, and would differ even for an untouched face.
    """

    def __init__(self, crop: np.ndarray, landmarks: np.ndarray) -> None:
        """crop: (S, S, 3) uint8; landmarks: (68, 2) in its pixels, iBUG order."""
        self._crop, self._landmarks = crop, landmarks
        self._own = threading.Lock()
        self._descriptor: np.ndarray | None = None

    @property
    def descriptor(self) -> np.ndarray:
        """(128,) float32, read-only."""
        with self._own:
            if self._descriptor is None:
                self._descriptor = self._of(self._crop)
                self._descriptor.setflags(write=False)
            return self._descriptor

    def distance(self, picture: np.ndarray) -> float:
        """How far another picture of this face is, an edit for one: (S', S', 3) uint8, the same square.

        The landmarks are the crop's own for both: found anew, they would measure the detector as well.
        """
        return distance(self.descriptor, self._of(picture))

    def _of(self, picture: np.ndarray) -> np.ndarray:
        # Pixel centres lie at integers, so the picture's corner is at -1/2.
        scale = len(picture) / len(self._crop)
        return descriptor(picture, (self._landmarks + 0.5) * scale - 0.5)
