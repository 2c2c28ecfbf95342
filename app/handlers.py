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
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import numpy as np

from app import messages
from app.likeness import face_descriptor, likeness
from app.live import LatestWins, with_steps
from app.messages import SETTINGS, Message
from app.refining import Run, Runs
from app.visits import PREVIEW_SIDE, Visit, parse_request, shrink
from core.engine import Engine
from core.errors import BadRequest, OutOfMemory, SessionExpired, VisagistError
from core.images import open_image
from core.session import EditRequest, Portrait, Refine, SessionStore

logger = logging.getLogger(__name__)

MAX_VISITORS = 64
MAX_BYTES = 600 * 2**20
MAX_AGE_SECONDS = 3600.0

# A message for the stage, and the request that the widgets are to show (None: leave them alone).
Answer = tuple[Message, EditRequest | None]
# Of a refinement: a message, and where the toggle is to stand (None: leave it alone).
Refined = tuple[Message, str | None]
Handler = TypeVar("Handler", bound=Callable[..., Any])


def toast(error: Exception) -> gr.Error:
    """The error as a toast: its own sentence if it was written for the visitor, else a general one."""
    return gr.Error(_sentence(error), duration=8, title="", print_exception=False)


def notify(error: Exception) -> None:
    """The same, of an event that goes on: raised, it might overtake the event's last picture."""
    gr.Info(_sentence(error), duration=8, title="")


def _sentence(error: Exception) -> str:
    if isinstance(error, VisagistError):
        text = str(error)
    else:
        logger.error("Unexpected failure", exc_info=error)
        text = "Something failed on our side; nothing you had is lost, so try once more."
    # Gradio renders the text as HTML, and it may quote a file's name.
    return html.escape(text)


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


Change = Callable[[Visit], Visit]


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
        self._runs = Runs()
        self._writing = threading.Lock()  # a visit is changed by one event at a time

    def request(self, sliders: Mapping[str, float | None], **settings: Any) -> EditRequest:
        """The widgets' values as a request.

        Raises: gr.Error.
        """
        try:
            return parse_request(sliders, **settings)
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
        self._runs.drop(token)
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
        if asked.refine != "off":
            yield messages.message("opening", **known, step="Refining"), None
        portrait, asked = self._as_set(portrait, asked)
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

    def _as_set(self, portrait: Portrait, asked: EditRequest) -> tuple[Portrait, EditRequest]:
        """The portrait refined as the toggle says; but best takes a minute, and begins with a click alone."""
        mode = asked.refine
        if mode == "best" and mode not in portrait.residuals:
            mode = "fast"
        if self.engine.refinements.get(mode) is not None:
            mode = "off"
        try:
            refined = portrait if mode == "off" else self.engine.refine(portrait, mode)
        except OutOfMemory as error:
            notify(error)
            return portrait, dataclasses.replace(asked, refine="off")
        return refined, dataclasses.replace(asked, refine=mode)

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
            visit = self.visits.get(token)
            picture = self._picture(token, visit.preview, visit.possible(request), request.refine)
            shown = messages.frame(picture, request, live=True)
            kept = messages.request_dict(visit.possible(request))
            return messages.message("frame", number, frame=shown, request=kept)

        try:
            return self._frames.run(token, job)
        except VisagistError:
            return None
        except Exception as error:
            raise toast(error) from None

    @_toasted
    def settle(self, token: str, request: EditRequest) -> Message:
        """The hand rests: one entry in the history, and the picture at full quality."""
        return self._show(token, lambda visit: visit.with_edit(visit.possible(request)), request)

    @_toasted
    def jump(self, token: str, current: EditRequest, index: object) -> Answer:
        """Go to an entry of the history; the view (face or whole photo) stays as it is."""
        entry = _index(index, len(self.visits.get(token).history))
        self._runs.drop(token)
        return self._go(token, lambda visit: visit.at(entry), current)

    def undo(self, token: str, current: EditRequest) -> Answer:
        """One entry back."""
        return self._step(token, current, -1)

    def redo(self, token: str, current: EditRequest) -> Answer:
        """One entry forward."""
        return self._step(token, current, 1)

    @_toasted
    def _step(self, token: str, current: EditRequest, by: int) -> Answer:
        if self._runs.drop(token) and by < 0:
            by = 0  # the refinement under way is the last thing that was done

        def stepped(visit: Visit) -> Visit:
            # A change that has not yet settled is what "undo" means to undo, so it becomes an entry first.
            visit = visit.with_edit(visit.possible(current))
            return visit.at(visit.cursor + by)

        return self._go(token, stepped, current)

    def _go(self, token: str, change: Change, current: EditRequest) -> Answer:
        request = dataclasses.replace(change(self.visits.get(token)).request, output=current.output)
        return self._show(token, change, request, refining=False), request

    @_toasted
    def reset(self, token: str, current: EditRequest) -> Answer:
        """All sliders to zero, as a new entry of the history."""
        request = dataclasses.replace(current, sliders={})
        return self._show(token, lambda visit: visit.with_edit(visit.possible(request)), request), request

    @_toasted
    def refine(self, token: str, asked: EditRequest) -> Iterator[Refined]:
        """The toggle was moved: show the refinement; if this face has none, compute it, telling how far."""
        self._runs.drop(token)
        if self.visits.get(token).possible(asked) == asked:
            yield self._show(token, lambda visit: visit.with_edit(asked), asked, refining=False), None
            return
        visit = self._update(token, lambda visit: visit.with_edit(visit.possible(asked)))
        run = Run(self.engine, visit.portrait, asked.refine)
        self._runs.put(token, run)
        try:
            yield from self._watched(token, run)
            if not self._runs.end(token, run):
                return  # the visitor has gone on to something else
            refined = run.result()
        except Exception as error:
            notify(error)
            request = self.visits.get(token).request
            yield self._show(token, lambda visit: visit, request, refining=False), request.refine
            return
        finally:
            self._runs.end(token, run)
        visit = self._update(token, lambda visit: visit.knowing(refined))
        request = dataclasses.replace(visit.request, refine=asked.refine)
        yield self._show(token, lambda visit: visit.with_edit(request), request, refining=False), None

    def _watched(self, token: str, run: Run) -> Iterator[Refined]:
        """How far it is, and a picture whenever there is a better one, until it ends or is not wanted."""
        painted = None
        for _ in run.watch():
            # Numbered first: what takes its place has a higher number, and the stage knows which came last.
            number = messages.next_number()
            if self._runs.get(token) is not run:
                return
            told = dataclasses.asdict(run.progress)
            if run.reached is not painted:
                painted, visit = run.reached, self.visits.get(token)
                picture = self._picture(token, visit.preview, visit.request, run.mode)
                told["frame"] = messages.frame(picture, visit.request, live=True)
            yield messages.message("refining", number, **told), None

    def cancel(self, token: str) -> None:
        """Take back the refinement that is being computed, if there is one."""
        run = self._runs.get(token)
        if run is not None:
            run.cancel()

    def _picture(self, token: str, portrait: Portrait, request: EditRequest, asked: Refine) -> np.ndarray:
        """The edit; while the refinement that is asked for is being computed, with what it has reached."""
        run = self._runs.get(token)
        if run is not None and run.reached is not None and run.mode == asked:
            portrait = portrait.refined(run.reached.residuals, run.reached.bases)
            request = dataclasses.replace(request, refine=asked)
        return self.engine.edit(portrait, request)

    def _update(self, token: str, change: Change) -> Visit:
        with self._writing:
            visit = change(self.visits.get(token))
            self.visits.put(token, visit)
        return visit

    def _show(self, token: str, change: Change, asked: EditRequest, **more: Any) -> Message:
        number, visit = messages.next_number(), self.visits.get(token)
        request = visit.possible(asked)
        picture = self._picture(token, visit.portrait, request, asked.refine)
        # Only now: an edit that fails must leave the history as it was.
        visit = self._update(token, change)
        shown = messages.frame(picture, request, live=False)
        return messages.message("frame", number, frame=shown, **self._state(visit, request, picture), **more)

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
            settings = {name: asked.get(name) for name in SETTINGS}
            request = parse_request(sliders if isinstance(sliders, Mapping) else {}, **settings)
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
        self._runs.drop(token)
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
