"""Between Gradio's events and app/handlers.py: who asks, what the widgets say, what they show next."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.handlers import Answer, Handlers, toast
from app.messages import SETTINGS, settings
from core.errors import BadRequest
from core.session import EditRequest

# Of every event: nothing is drawn over the picture, and none is part of the public API.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Widgets:
    """The controls; sliders in the order of the model's attributes."""

    sliders: Sequence[gr.Slider]
    order: gr.Radio
    start: gr.Radio
    refine: gr.Radio
    strength: gr.Slider
    output: gr.Radio
    keep_detail: gr.Checkbox

    @property
    def all(self) -> list[Any]:
        return [*self.sliders, *(getattr(self, name) for name in SETTINGS)]


class Wiring:
    """Connects one page to its handlers."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._names = [attribute.name for attribute in handlers.engine.config.attributes]
        self._key = secrets.token_bytes(32)

    def connect(self, page: gr.Blocks, stage: gr.HTML, upload: gr.UploadButton, widgets: Widgets) -> None:
        """Register every event; called inside the page's context."""
        handlers, values, everything = self._handlers, widgets.all, [stage, *widgets.all]
        # One listener for all the sliders: "always_last" then holds across them, so that frames of two
        # sliders never overtake each other. No queue: it costs more than the picture.
        gr.on(
            [widget.input for widget in values if widget is not widgets.refine],
            self._preview,
            inputs=values,
            outputs=stage,
            queue=False,
            trigger_mode="always_last",
            **QUIET,
        )
        # `release` does not fire for arrow keys; the stage sends `settle` a moment after the last input.
        stage.settle(self._settle, values, stage, queue=False, trigger_mode="always_last", **QUIET)
        for event, method in (
            (stage.undo, handlers.undo),
            (stage.redo, handlers.redo),
            (stage.reset, handlers.reset),
        ):
            event(self._step(method), values, everything, queue=False, trigger_mode="multiple", **QUIET)
        # Queued, as its progress is a stream; a minute of one visitor's must hold up no other's.
        widgets.refine.input(
            self._refine,
            inputs=values,
            outputs=[stage, widgets.refine],
            trigger_mode="multiple",
            concurrency_limit=None,
            **QUIET,
        )
        stage.cancel(self._cancel, queue=False, trigger_mode="multiple", **QUIET)
        stage.jump(self._jump, values, everything, queue=False, trigger_mode="multiple", **QUIET)
        opening: dict[str, Any] = {"trigger_mode": "always_last", **QUIET}
        upload.upload(self._open_file, [upload, *values], everything, **opening).then(
            lambda: None, outputs=upload, queue=False, **QUIET
        )
        stage.example(self._choice(handlers.open_example), values, everything, **opening)
        stage.choose_face(self._choice(handlers.choose_face), values, everything, **opening)
        stage.problem(_tell, queue=False, **QUIET)
        page.unload(self._forget)

    def visitor(self, request: gr.Request) -> str:
        """The visitor's token: unguessable, and the same for all events of one open page."""
        session = request.session_hash or ""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def _asked(self, values: tuple[Any, ...]) -> EditRequest:
        count = len(self._names)
        sliders = dict(zip(self._names, values[:count], strict=True))
        return self._handlers.request(sliders, **dict(zip(SETTINGS, values[count:], strict=True)))

    def _shown(self, answer: Answer) -> list[Any]:
        message, asked = answer
        if asked is None:
            return [message, *[gr.skip()] * (len(self._names) + len(SETTINGS))]
        sliders = [asked.sliders.get(name, 0) for name in self._names]
        return [message, *sliders, *settings(asked).values()]

    def _preview(self, request: gr.Request, *values: Any) -> Any:
        return self._handlers.preview(self.visitor(request), self._asked(values)) or gr.skip()

    def _settle(self, request: gr.Request, *values: Any) -> Any:
        return self._handlers.settle(self.visitor(request), self._asked(values))

    def _refine(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        for message, mode in self._handlers.refine(self.visitor(request), self._asked(values)):
            yield [message, gr.skip() if mode is None else mode]

    def _cancel(self, request: gr.Request) -> None:
        self._handlers.cancel(self.visitor(request))

    def _step(self, method: Callable[..., Answer]) -> Callable[..., list[Any]]:
        def handle(request: gr.Request, *values: Any) -> list[Any]:
            return self._shown(method(self.visitor(request), self._asked(values)))

        return handle

    def _jump(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        index = _detail(event, "index")
        return self._shown(self._handlers.jump(self.visitor(request), self._asked(values), index))

    def _open_file(self, request: gr.Request, path: str | None, *values: Any) -> Iterator[list[Any]]:
        if path is None:
            return
        for answer in self._handlers.open_file(self.visitor(request), self._asked(values), path):
            yield self._shown(answer)

    def _choice(self, method: Callable[..., Iterator[Answer]]) -> Callable[..., Iterator[list[Any]]]:
        def handle(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
            for answer in method(self.visitor(request), self._asked(values), _detail(event, "index")):
                yield self._shown(answer)

        return handle

    def _forget(self, request: gr.Request) -> None:
        self._handlers.forget(self.visitor(request))


def _detail(event: gr.EventData, name: str) -> Any:
    # Whatever a browser sends: perhaps no mapping at all.
    data = event._data
    return data.get(name) if isinstance(data, dict) else None


def _tell(event: gr.EventData) -> None:
    """Say a sentence of the stage's own (no webcam, a download that failed) as a toast."""
    raise toast(BadRequest(str(_detail(event, "message"))[:300]))
