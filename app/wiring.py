"""Between Gradio's events and app/handlers.py: who asks, what the widgets say, what they show next."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app import messages
from app.closer import Closer
from app.handlers import Handlers
from app.leaving import Leaving
from app.messages import SETTINGS, Answer
from app.toasts import toast, toasted
from core.errors import BadRequest
from core.session import EditRequest

# Of every event: nothing is drawn over the picture, and none is part of the public API.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Widgets:
    """The controls; sliders in the order of the model's attributes, stack as app/takes.js says, explored as
    app/explore.js."""

    sliders: Sequence[gr.Slider]
    stack: gr.HTML
    explored: gr.HTML
    order: gr.Radio
    start: gr.Radio
    refine: gr.Radio
    strength: gr.Slider
    output: gr.Radio
    keep_detail: gr.Checkbox

    @property
    def all(self) -> list[Any]:
        return [*self.sliders, self.stack, self.explored, *(getattr(self, name) for name in SETTINGS)]


@dataclass(frozen=True)
class Page:
    """What is not a control: the picture, the faces to take from, and the two ways in for files."""

    stage: gr.HTML
    gallery: gr.HTML
    photo: gr.UploadButton
    reference: gr.UploadButton


class Wiring:
    """Connects one page to its handlers."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._names = [attribute.name for attribute in handlers.engine.config.attributes]
        self._key = secrets.token_bytes(32)
        self._leaving = Leaving(handlers.forget)
        self._closer = Closer(handlers.engine, handlers.visits)

    def connect(self, blocks: gr.Blocks, page: Page, widgets: Widgets) -> None:
        """Register every event; called inside the context of `blocks`."""
        handlers, stage, values = self._handlers, page.stage, widgets.all
        everything = [stage, *values]
        # Whatever control moved, the stage says so, unless its socket brings the pictures (app/frames.js):
        # one listener for all, so that "always_last" holds across them. No queue: it costs more than that.
        stage.preview(self._preview, values, stage, queue=False, trigger_mode="always_last", **QUIET)
        # `release` does not fire for arrow keys; the stage sends `settle` a moment after the last input.
        stage.settle(self._settle, values, stage, queue=False, trigger_mode="always_last", **QUIET)
        stage.closer(self._look, values, stage, queue=False, trigger_mode="always_last", **QUIET)
        for event, step in (
            (stage.undo, self._step(handlers.undo)),
            (stage.redo, self._step(handlers.redo)),
            (stage.reset, self._reset),
        ):
            event(step, values, everything, queue=False, trigger_mode="multiple", **QUIET)
        # Queued, as its progress is a stream; a minute of one visitor's must hold up no other's.
        widgets.refine.input(
            self._refine,
            inputs=values,
            outputs=[stage, widgets.refine],
            trigger_mode="multiple",
            concurrency_limit=None,
            **QUIET,
        )
        # A stream of its own, so that opening something else need not wait for its end.
        stage.improve(self._improve, outputs=stage, trigger_mode="multiple", concurrency_limit=None, **QUIET)
        stage.cancel(self._cancel, queue=False, trigger_mode="multiple", **QUIET)
        for event, step in ((stage.jump, self._jump), (stage.recall, self._recall)):
            event(step, values, everything, queue=False, trigger_mode="multiple", **QUIET)
        self._connect_opening(page, values)
        blocks.unload(self._leave)

    def _connect_opening(self, page: Page, values: list[Any]) -> None:
        handlers, opened = self._handlers, [page.stage, *values, page.gallery]
        # No limit: descents take turns anyway, and who waits for one is told so.
        opening: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": None, **QUIET}
        page.photo.upload(self._open_file, [page.photo, *values], opened, **opening).then(
            lambda: None, outputs=page.photo, queue=False, **QUIET
        )
        page.stage.example(self._choice(handlers.open_example), values, opened, **opening)
        page.stage.turn(self._choice(handlers.turn), values, opened, **opening)
        page.stage.crop(self._crop, values, opened, **opening)
        page.stage.choose_face(self._choose_face, values, opened, **opening)
        page.stage.beside(self._beside, None, opened, **opening)
        page.reference.upload(self._add_face, page.reference, page.gallery, **opening).then(
            lambda: None, outputs=page.reference, queue=False, **QUIET
        )
        # Queued, for what it may have to say: gr.Info needs the queue.
        page.gallery.remove_face(self._remove_face, values, page.gallery, trigger_mode="multiple", **QUIET)

    def visitor(self, request: gr.Request) -> str:
        """The visitor's token: unguessable, and the same for all events of one open page."""
        session = request.session_hash or ""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def _here(self, request: gr.Request) -> str:
        """The token of a visitor who does something, and so has not left."""
        token = self.visitor(request)
        self._leaving.back(token)
        return token

    def _asked(self, token: str, values: tuple[Any, ...], lenient: bool = False) -> EditRequest:
        count = len(self._names)
        stack, explored = values[count : count + 2]
        sliders = dict(zip(self._names, values[:count], strict=True)) | self._explored(explored)
        settings = dict(zip(SETTINGS, values[count + 2 :], strict=True))
        return self._handlers.request(token, sliders, stack, lenient, **settings)

    def _explored(self, value: object) -> dict[str, Any]:
        """The unnamed sliders that are not at zero; whether their values are numbers, the request checks."""
        if value is None:
            return {}
        if not isinstance(value, dict) or not value.keys() <= set(self._handlers.engine.explorable):
            raise toast(BadRequest("The sliders of Explore came in an unknown way; reload the page."))
        return value

    def _shown(self, answer: Answer) -> list[Any]:
        message, asked = answer
        if asked is None:
            return [message, *[gr.skip()] * (len(self._names) + 2 + len(SETTINGS))]
        sliders = [asked.sliders.get(name, 0) for name in self._names]
        explored = {name: value for name, value in asked.sliders.items() if name not in self._names}
        return [message, *sliders, messages.stack(asked), explored, *messages.settings(asked).values()]

    def _preview(self, request: gr.Request, *values: Any) -> Any:
        token = self._here(request)
        try:
            asked = self._asked(token, values)
        except gr.Error:  # which would repeat with every pixel: `settle` tells it
            return gr.skip()
        return self._handlers.preview(token, asked) or gr.skip()

    def _settle(self, request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        token = self._here(request)
        return self._handlers.settle(token, self._asked(token, values), _detail(event, "face")) or gr.skip()

    def _look(self, request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        token = self._here(request)
        return self._closer.look(token, self._asked(token, values), _detail(event, "before") is True)

    def _refine(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        token = self._here(request)
        for message, mode in self._handlers.refine(token, self._asked(token, values)):
            yield [message, gr.skip() if mode is None else mode]

    def _improve(self, request: gr.Request) -> Iterator[Any]:
        yield from self._handlers.improve(self._here(request))

    def _cancel(self, request: gr.Request) -> None:
        self._handlers.cancel(self._here(request))

    def _step(self, method: Callable[..., Answer]) -> Callable[..., list[Any]]:
        def handle(request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
            token, unsettled = self._here(request), _detail(event, "unsettled") is not False
            return self._shown(method(token, self._asked(token, values), unsettled))

        return handle

    def _reset(self, request: gr.Request, *values: Any) -> list[Any]:
        token = self._here(request)
        return self._shown(self._handlers.reset(token, self._asked(token, values)))

    def _jump(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        token = self._here(request)
        return self._shown(self._handlers.jump(token, self._asked(token, values), _detail(event, "index")))

    def _recall(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        token, unsettled = self._here(request), _detail(event, "unsettled") is not False
        asked = self._asked(token, values)
        return self._shown(self._handlers.recall(token, asked, _detail(event, "edit"), unsettled))

    def _open_file(self, request: gr.Request, path: str | None, *values: Any) -> Iterator[list[Any]]:
        if path is None:
            return
        token = self._here(request)
        yield from self._opened(
            token, self._handlers.open_file(token, self._asked(token, values, True), path)
        )

    def _choice(self, method: Callable[..., Iterator[Answer]]) -> Callable[..., Iterator[list[Any]]]:
        def handle(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
            token = self._here(request)
            asked = self._asked(token, values, lenient=True)
            yield from self._opened(token, method(token, asked, _detail(event, "index")))

        return handle

    def _choose_face(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        token, unsettled = self._here(request), _detail(event, "unsettled") is not False
        answers = self._handlers.choose_face(
            token, self._asked(token, values, lenient=True), _detail(event, "index"), unsettled
        )
        yield from self._opened(token, answers)

    def _crop(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        token, unsettled = self._here(request), _detail(event, "unsettled") is not False
        asked = self._asked(token, values, lenient=True)
        yield from self._opened(token, self._handlers.crop(token, asked, _detail(event, "box"), unsettled))

    def _beside(self, request: gr.Request, event: gr.EventData) -> Iterator[list[Any]]:
        token = self._here(request)
        yield from self._opened(token, self._handlers.beside(token, _detail(event, "earlier") is True))

    def _opened(self, token: str, answers: Iterator[Answer]) -> Iterator[list[Any]]:
        """The same answers, the last one with the faces that the visitor has from now on."""
        for answer in answers:
            arrived = answer[0]["kind"] == "opened"
            faces = toasted(self._handlers.references.listed)(token) if arrived else gr.skip()
            yield [*self._shown(answer), faces]

    def _add_face(self, request: gr.Request, path: str | None) -> Iterator[Any]:
        if path is not None:
            yield from self._handlers.references.add(self._here(request), path)

    def _remove_face(self, request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        token = self._here(request)
        asked = self._asked(token, values, lenient=True)
        return self._handlers.references.remove(token, asked, _detail(event, "key"))

    def _leave(self, request: gr.Request) -> None:
        self._leaving.leave(self.visitor(request))


def _detail(event: gr.EventData, name: str) -> Any:
    # Whatever a browser sends: perhaps no mapping at all.
    data = event._data
    return data.get(name) if isinstance(data, dict) else None
