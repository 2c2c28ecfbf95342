"""What the server tells the page (stage.js, faces.js): small JSON-ready dictionaries, pictures inlined."""

import base64
import itertools
from typing import Any

import cv2
import numpy as np

from app.asides import PREVIEW_SIDE
from app.visits import STILL_SIDE, Visit
from core.exporting import Export, ExportOrder
from core.faces.alignment import Face
from core.images import Original, encode_jpeg
from core.pictures.writing import kind_in
from core.placing import placed, shrink
from core.projects.request_json import request_to_json
from core.references import Reference
from core.session import EditRequest, Portrait

# A smaller face is enlarged to it here, by Lanczos: browsers do it by a visibly softer bilinear.
FACE_SIDE = 512
THUMBNAIL_SIDE = 120
INSET_SIDE = 256
LIVE_QUALITY, STILL_QUALITY = 86, 94

# The fields of EditRequest and its View beside the sliders and what is taken from references.
SETTINGS = ("order", "start", "refine", "strength", "output", "keep_detail")

Message = dict[str, Any]
# A message for the stage, and the request that the widgets are to show (None: leave them alone).
Answer = tuple[Message, EditRequest | None]

_numbers = itertools.count(1)


def next_number() -> int:
    """To be drawn when work begins: the stage ignores a picture older than the one it shows."""
    return next(_numbers)


def message(kind: str, number: int | None = None, **content: Any) -> Message:
    """A message for the stage, numbered now unless its work began earlier."""
    return {"kind": kind, "number": next_number() if number is None else number, **content}


def data_url(image: np.ndarray, quality: int) -> str:
    """HWC uint8 as an inline JPEG."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, quality)).decode("ascii")


def face_frame(image: np.ndarray) -> np.ndarray:
    """An aligned face at least FACE_SIDE px wide, smoothly enlarged."""
    if image.shape[0] >= FACE_SIDE:
        return image
    return cv2.resize(image, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_LANCZOS4)


def frame(image: np.ndarray, request: EditRequest, live: bool) -> str:
    """The picture for the stage, for a face enlarged, for a photo reduced to what a screen shows."""
    shown = face_frame(image) if request.view.output == "face" else shrink(image, STILL_SIDE)
    return data_url(shown, LIVE_QUALITY if live else STILL_QUALITY)


def at_rest(visit: Visit, portrait: Portrait, request: EditRequest) -> Portrait:
    """What of a portrait is edited for a picture at rest: a photo with no more pixels than `frame` shows.

    But where other faces changed it: what they make of it is known at its own size.
    """
    changed = any(other.change is not None for other in visit.others)
    if changed or request.view.output == "face" or visit.still is portrait.photo:
        return portrait
    return placed(portrait, visit.still, visit.still.shape[1::-1])


def known(photo: np.ndarray, face: int, faces: tuple[Face, ...] = ()) -> Message:
    """What is known when an opening begins; each message carries all of it, as the browser may skip one."""
    picture = data_url(shrink(photo, PREVIEW_SIDE), LIVE_QUALITY)
    return {"photo": picture, "faces": face_list(photo, faces), "face": face}


def opening(known: Message, step: str) -> Message:
    """A step of opening as it begins."""
    return message("opening", **known, step=step)


def opened(visit: Visit, picture: np.ndarray, request: EditRequest, faces: list[dict[str, Any]]) -> Message:
    """Of the photo and its faces what the stage shows from now on; picture: what it shows of the request."""
    edited = {edits.face for edits in visit.all_edits if edits.request.sliders or edits.request.takes}
    return {
        "frame": frame(picture, request, live=False),
        "before": befores(visit),
        "faces": [{**face, "edited": number in edited} for number, face in enumerate(faces)],
        "face": visit.portrait.face,
        "known_as": known_as(visit.portrait),
        "own": own_format(visit.original),
        "size": visit.size,
    }


def known_as(portrait: Portrait) -> str:
    """By which a browser knows this face of this photo again."""
    return f"{portrait.key.photo[:16]}-{portrait.face}"


def state(visit: Visit, request: EditRequest) -> Message:
    """What the stage shows beside the picture of this request, and returns with an export."""
    history = {"length": len(visit.history), "cursor": visit.cursor}
    return {"request": request_dict(request), "history": history, "width": width(visit, request)}


def width(visit: Visit, request: EditRequest) -> int:
    """Of the picture of this request, in pixels, however few the stage is sent: what 100% means there."""
    if request.view.output == "photo":
        return int(visit.portrait.photo.shape[1])
    return max(FACE_SIDE, int(visit.portrait.crop.shape[1]))


def improving(reached: Portrait | None) -> Message:
    """What is known of the face by now, as the model shows it; None: it gets no better any more."""
    picture = None if reached is None else data_url(shrink(reached.inversion, INSET_SIDE), LIVE_QUALITY)
    return message("improving", picture=picture)


def befores(visit: Visit) -> dict[str, str]:
    """The unedited pictures for comparing, sent once: the photo's own face, and the photo."""
    return {
        "face": data_url(face_frame(visit.portrait.crop), STILL_QUALITY),
        "photo": data_url(visit.still, STILL_QUALITY),
    }


def request_dict(request: EditRequest) -> dict[str, Any]:
    """A request as JSON; the stage returns it when the visitor exports what is on the screen."""
    return request_to_json(request)


def stack(request: EditRequest) -> list[dict[str, Any]]:
    """What a request takes from references, as the page's stack (app/takes.js) holds it."""
    return request_dict(request)["takes"]


def settings(request: EditRequest) -> dict[str, Any]:
    """All of a request but its sliders and its stack, in the order of the widgets."""
    return {name: request_dict(request)[name] for name in SETTINGS}


def face_list(photo: np.ndarray, faces: tuple[Face, ...]) -> list[dict[str, Any]]:
    """Each face's box as fractions of the photo, and a thumbnail."""
    height, width = photo.shape[:2]
    listed = []
    for face in faces:
        left, top, right, bottom = face.box
        box = [left / width, top / height, right / width, bottom / height]
        listed.append({"box": box, "thumbnail": thumbnail(_around(photo, face))})
    return listed


def face_dict(reference: Reference, origin: str) -> dict[str, str]:
    """A face to take from; origin: "gallery", "upload" or "earlier"."""
    return {"key": reference.key, "picture": thumbnail(reference.picture), "origin": origin}


def thumbnail(image: np.ndarray, side: int = THUMBNAIL_SIDE) -> str:
    """A small inline JPEG, its longest side at most so many px."""
    return data_url(shrink(image, side), 85)


def _around(photo: np.ndarray, face: Face) -> np.ndarray:
    left, top, right, bottom = face.box
    margin = (right - left) // 5
    rows = slice(max(0, top - margin), max(1, bottom + margin))
    columns = slice(max(0, left - margin), max(1, right + margin))
    cut = photo[rows, columns]
    return cut if cut.size else photo


def own_format(original: Original | None) -> str | None:
    """What the photo's own file is, as the page says formats: "jpeg"; None: one that is not written."""
    kind = None if original is None else kind_in(original.data)
    return None if kind is None else kind.lower()


def exported(made: Export, order: ExportOrder, stem: str) -> Message:
    """A picture for the browser to save; stem: of its name. said: what it kept of the photo's file."""
    picture = file(made.data, order.file_name(stem), f"image/{order.kind.lower()}")
    return {**picture, "said": made.said}


def file(data: bytes, name: str, kind: str) -> Message:
    """A file for the browser to save: its name, MIME type and bytes in base64."""
    return {"name": name, "type": kind, "data": base64.b64encode(data).decode("ascii")}
