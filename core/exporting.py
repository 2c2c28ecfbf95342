"""An edit as a file: at the photo's own size, in its own bits and colours, with what its file said."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from core.engine import Engine
from core.errors import BadRequest
from core.faces.alignment import CropTransform
from core.images import Original
from core.paste.laying import bounds
from core.paste.scene import wider
from core.pictures import colour
from core.pictures.limits import MAX_PIXELS
from core.pictures.native import Box, Native
from core.pictures.writing import JPEG_QUALITY, SUFFIXES, Fitted, fit, write
from core.placing import placed
from core.session import EditRequest, Portrait
from core.together import Change, FaceEdits, together

# An edit changes what its scene knows at most, and enlarges it with a kernel: a bit more has to be there.
REACH = 1.05
# Of a JPEG: below, blocks show; above, there is nothing.
QUALITIES = (60, 100)
# Between before and after, as a share of a half's width, and at least so many pixels.
GAP, MIN_GAP = 1 / 200, 2

Picture = Literal["photo", "face", "both"]
_WORDS: dict[Picture, str] = {"photo": "", "face": "-face", "both": "-before-after"}


@dataclass(frozen=True)
class ExportOrder:
    """What is exported of an edit, and as what.

    kind: "PNG", "JPEG", "TIFF" or "WebP". picture: the whole photo, the face alone, or "both": the photo
    before and after, side by side. quality: of a JPEG, in QUALITIES. notes: whether date, rights and camera
    may be in the file.
    Raises: BadRequest on anything else, with one sentence.
    """

    kind: str
    picture: Picture = "photo"
    quality: int = JPEG_QUALITY
    notes: bool = True

    def __post_init__(self) -> None:
        # Lists, since what a stranger sends may have no hash.
        if self.kind not in [*SUFFIXES]:
            *most, last = SUFFIXES
            raise BadRequest(f"A picture is exported as {', '.join(most)} or {last}; choose one.")
        if self.picture not in [*get_args(Picture)]:
            raise BadRequest("An export is the whole photo, the face, or before and after; choose one.")
        low, high = QUALITIES
        whole = isinstance(self.quality, int) and not isinstance(self.quality, bool)
        if not (whole and low <= self.quality <= high):
            raise BadRequest(f"A JPEG's quality is a whole number from {low} to {high}.")
        if not isinstance(self.notes, bool):
            raise BadRequest("Date, rights and camera are kept or left out; choose one.")

    def file_name(self, stem: str) -> str:
        """Of the file; stem: the photo's, as `core.names.safe_stem` gives it."""
        return f"{stem}-visagist{_WORDS[self.picture]}{SUFFIXES[self.kind]}"


@dataclass(frozen=True)
class Export:
    """data: a picture's file; size: its width and height; said: a sentence on what it kept, "" of nothing."""

    data: bytes
    size: tuple[int, int]
    said: str


def export(
    engine: Engine,
    portraits: Sequence[Portrait],
    request: EditRequest,
    original: Original | None,
    order: ExportOrder,
    others: Sequence[FaceEdits] = (),
) -> Export:
    """The edit as the file that is ordered, whatever of it the request's view shows.

    A whole photo is the original, of which the edit changes some pixels and no others; beside it, for before
    and after, the original as it is. A face alone, the last portrait's, is as large as the model makes it, 8
    bits, sRGB. portraits: faces of one photo, each of which is edited as the request says. original: the file
    that the photo was opened from; None: the photo is all there is. others: of the photo's faces those that
    have edits of their own; the whole photo shows them as well.
    Raises: BadRequest, as `Engine.edit`, or where the format holds no such picture; BadImage.
    """
    if order.picture == "face":
        fitted = fit(Native(engine.edit(portraits[-1], request.seen(output="face"))), order.kind)
    else:
        fitted = fit(Native(portraits[0].photo) if original is None else original.native(), order.kind)
        edits = [(portrait, request) for portrait in portraits]
        edits += [(other.portrait, other.request) for other in others]
        fitted = _whole(engine, edits, fitted, order.picture == "both")
    metadata = None if original is None else original.metadata if order.notes else original.metadata.silent
    written = write(fitted, metadata, order.quality)
    return Export(written.data, fitted.native.size, written.said)


def _whole(
    engine: Engine, edits: Sequence[tuple[Portrait, EditRequest]], before: Fitted, beside: bool
) -> Fitted:
    """The photo with the edits in it; beside: to the right of what it was."""
    native, photo = before.native, edits[0][0].photo
    (width, height), gap = native.size, _gap(native)
    if beside and (2 * width + gap) * height > MAX_PIXELS:
        raise BadRequest(
            f"Side by side this photo would have more than {MAX_PIXELS // 10**6} megapixels; export it alone."
        )
    whole = [(portrait, request.seen(output="photo")) for portrait, request in edits]
    if native.size == photo.shape[1::-1]:
        changes = [Change.between(photo, engine.edit(*edit)) for edit in whole]
        values = colour.changed(native, photo, together(photo, photo, changes))
        edited = dataclasses.replace(native, values=values)
    else:
        edited = native
        for edit in whole:
            edited = _edited(engine, *edit, native, edited)
    return dataclasses.replace(before, native=_side_by_side(native, edited) if beside else edited)


def _gap(native: Native) -> int:
    return max(MIN_GAP, round(native.size[0] * GAP))


def _side_by_side(before: Native, after: Native) -> Native:
    """Two pictures of one size with a thin gap of bare paper; (H, W, C) each, (H, 2 W + gap, C) together.

    Both stay in the photo's own colours and bits: no number of either half changes.
    """
    height, _, channels = before.values.shape
    paper = 0 if before.mode == "CMYK" else before.white  # where all of it is ink
    strip = np.full((height, _gap(before), channels), paper, before.values.dtype)
    values = np.hstack([before.values, strip, after.values])
    if before.alpha is None or after.alpha is None:
        return dataclasses.replace(before, values=values)
    alpha = np.hstack([before.alpha, np.full(strip.shape[:2], before.white, before.alpha.dtype), after.alpha])
    return dataclasses.replace(before, values=values, alpha=alpha)


def _edited(
    engine: Engine, portrait: Portrait, request: EditRequest, native: Native, so_far: Native
) -> Native:
    """What the others have made of the picture so far, with the edit in it, too.

    native: the picture without any edit; only the part of it that the edit can reach is looked at.
    """
    box = _around(placed(portrait, portrait.photo, native.size).transform, native.size)
    photo = _in_srgb(native, box)
    change = Change.between(photo, engine.edit(placed(portrait, photo, native.size, box[:2]), request))
    before = photo if so_far is native else _in_srgb(so_far, box)
    values = so_far.values.copy()
    after = together(before, photo, [change])
    values[box[1] : box[3], box[0] : box[2]] = colour.changed(so_far.part(box), before, after)
    return dataclasses.replace(so_far, values=values)


def _in_srgb(native: Native, box: Box) -> np.ndarray:
    """(h, w, 3) uint8 of a part."""
    part = native.part(box)
    return colour.to_srgb(part.eight_bit(), part.profile)


def _around(transform: CropTransform, size: tuple[int, int]) -> Box:
    """What of a picture (width, height) an edit of this crop may change or move, and at least one pixel."""
    known = wider(transform)
    x, y = known.half_side
    reach = dataclasses.replace(known, half_side=(x * REACH, y * REACH))
    left, top, right, bottom = bounds(reach, size[::-1])
    return (left, top, max(right, 1), max(bottom, 1))
