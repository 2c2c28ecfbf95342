"""The faces of a project's photo, read as if a stranger had written them."""

import numpy as np

from core.config import FFHQ_TEMPLATE
from core.faces.alignment import MAX_FACES, Face, crop_transform
from core.projects.strict_json import index, refuse, sequence

# Far smaller than any face that is found, from its eyes to its mouth, in pixels of the photo.
MIN_FACE = 2.0


def read_faces(boxes: object, landmarks: np.ndarray, photo_side: int) -> tuple[Face, ...]:
    """The faces of these boxes and landmarks; photo_side: the photo's longest, in pixels.

    Raises: BadProject where one lies where none can be.
    """
    listed = sequence(boxes, "the list of faces", MAX_FACES)
    if landmarks.shape != (len(listed), 68, 2):
        refuse("there are not 68 landmarks for each face")
    return tuple(_read_face(*pair, photo_side) for pair in zip(listed, landmarks, strict=True))


def _read_face(box: object, landmarks: np.ndarray, photo_side: int) -> Face:
    edges = [index(e, "an edge", -photo_side, 2 * photo_side) for e in sequence(box, "a face's box", 4)]
    if len(edges) != 4:
        refuse("a face's box does not have four edges")
    left, top, right, bottom = edges
    near = bool(((-photo_side < landmarks) & (landmarks < 2 * photo_side)).all())
    height = np.hypot(*(landmarks[36:48].mean(0) - landmarks[[48, 54]].mean(0)))  # eyes to mouth
    with np.errstate(invalid="ignore"):  # what spans no crop has one of side NaN
        side = crop_transform(landmarks, FFHQ_TEMPLATE).side
    if not (near and left < right and top < bottom and height >= MIN_FACE and side >= MIN_FACE):
        refuse("a face lies where none can be")
    return Face((left, top, right, bottom), landmarks)
