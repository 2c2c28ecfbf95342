"""Failures as gr.Error with one sentence each, which app/contact.js and app/notices.js show.

A queued event's arrives as Gradio's toast; a direct one's (queue=False) Gradio's page drops, and ours reads
from the answer. Neither toasts nor titles are seen as such.
"""

import functools
import html
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from core.errors import SessionExpired, VisagistError

logger = logging.getLogger(__name__)

# The title of an error that says that the portrait is gone, by which the page knows.
GONE = "gone"

Handler = TypeVar("Handler", bound=Callable[..., Any])


def toast(error: Exception) -> gr.Error:
    """The error for the page: its own sentence if it was written for the visitor, else a general one."""
    title = GONE if isinstance(error, SessionExpired) else ""
    return gr.Error(_sentence(error), title=title, print_exception=False)


def notify(error: Exception) -> None:
    """The same, of an event that goes on: raised, it might overtake the event's last picture."""
    gr.Info(_sentence(error))


def tell(sentence: str) -> None:
    """Something the visitor should know, while the event goes on."""
    gr.Info(html.escape(sentence))


def _sentence(error: Exception) -> str:
    if isinstance(error, VisagistError):
        text = str(error)
    else:
        logger.error("Unexpected failure", exc_info=error)
        text = "Something failed on our side; nothing you had is lost, so try once more."
    # Gradio renders the text as HTML, and it may quote a file's name.
    return html.escape(text)


def toasted(handler: Handler) -> Handler:
    """The handler, whose exceptions are toasts."""

    @functools.wraps(handler)
    def call(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            raise toast(error) from None

    return call  # type: ignore[return-value]


def toasted_stream(failed: Callable[[], object]) -> Callable[[Handler], Handler]:
    """The same for a generator, which ends with `failed()` so that the page knows it has ended."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def stream(*args: Any) -> Iterator[Any]:
            try:
                yield from handler(*args)
            except Exception as error:
                yield failed()
                raise toast(error) from None

        return stream  # type: ignore[return-value]

    return decorate
