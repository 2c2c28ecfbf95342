"""An edit as a file: at the photo's own size, in its own bits and colours, with what its file said."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.engine import Engine
from core.faces.alignment import CropTransform
from core.images import Original
from core.paste.laying import bounds
from core.pictures import colour
from core.pictures.native import Box, Native
from core.pictures.writing import fit, write
from core.placing import placed
from core.session import EditRequest, Portrait

# An edit carries pixels along: around what it may change, so much of the crop's side has to be there too.
MARGIN = 1 / 8


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
    kind: str,
    notes: bool = True,
) -> Export:
    """The edit as a file of this kind (`core.pictures.writing.KINDS`).

    A whole photo is the original, of which the edit changes some pixels and no others; a face alone, the last
    portrait's, is as large as the model makes it, 8 bits, sRGB. portraits: faces of one photo, each of which
    is edited, one after the other, as the request says. original: the file that the photo was opened from;
    None: the photo is all there is. notes: whether date, rights and camera may be in the file.
    Raises: BadRequest, as `Engine.edit`, or where the format holds no such picture; BadImage.
    """
    metadata = None if original is None else original.metadata if notes else original.metadata.silent
    if request.view.output == "face":
        fitted = fit(Native(engine.edit(portraits[-1], request)), kind)
    else:
        native = Native(portraits[0].photo) if original is None else original.native()
        fitted = fit(native, kind)
        edited, photo = fitted.native, portraits[0].photo
        for portrait in portraits:
            # Each face as it was opened, laid on what the others have become.
            edited, photo = _edited(engine, dataclasses.replace(portrait, photo=photo), request, edited)
        fitted = dataclasses.replace(fitted, native=edited)
    written = write(fitted, metadata)
    return Export(written.data, fitted.native.size, written.said)


def _edited(
    engine: Engine, portrait: Portrait, request: EditRequest, native: Native
) -> tuple[Native, np.ndarray]:
    """The picture with the edit in it, and so the portrait's photo, if it is worked on at that size.

    At another size, only the part that the edit can reach is looked at.
    """
    photo = portrait.photo
    box: Box = (0, 0, *native.size)
    if native.size != portrait.photo.shape[1::-1]:
        box = _around(placed(portrait, portrait.photo, native.size).transform, native.size)
        part = native.part(box)
        portrait = placed(portrait, colour.to_srgb(part.eight_bit(), part.profile), native.size, box[:2])
    after = engine.edit(portrait, request)
    values = native.values.copy()
    values[box[1] : box[3], box[0] : box[2]] = colour.changed(native.part(box), portrait.photo, after)
    whole = native.size == photo.shape[1::-1]
    return dataclasses.replace(native, values=values), after if whole else photo


def _around(transform: CropTransform, size: tuple[int, int]) -> Box:
    """What of a picture (width, height) an edit of this crop may change or move, and at least one pixel."""
    x, y = transform.half_side
    wider = dataclasses.replace(transform, half_side=(x * (1 + 2 * MARGIN), y * (1 + 2 * MARGIN)))
    left, top, right, bottom = bounds(wider, size[::-1])
    return (left, top, max(right, 1), max(bottom, 1))
