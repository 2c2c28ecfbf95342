"""The faces of a photo that are not in hand: what was edited of them, and what the photo shows of that."""

from dataclasses import dataclass

import numpy as np

from core.engine import Engine
from core.placing import shrink
from core.session import Portrait, Sized
from core.together import Change, FaceEdits, together

# Longest side, in pixels, of the photo that is edited while a slider is being dragged.
PREVIEW_SIDE = 1024


@dataclass(frozen=True, eq=False)
class Aside:
    """One such face.

    preview: as a visit's. change, preview_change: what its edit makes of the photo, and of the preview's;
    None where it changes nothing.
    """

    edits: FaceEdits
    preview: Portrait
    change: Change | None
    preview_change: Change | None

    @classmethod
    def of(cls, engine: Engine, edits: FaceEdits, preview: Portrait) -> "Aside":
        """The face put aside; its photo is rendered for it once more. Raises: as `Engine.edit`."""
        photo = edits.portrait.photo
        picture = engine.edit(edits.portrait, edits.request.seen(output="photo"))
        small = Change.between(preview.photo, shrink(picture, PREVIEW_SIDE))
        return cls(edits, preview, Change.between(photo, picture), small)

    @property
    def face(self) -> int:
        """Its number in the photo, from 0."""
        return self.edits.face

    @property
    def picture(self) -> np.ndarray:
        """The whole photo with this face's edit alone, (H, W, 3) uint8; nobody's own to write into."""
        photo = self.edits.portrait.photo
        return together(photo, photo, [self.change])

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it but the time that opening it took."""
        return self.change is None and len(self.edits.history) == 1

    @property
    def parts(self) -> tuple[Sized, ...]:
        """All that it holds and that takes memory."""
        changes = (change for change in (self.change, self.preview_change) if change is not None)
        return (*self.edits.portrait.parts, *self.preview.parts, *changes)
