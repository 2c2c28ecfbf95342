"""How much of the person an edit keeps, for the meter under the picture."""

import numpy as np

from core.faces import alignment, identity
from core.session import Portrait


def face_descriptor(portrait: Portrait, face: np.ndarray) -> np.ndarray:
    """(128,) float32 of an aligned face (R, R, 3) uint8, at the landmarks of the portrait's own crop.

    Both sides of a comparison come from here: a descriptor of the whole photo sees hair and
    background that the crop lacks, and would differ even for an untouched face.
    """
    landmarks = portrait.faces[portrait.face].landmarks
    return identity.descriptor(face, alignment.to_crop(landmarks, portrait.transform, face.shape[0]))


def likeness(source: np.ndarray, edited: np.ndarray) -> float:
    """1 - the descriptors' distance, at least 0; dlib's "same person" is above 0.4."""
    return max(0.0, 1.0 - identity.distance(source, edited))
