"""Portraits that get better while their visitors work: each in a thread of its own, one for each visitor."""

import threading
from collections.abc import Callable, Iterator

from app.asides import PREVIEW_SIDE
from app.toasts import notify
from app.visits import Visit
from core.engine import IMPROVING_SECONDS, Engine
from core.opening import OPENING_SECONDS
from core.placing import reduced
from core.session import Portrait, SessionStore

# A photo opens after the first move towards it; what else opening would gain comes while it is edited.
FIRST_SECONDS, FIRST_STEPS = 1.5, 1
LATER_SECONDS = OPENING_SECONDS + IMPROVING_SECONDS - FIRST_SECONDS
# How often the stage is told how far it is.
TELL_SECONDS = 0.5

Update = Callable[[str, Callable[[Visit], Visit]], Visit]


class Improvement:
    """One portrait getting better; `reached` is the best so far, None while there is none better."""

    def __init__(self, engine: Engine, portrait: Portrait) -> None:
        self.reached: Portrait | None = None
        self._failure: Exception | None = None
        self._engine, self._portrait = engine, portrait
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._work, name="improve", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        def better(portrait: Portrait) -> None:
            self.reached = portrait

        try:
            self._engine.improve(self._portrait, LATER_SECONDS, better, self._cancelled.is_set, refined=True)
        # Whatever it is, it belongs to who watches.
        except Exception as error:
            self._failure = error

    def cancel(self) -> None:
        """Ask it to stop; it does so within a step, and what was reached stays."""
        self._cancelled.set()

    def watch(self) -> Iterator[None]:
        """Yields every TELL_SECONDS until it has ended, and once more then; tells of what made it fail."""
        while self._thread.is_alive():
            self._thread.join(TELL_SECONDS)
            yield
        if self._failure is not None:
            notify(self._failure)


class Improver:
    """At most one improvement for each visitor, and what their visits learn of it. Thread-safe."""

    def __init__(self, engine: Engine, visits: SessionStore[Visit], update: Update) -> None:
        self._engine, self._visits, self._update = engine, visits, update
        self._running: dict[str, Improvement] = {}
        self._lock = threading.Lock()

    def begin(self, token: str) -> Improvement:
        """Improve the visitor's portrait from now on; what was before is cancelled."""
        improvement = Improvement(self._engine, self._visits.get(token).portrait)
        self.drop(token)
        with self._lock:
            self._running[token] = improvement
        return improvement

    def get(self, token: str) -> Improvement | None:
        """What runs for this visitor."""
        return self._running.get(token)

    def settled(self, token: str) -> Visit | None:
        """The visit, from now on with the best that is known of its face; None where it has that."""
        improvement = self._running.get(token)
        reached = None if improvement is None else improvement.reached
        if reached is None or self._visits.get(token).portrait is reached:
            return None
        small = previewed(self._engine, reached)
        visit = self._update(token, lambda visit: visit.knowing(reached, small))
        return visit if visit.portrait is reached else None  # it was refined in between

    def end(self, token: str, improvement: Improvement) -> bool:
        """It is over, or nobody watches it any more; whether it still was the visitor's."""
        improvement.cancel()
        with self._lock:
            if self._running.get(token) is not improvement:
                return False
            del self._running[token]
            return True

    def drop(self, token: str) -> None:
        """Cancel what runs for this visitor."""
        with self._lock:
            improvement = self._running.pop(token, None)
        if improvement is not None:
            improvement.cancel()


def previewed(engine: Engine, portrait: Portrait) -> Portrait:
    """What is edited while a slider moves: fewer pixels of the face, and of the photo."""
    return reduced(engine.preview(portrait), PREVIEW_SIDE)
