"""A part of the photo opened in its place: what is known of faces that are whole in it stays."""

import dataclasses
from collections.abc import Callable, Iterator

from app import messages
from app.asides import Aside
from app.improving import Improver, Update, previewed
from app.live import with_steps
from app.messages import Answer
from app.openings import Opening, Openings, as_told
from app.visits import Visit
from core.cropping import Crop, cropped
from core.engine import Engine
from core.errors import BadRequest
from core.images import Photo
from core.pictures.native import Box
from core.session import EditRequest, Output, SessionStore
from core.together import FaceEdits

# Of a photo that is opened anew: token, what the widgets say, photo, what it is called.
Open = Callable[[str, EditRequest, Photo, str], Iterator[Answer]]
# Of a visit that begins: as `Handlers._arrived`.
Arrived = Callable[..., Answer]


class Cropping:
    """The crops of all visitors' photos. Keeps nothing itself."""

    def __init__(
        self,
        engine: Engine,
        visits: SessionStore[Visit],
        openings: Openings,
        improver: Improver,
        update: Update,
        leave: Callable[[str], None],
        open_photo: Open,
        arrived: Arrived,
    ) -> None:
        self._engine, self._visits, self._openings, self._improver = engine, visits, openings, improver
        self._update, self._leave, self._open, self._arrived = update, leave, open_photo, arrived

    def crop(self, token: str, asked: EditRequest, box: object, unsettled: bool = False) -> Iterator[Answer]:
        """Go on with the part of the photo in a box, [left, top, right, bottom] in pixels of its file.

        unsettled: whether `asked` may be a change that is no entry yet. The visit that begins has the edit on
        the screen as its first entry, so that undo leads back to the whole photo. Where none of the faces
        that are left was ever in hand, the part is opened as any photo. Whatever fails, all stays as it was.
        Raises: BadRequest, as `core.cropping.cropped`; SessionExpired; Cancelled.
        """
        visit = self._visits.get(token)
        crop = cropped(Photo(visit.portrait.photo, visit.original), visit.portrait.faces, _box(box))
        may_gain = self._improver.get(token) is not None  # it would have gone on
        visit = self._improver.settled(token) or visit
        if unsettled:  # in the whole photo, too, to which undo leads back
            visit = self._update(token, lambda visit: visit.with_edit(visit.possible(asked)))
        if len(crop.faces) > 1:
            crop = crop.as_found(self._engine.find_faces(crop.photo.pixels))
        left = [edits for edits in visit.all_edits if edits.face in crop.numbers]
        if not left:
            yield from self._open(token, asked, crop.photo, visit.stem)
            return
        self._leave(token)
        with self._openings.one(token) as opening:
            face = crop.numbers.index(left[0].face)
            known = messages.known(crop.photo.pixels, face, crop.faces)
            yield messages.opening(known, "Cropping the photo"), None

            def job(_: Callable[[str], None]) -> Visit:
                return self._begun(visit, crop, left, opening, asked.view.output)

            begun = yield from as_told(with_steps(job), known)
            yield self._arrived(token, begun, known, opening, may_gain or not begun.portrait.residuals)

    def _begun(
        self, visit: Visit, crop: Crop, left: list[FaceEdits], opening: Opening, output: Output
    ) -> Visit:
        """The visit of the part; left: of the faces in it those with edits, first the one to be in hand."""
        in_hand, *others = (self._resumed(crop, edits, opening) for edits in left)
        return Visit(
            in_hand.portrait,
            previewed(self._engine, in_hand.portrait),
            (in_hand.history[in_hand.cursor].seen(output=output),),
            original=crop.photo.original,
            stem=visit.stem,
            others=tuple(
                Aside.of(self._engine, edits, previewed(self._engine, edits.portrait)) for edits in others
            ),
        )

    def _resumed(self, crop: Crop, edits: FaceEdits, opening: Opening) -> FaceEdits:
        """The same face and its edits, in the part. Raises: Cancelled."""
        known = edits.portrait
        portrait = self._engine.resume(
            crop.photo.pixels,
            crop.faces,
            crop.numbers.index(known.face),
            known.w_plus.cpu().numpy(),
            known.residuals,
        )
        opening.check(portrait)
        return dataclasses.replace(edits, portrait=portrait)


def _box(value: object) -> Box:
    """Raises: BadRequest where it is not four whole numbers."""
    if not (isinstance(value, list) and len(value) == 4 and all(type(edge) is int for edge in value)):
        raise BadRequest("That crop came in an unknown way; draw it anew.")
    left, top, right, bottom = value
    return left, top, right, bottom
