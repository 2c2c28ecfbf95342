"""Pictures that follow a finger: a slider in hand is an axis, of which keys are rendered ahead."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from app import axis
from app.asides import PREVIEW_SIDE
from app.axis import Keys
from app.live import Hands
from app.messages import LIVE_QUALITY, face_frame
from app.references import References
from app.visits import Visit
from core.engine import Engine
from core.images import encode_jpeg
from core.paste.laying import bounds
from core.paste.scene import wider
from core.placing import placed, reduced
from core.projects.request_json import request_from_json
from core.projects.strict_json import mapping
from core.session import EditRequest, Portrait, SessionStore
from core.together import Change, together

# Blends are judged on pictures reduced that many times.
JUDGED = 4
# With fewer a face is not told from another, however small the page.
LEAST_SIDE = 256

Box = tuple[int, int, int, int]
Seen = Callable[..., tuple[Portrait, EditRequest]]

_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False)
class Axis:
    """A slider taken up, and what is rendered along it.

    portrait: in the part `box` (left, top, width, height) of a picture of (width, height) `size`, which is
    all that edits of it can change. request: without the slider `name`. keys: all that the browser has;
    jpegs: of the box, by place, those that were made here. others: what other faces' edits make of the
    picture.
    """

    portrait: Portrait
    request: EditRequest
    name: str
    size: tuple[int, int]
    box: Box
    keys: Keys
    jpegs: Mapping[int, bytes] = field(default_factory=lambda: MappingProxyType({}))
    others: tuple[Change, ...] = ()
    number: int = field(default_factory=lambda: next(_numbers))

    def at(self, place: int) -> EditRequest:
        """The edit with the slider there."""
        sliders = {**self.request.sliders, self.name: round(place * axis.STEP, 4)}
        return dataclasses.replace(self.request, sliders=sliders)

    @property
    def borrowed(self) -> bool:
        """Whether the picture at rest is a key, which the browser alone has."""
        return len(self.keys.made) > len(self.jpegs)

    @property
    def nbytes(self) -> int:
        """Memory held beside the portrait, in bytes."""
        return sum(len(jpeg) for jpeg in self.jpegs.values())


class Following:
    """Takes sliders up for visitors, and renders their keys. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        visits: SessionStore[Visit],
        hands: Hands,
        references: References,
        seen: Seen,
    ) -> None:
        """hands: as the handlers have them; seen: what is edited, `Handlers._seen`."""
        self._engine, self._visits, self._hands = engine, visits, hands
        self._references, self._seen = references, seen

    def take(
        self,
        token: str,
        name: str,
        request: object,
        at: int,
        known: Sequence[Axis] = (),
        side: int = PREVIEW_SIDE,
        shown: int | None = None,
    ) -> Axis:
        """The axis of a slider: one of those known, if it is the same edit of the same face; else a new one.

        request: JSON, as `request_from_json` reads it. side: how many pixels the page has for the longer side
        of the picture; a photo has no more of them. shown: the place whose picture the page shows at rest,
        and blends by itself; None: it shows another edit.
        Raises: BadProject or BadRequest on anything that is no edit, SessionExpired.
        """
        asked = self._read(token, request)
        visit = self._visits.get(token)
        base = dataclasses.replace(asked, sliders={k: v for k, v in asked.sliders.items() if k != name})
        portrait, base = self._seen(token, visit, visit.possible(base), base.refine, live=True)
        others = tuple(other.preview_change for other in visit.others if other.preview_change is not None)
        if base.view.output == "photo" and not others:  # which are known at the preview's size
            portrait = reduced(portrait, max(side, LEAST_SIDE))
        keys = Keys(at) if shown is None else Keys(shown, (shown,))
        taken = dataclasses.replace(_taken(portrait, base, name, keys), others=others)
        for before in known:
            same = before.name == name and before.request == base and before.others == others
            if same and before.size == taken.size and _same_face(before.portrait, portrait, base):
                return before
        self._engine.check(taken.at(axis.HIGH))
        return taken

    def _read(self, token: str, data: object) -> EditRequest:
        given = mapping(data, "an edit")
        request = request_from_json({**given, "takes": []}, {})
        return dataclasses.replace(request, takes=self._references.takes(token, given.get("takes")))

    def moved(self, token: str) -> None:
        """A slider is in hand now."""
        self._visits.get(token)
        self._hands.move(token)

    def made(self, taken: Axis, place: int, cancelled: Callable[[], bool] | None = None) -> tuple[Axis, int]:
        """The axis with one more key, and the milliseconds that it took. Raises: Cancelled.

        Beside whatever else is made for its visitor: it changes nothing, and a hand that rests does not wait.
        """
        began = time.monotonic()
        picture = self._engine.edit(taken.portrait, taken.at(place), cancelled)
        if taken.request.view.output == "face":
            picture = face_frame(picture)
        else:
            others = (other.part(*taken.box) for other in taken.others)
            picture = together(picture, taken.portrait.photo, others)
        jpeg = encode_jpeg(picture, LIVE_QUALITY)
        off = _off(taken, place, jpeg)
        took = round(1000 * (time.monotonic() - began))
        jpegs = MappingProxyType({**taken.jpegs, place: jpeg})
        return dataclasses.replace(taken, keys=taken.keys.after(place, off), jpegs=jpegs), took


def _same_face(one: Portrait, other: Portrait, request: EditRequest) -> bool:
    """Whether both are the same photo's, known equally well."""
    mode = request.refinement or "off"
    return one.rendered is other.rendered and one.residuals.get(mode) is other.residuals.get(mode)


def _taken(portrait: Portrait, request: EditRequest, name: str, keys: Keys) -> Axis:
    if request.view.output == "face":
        side = len(face_frame(portrait.crop))
        return Axis(portrait, request, name, (side, side), (0, 0, side, side), keys)
    height, width = portrait.photo.shape[:2]
    # With a parser, hair goes beyond the crop too.
    reach = portrait.transform if portrait.scene is None else wider(portrait.transform)
    left, top, right, bottom = bounds(reach, portrait.photo.shape)
    part = placed(portrait, portrait.photo[top:bottom, left:right], (width, height), (left, top))
    return Axis(part, request, name, (width, height), (left, top, right - left, bottom - top), keys)


def _off(taken: Axis, place: int, jpeg: bytes) -> float | None:
    """By how much the blend of a place's neighbours is off; None where they are not both here."""
    around = taken.keys.around(place)
    if around is None or not taken.jpegs.keys() >= set(around):
        return None
    low, high = around
    pictures = [_judged(each) for each in (taken.jpegs[low], jpeg, taken.jpegs[high])]
    if taken.request.view.output == "photo":  # where the face is: around it nothing moves
        left, top, right, bottom = (
            edge // JUDGED for edge in bounds(taken.portrait.transform, taken.portrait.photo.shape)
        )
        pictures = [picture[top : bottom + 1, left : right + 1] for picture in pictures]
    return axis.off_by(pictures[0], pictures[1], pictures[2], (place - low) / (high - low))


def _judged(jpeg: bytes) -> np.ndarray:
    """(H / JUDGED, W / JUDGED, 3) uint8, of a JPEG of our own."""
    picture: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    return np.asarray(picture, np.uint8)
