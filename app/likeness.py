"""How much of the person an edit keeps, for the meter under the picture."""

import numpy as np

from core.faces import alignment
from core.session import Portrait, View


def likeness(portrait: Portrait, picture: np.ndarray, view: View) -> float:
    """1 - the distance of the face's descriptor to the photo's own, at least 0.

    dlib's "same person" is above 0.4. picture: uint8, an edit in this view; out of a whole photo its face is
    cut, as it is seen there.
    """
    whole = view.output == "photo"
    face = alignment.crop(picture, portrait.transform, len(portrait.crop)) if whole else picture
    return max(0.0, 1.0 - portrait.identity.distance(face))
