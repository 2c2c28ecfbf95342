"""The model's two pictures of an edit, and what a view shows of them."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from core.images import to_array, to_levels
from core.paste.focus import out_of_focus
from core.paste.lighting import Light, in_photos_light
from core.paste.toning import Tone, in_tone
from core.session import View


class Rendered(NamedTuple):
    """What an edit is shown from: (1, 3, R, R) float32 each, nominally [-1, 1], before rounding.

    base: G(w), edited: G(w'); one and the same tensor where the edit moves nothing. classes: (SIDE, SIDE)
    uint8, what a face parser saw in `edited`, where it was asked; local: (SIDE, SIDE) float32 in [0, 1], only
    within which the two differ; None: they may anywhere.
    """

    base: Tensor
    edited: Tensor
    classes: np.ndarray | None = None
    local: np.ndarray | None = None

    def levels(
        self, view: View, tone: Tone | None = None, light: Light | None = None, blur: float = 0.0
    ) -> tuple[np.ndarray, ...]:
        """What a view needs, (R, R, 3) each; tone: the photo's, where it is of one alone; light: the photo's,
        where that is none that faces are usually seen in; blur: a Gaussian's sigma in their pixels, where the
        photo is out of focus: G(w') as uint8 never is.

        None of them where the edit moves nothing of the photo; G(w') as uint8 where that is all; else G(w)
        and G(w') as float32 levels.
        """
        moved = self.edited is not self.base
        if view.start == "photo" and not moved:
            return ()
        alone = view.start == "inversion" and view.output == "face"
        base, edited = (
            in_tone(out_of_focus(in_photos_light(picture, light), 0.0 if alone else blur), tone)
            for picture in (self.base, self.edited)
        )
        if alone:
            return (to_array(edited)[0],)
        levels = to_levels(base)
        return levels, to_levels(edited) if moved else levels
