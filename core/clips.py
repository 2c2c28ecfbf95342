"""An edit as a short clip: one slider's way from end to end and back, or the photo fading into the edit."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from core.engine import Engine
from core.errors import BadRequest
from core.exporting import Export
from core.pictures.moving import FPS, SIDES, SUFFIXES, write_moving
from core.placing import reduced, shrink
from core.refinement.running import Progress, Watcher
from core.session import EditRequest, Portrait
from core.together import Change, FaceEdits, together

# How far a slider goes either way: beyond, most of them begin to move what is around the face.
NATURAL = 2.0
# Pictures from one end of a slider to the other, and from before to after; at a fade's ends it rests.
SWEEP, FADE, REST = round(1.6 * FPS), round(0.8 * FPS), round(0.7 * FPS)

Shown = Literal["photo", "face"]


@dataclass(frozen=True)
class ClipOrder:
    """What moves, and in which file.

    kind: "MP4", "GIF" or "WebP". slider: its name; None: the photo fades into the edit, and back. picture:
    the whole photo, or the face alone.
    Raises: BadRequest on anything else, with one sentence; whether there is such a slider, `clip` says.
    """

    kind: str
    slider: str | None = None
    picture: Shown = "photo"

    def __post_init__(self) -> None:
        # Lists, since what a stranger sends may have no hash.
        if self.kind not in [*SUFFIXES]:
            raise BadRequest("A clip is an MP4, a GIF or a WebP; choose one.")
        if self.picture not in [*get_args(Shown)]:
            raise BadRequest("A clip shows the whole photo or the face; choose one.")
        if self.slider is not None and not isinstance(self.slider, str):
            raise BadRequest("A clip moves one slider; choose one by its name.")

    def file_name(self, stem: str) -> str:
        """Of the file; stem: the photo's, as `core.names.safe_stem` gives it."""
        face = "-face" if self.picture == "face" else ""
        return f"{stem}-visagist{face}-{self.slider or 'fade'}{SUFFIXES[self.kind]}"


def clip(
    engine: Engine,
    portraits: Sequence[Portrait],
    request: EditRequest,
    order: ClipOrder,
    watcher: Watcher,
    others: Sequence[FaceEdits] = (),
) -> Export:
    """The edit as the clip that is ordered, its longest side at most `SIDES` says, without sound or notes.

    portraits: faces of one photo, each of which is edited as the request says; of a face alone, the last.
    others: of the photo's faces those that have edits of their own; the whole photo shows them as well.
    Each picture is an edit of its own: whoever else moves a slider meanwhile waits for one of them at most.
    watcher: is told how far it is, and asked before every picture whether to go on.
    Raises: BadRequest, as `Engine.edit`; Cancelled.
    """
    request = request.seen(output=order.picture)
    side = SIDES[order.kind]
    small, changes = [*portraits], []
    if order.picture == "photo":
        small = [reduced(portrait, side) for portrait in portraits]
        changes = [_change(engine, other, side) for other in others]
    if order.slider is None:
        pictures = _fade(engine, small, request, side, changes)
        count, path = FADE + 1, _there_and_back(FADE, REST)
    else:
        requests = sweep(request, order.slider)
        for one in (requests[0], requests[-1]):
            engine.check(one)
        pictures = (shrink(_edited(engine, small, one, changes), side) for one in requests)
        count, path = SWEEP + 1, _there_and_back(SWEEP)
    known: list[np.ndarray] = []

    def frames() -> Iterator[np.ndarray]:
        for number in path:
            watcher.check()
            if number == len(known):
                watcher.progress(Progress("Making the clip", number / count))
                known.append(next(pictures))
            yield known[number]

    data = write_moving(frames(), order.kind)
    height, width = known[0].shape[:2]
    return Export(data, (width // 2 * 2, height // 2 * 2), f"{len(path) / FPS:.1f} s, without end.")


def sweep(request: EditRequest, slider: str) -> tuple[EditRequest, ...]:
    """The edit with one slider at SWEEP + 1 places from end to end, slow at both; all else as it is.

    The ends are NATURAL, or where the edit has the slider, if that is farther.
    """
    here = request.sliders.get(slider, 0.0)
    low, high = min(-NATURAL, here), max(NATURAL, here)
    shares = ((1 - math.cos(math.pi * step / SWEEP)) / 2 for step in range(SWEEP + 1))
    return tuple(
        dataclasses.replace(request, sliders={**request.sliders, slider: low + share * (high - low)})
        for share in shares
    )


def _there_and_back(steps: int, rest: int = 0) -> tuple[int, ...]:
    """Places 0 ... steps ... 1; a rest at both ends. The last leads to the first, as clips have no end."""
    return (*[0] * rest, *range(steps), *[steps] * (rest + 1), *range(steps - 1, 0, -1))


def _fade(
    engine: Engine,
    portraits: Sequence[Portrait],
    request: EditRequest,
    side: int,
    changes: Sequence[Change | None],
) -> Iterator[np.ndarray]:
    """FADE + 1 pictures (H, W, 3) uint8 from the photo's own pixels to the edit."""
    untouched = dataclasses.replace(request, sliders={}, takes=()).seen(start="photo")
    both = _edited(engine, portraits, untouched), _edited(engine, portraits, request, changes)
    before, after = (shrink(picture, side) for picture in both)
    for step in range(FADE + 1):
        share = (1 - math.cos(math.pi * step / FADE)) / 2
        yield cv2.addWeighted(before, 1 - share, after, share, 0)


def _change(engine: Engine, other: FaceEdits, side: int) -> Change | None:
    """What another face's own edit makes of the reduced photo."""
    small = reduced(other.portrait, side)
    return Change.between(small.photo, engine.edit(small, other.request.seen(output="photo")))


def _edited(
    engine: Engine,
    portraits: Sequence[Portrait],
    request: EditRequest,
    changes: Sequence[Change | None] = (),
) -> np.ndarray:
    if request.view.output == "face":
        return engine.edit(portraits[-1], request)
    photo = portraits[0].photo
    for portrait in portraits:
        # Each face as it was opened, laid on what the others have become.
        photo = engine.edit(dataclasses.replace(portrait, photo=photo), request)
    return together(photo, portraits[0].photo, changes)
