"""Visitors whose connection has ended: most have left, but a network may also break for a moment."""

import threading
from collections.abc import Callable

# From the end of a visitor's connection until nothing of theirs is in memory.
LEAVING_SECONDS = 30.0


class Leaving:
    """Forgets visitors some seconds after they left, unless they are back by then. Thread-safe."""

    def __init__(self, forget: Callable[[str], None], seconds: float = LEAVING_SECONDS) -> None:
        self._forget, self._seconds = forget, seconds
        self._timers: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()

    def leave(self, token: str) -> None:
        """The visitor's connection has ended."""
        self.back(token)
        timer = threading.Timer(self._seconds, self._end, (token,))
        timer.daemon = True
        with self._lock:
            self._timers[token] = timer
        timer.start()

    def back(self, token: str) -> None:
        """The visitor is here."""
        with self._lock:
            timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()

    def _end(self, token: str) -> None:
        with self._lock:
            if self._timers.get(token) is not threading.current_thread():
                return  # the visitor came back just now
            del self._timers[token]
        self._forget(token)
