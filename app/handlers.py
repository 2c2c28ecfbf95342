"""What happens on each gesture: widget values -> EditRequest -> engine -> a message for the stage.

Every method takes the visitor's token first. Whatever a visitor can cause ends in a gr.Error whose
text is one sentence; the stage then keeps the picture, and Gradio the sliders, as they were.
"""

import dataclasses
import functools
import html
import inspect
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import numpy as np

from app import messages
from app.likeness import face_descriptor, likeness
from app.live import LatestWins, with_steps
from app.messages import Message
from app.visits import PREVIEW_SIDE, Visit, parse_request, shrink
from core.engine import Engine
from core.errors import BadRequest, SessionExpired, VisagistError
from core.images import open_image
from core.session import EditRequest, Portrait, SessionStore

logger = logging.getLogger(__name__)

MAX_VISITORS = 64
MAX_BYTES = 600 * 2**20
MAX_AGE_SECONDS = 3600.0

# A message for the stage, and the request that the widgets are to show (None: leave them alone).
Answer = tuple[Message, EditRequest | None]
Handler = TypeVar("Handler", bound=Callable[..., Any])


def toast(error: Exception) -> gr.Error:
    """The error as a toast: its own sentence if it was written for the visitor, else a general one."""
    if isinstance(error, VisagistError):
        text = str(error)
    else:
        logger.error("Unexpected failure", exc_info=error)
        text = "Something failed on our side; nothing you had is lost, so try once more."
    # Gradio renders the text as HTML, and it may quote a file's name.
    return gr.Error(html.escape(text), duration=8, title="", print_exception=False)


def _toasted(handler: Handler) -> Handler:
    @functools.wraps(handler)
    def call(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            raise toast(error) from None

    @functools.wraps(handler)
    def stream(*args: Any) -> Iterator[Answer]:
        try:
            yield from handler(*args)
        except Exception as error:
            yield messages.message("failed"), None
            raise toast(error) from None

    return stream if inspect.isgeneratorfunction(handler) else call  # type: ignore[return-value]


class Handlers:
    """The gestures of all visitors on one engine. Thread-safe; visitors share nothing but the device."""

    def __init__(
        self,
        engine: Engine,
        examples: tuple[Path, ...] = (),
        store: SessionStore[Visit] | None = None,
    ) -> None:
        self.engine = engine
        self.examples = examples
        if store is None:
            store = SessionStore(MAX_VISITORS, MAX_BYTES, MAX_AGE_SECONDS)
        self.visits = store
        self._frames = LatestWins()

    def request(
        self, sliders: Mapping[str, float | None], order: str, start: str, output: str
    ) -> EditRequest:
        """The widgets' values as a request.

        Raises: gr.Error.
        """
        try:
            return parse_request(sliders, order, start, output)
        except VisagistError as error:
            raise toast(error) from None

    @_toasted
    def open_file(self, token: str, asked: EditRequest, path: str) -> Iterator[Answer]:
        """Open an uploaded photo, which is erased from the disk once it is in memory."""
        try:
            photo = open_image(path)
        finally:
            Path(path).unlink(missing_ok=True)
        yield from self._open(token, asked, photo, 0)

    @_toasted
    def open_example(self, token: str, asked: EditRequest, index: object) -> Iterator[Answer]:
        """Open one of the example faces."""
        path = self.examples[_index(index, len(self.examples))]
        yield from self._open(token, asked, open_image(path), 0)

    @_toasted
    def choose_face(self, token: str, asked: EditRequest, index: object) -> Iterator[Answer]:
        """Go on with another face of the open photo."""
        portrait = self.visits.get(token).portrait
        face = _index(index, len(portrait.faces))
        yield from self._open(token, asked, portrait.photo, face)

    def _open(self, token: str, asked: EditRequest, photo: np.ndarray, face: int) -> Iterator[Answer]:
        # Each message carries all that is known so far, as the browser may skip one for the next.
        known: Message = {
            "photo": messages.data_url(shrink(photo, PREVIEW_SIDE), messages.LIVE_QUALITY),
            "faces": [],
            "face": face,
        }
        yield messages.message("opening", **known, step="Finding faces"), None
        known["faces"] = messages.face_list(photo, self.engine.find_faces(photo))
        opening = with_steps(lambda progress: self.engine.open_portrait(photo, face, progress))
        portrait = yield from _told(opening, known)
        neutral = dataclasses.replace(asked, sliders={})
        visit = Visit.begin(portrait, face_descriptor(portrait, portrait.crop), neutral)
        # After an expired session the sliders still say what the visitor had: take it up again.
        if not self._is_open(token):
            visit = visit.with_edit(asked)
        picture = self.engine.edit(portrait, visit.request)
        self.visits.put(token, visit)
        opened = messages.message(
            "opened",
            frame=messages.frame(picture, visit.request, live=False),
            before=messages.befores(visit),
            faces=known["faces"],
            face=face,
            token=token,
            **self._state(visit, visit.request, picture),
        )
        yield opened, visit.request

    def _is_open(self, token: str) -> bool:
        try:
            self.visits.get(token)
        except SessionExpired:
            return False
        return True

    def preview(self, token: str, request: EditRequest) -> Message | None:
        """The frame while a slider moves; None if a newer one is wanted already.

        Failures stay silent here, as they would repeat with every pixel: `settle` tells them.
        """
        number = messages.next_number()

        def job() -> Message:
            picture = self.engine.edit(self.visits.get(token).preview, request)
            shown = messages.frame(picture, request, live=True)
            return messages.message("frame", number, frame=shown, request=messages.request_dict(request))

        try:
            return self._frames.run(token, job)
        except VisagistError:
            return None
        except Exception as error:
            raise toast(error) from None

    @_toasted
    def settle(self, token: str, request: EditRequest) -> Message:
        """The hand rests: one entry in the history, and the picture at full quality."""
        return self._show(token, self.visits.get(token).with_edit(request), request)

    @_toasted
    def jump(self, token: str, current: EditRequest, index: object) -> Answer:
        """Go to an entry of the history; the view (face or whole photo) stays as it is."""
        visit = self.visits.get(token)
        visit = visit.at(_index(index, len(visit.history)))
        request = dataclasses.replace(visit.request, output=current.output)
        return self._show(token, visit, request), request

    def undo(self, token: str, current: EditRequest) -> Answer:
        """One entry back."""
        return self._step(token, current, -1)

    def redo(self, token: str, current: EditRequest) -> Answer:
        """One entry forward."""
        return self._step(token, current, 1)

    @_toasted
    def _step(self, token: str, current: EditRequest, by: int) -> Answer:
        visit = self.visits.get(token)
        # A change that has not yet settled is what "undo" means to undo, so it becomes an entry first.
        visit = visit.with_edit(current)
        visit = visit.at(visit.cursor + by)
        request = dataclasses.replace(visit.request, output=current.output)
        return self._show(token, visit, request), request

    @_toasted
    def reset(self, token: str, current: EditRequest) -> Answer:
        """All sliders to zero, as a new entry of the history."""
        request = dataclasses.replace(current, sliders={})
        return self._show(token, self.visits.get(token).with_edit(request), request), request

    def _show(self, token: str, visit: Visit, request: EditRequest) -> Message:
        number = messages.next_number()
        picture = self.engine.edit(visit.portrait, request)
        # Only now: an edit that fails must leave the history as it was.
        self.visits.put(token, visit)
        shown = messages.frame(picture, request, live=False)
        return messages.message("frame", number, frame=shown, **self._state(visit, request, picture))

    def _state(self, visit: Visit, request: EditRequest, picture: np.ndarray) -> dict[str, Any]:
        face = picture
        if request.output == "photo":
            face = self.engine.edit(visit.portrait, dataclasses.replace(request, output="face"))
        return {
            "request": messages.request_dict(request),
            "history": {"length": len(visit.history), "cursor": visit.cursor},
            "likeness": likeness(visit.identity, face_descriptor(visit.portrait, face)),
        }

    def export(self, payload: object) -> Message:
        """The picture on the stage as a file; called by the stage itself, so the answer carries errors too.

        payload: {"token", "format": "png" or "jpeg", "request": as in a message}.
        """
        try:
            if not isinstance(payload, Mapping) or not isinstance(payload.get("request"), Mapping):
                raise BadRequest("The download was asked for in an unknown way; reload the page.")
            asked, kind = payload["request"], payload.get("format")
            if kind not in ("png", "jpeg"):
                raise BadRequest("Pictures can be downloaded as PNG or JPEG; choose one of them.")
            sliders = asked.get("sliders")
            request = parse_request(
                sliders if isinstance(sliders, Mapping) else {},
                asked.get("order", ""),
                asked.get("start", ""),
                asked.get("output", ""),
            )
            visit = self.visits.get(str(payload.get("token")))
            return messages.download(self.engine.edit(visit.portrait, request), kind)
        except VisagistError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": toast(error).message}

    def forget(self, token: str) -> None:
        """The visitor left: nothing of the photo stays in memory."""
        if self._is_open(token):
            self.engine.forget(self.visits.get(token).portrait)
        self.visits.drop(token)
        self._frames.forget(token)


def _told(opening: Generator[str, None, Portrait], known: Message) -> Generator[Answer, None, Portrait]:
    """The steps of opening as messages; returns the portrait."""
    while True:
        try:
            step = next(opening)
        except StopIteration as done:
            return done.value
        yield messages.message("opening", **known, step=step), None


def _index(value: object, length: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < length:
        raise BadRequest("That choice is no longer there; pick another one.")
    return value


def find_examples(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The example faces that ship with the app, by name; none if the folder is missing or empty."""
    return tuple(sorted(Path(folder).glob("*.jpg")))
