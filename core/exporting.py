"""An edit as a file: at the photo's own size, in its own bits and colours, with what its file said."""

import dataclasses
from dataclasses import dataclass

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
    portrait: Portrait,
    request: EditRequest,
    original: Original | None,
    kind: str,
    notes: bool = True,
) -> Export:
    """The edit as a file of this kind (`core.pictures.writing.KINDS`).

    A whole photo is the original, of which the edit changes some pixels and no others; a face alone is as
    large as the model makes it, 8 bits, sRGB. original: the file that the portrait's photo was opened from;
    None: the photo is all there is. notes: whether date, rights and camera may be in the file.
    Raises: BadRequest, as `Engine.edit`, or where the format holds no such picture; BadImage.
    """
    metadata = original.metadata if original is not None and notes else None
    if request.view.output == "face" or original is None:
        fitted = fit(Native(engine.edit(portrait, request)), kind)
    else:
        fitted = fit(original.native(), kind)
        edited = _edited(engine, portrait, request, fitted.native)
        fitted = dataclasses.replace(fitted, native=edited)
    written = write(fitted, metadata)
    return Export(written.data, fitted.native.size, written.said)


def _edited(engine: Engine, portrait: Portrait, request: EditRequest, native: Native) -> Native:
    """The picture with the edit in it; at another size than was worked on, in the part that it can reach."""
    box: Box = (0, 0, *native.size)
    if native.size != portrait.photo.shape[1::-1]:
        box = _around(placed(portrait, portrait.photo, native.size).transform, native.size)
        part = native.part(box)
        portrait = placed(portrait, colour.to_srgb(part.eight_bit(), part.profile), native.size, box[:2])
    after = engine.edit(portrait, request)
    values = native.values.copy()
    values[box[1] : box[3], box[0] : box[2]] = colour.changed(native.part(box), portrait.photo, after)
    return dataclasses.replace(native, values=values)


def _around(transform: CropTransform, size: tuple[int, int]) -> Box:
    """What of a picture (width, height) an edit of this crop may change or move, and at least one pixel."""
    x, y = transform.half_side
    wider = dataclasses.replace(transform, half_side=(x * (1 + 2 * MARGIN), y * (1 + 2 * MARGIN)))
    left, top, right, bottom = bounds(wider, size[::-1])
    return (left, top, max(right, 1), max(bottom, 1))
