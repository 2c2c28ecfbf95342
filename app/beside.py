"""The visit beside the open one: what was there before something new was opened, one undo away."""

from dataclasses import dataclass

from app.visits import Visit
from core.errors import SessionExpired
from core.session import SessionStore

# Of all visitors together; the browser has a copy of its own (app/keeping.js).
MAX_BESIDE = 16
MAX_BYTES = 200 * 2**20
MAX_AGE_SECONDS = 3600.0


@dataclass(frozen=True, eq=False)
class _Beside:
    visit: Visit
    earlier: bool

    @property
    def nbytes(self) -> int:
        return self.visit.nbytes


class Beside:
    """At most one visit for each visitor, apart from the open one. Thread-safe."""

    def __init__(self) -> None:
        self._store: SessionStore[_Beside] = SessionStore(MAX_BESIDE, MAX_BYTES, MAX_AGE_SECONDS)

    def put(self, token: str, visit: Visit, earlier: bool) -> None:
        """Keep a visit that is left; earlier: undo leads back to it, else redo forward."""
        self._store.put(token, _Beside(visit, earlier))

    def get(self, token: str, earlier: bool) -> Visit | None:
        """What lies in this direction; None: nothing, or no longer."""
        try:
            kept = self._store.get(token)
        except SessionExpired:
            return None
        return kept.visit if kept.earlier == earlier else None

    def drop(self, token: str) -> None:
        """The visitor has left."""
        self._store.drop(token)

    def __len__(self) -> int:
        return len(self._store)
