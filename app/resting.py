"""Visits that nobody has touched of late are put to rest: what can be found again is, when one is touched.

A refined portrait of 1024 px holds some forty megabytes, and its photo as many; at rest a visit holds its
photo's own file, its code, what was found out about the face, and its history. Waking it renders the code and
looks at the photo once more, which takes part of a second and gives the same bits.
"""

import dataclasses
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from app.improving import previewed
from app.visits import Visit
from core.engine import Engine
from core.errors import VisagistError
from core.faces.alignment import Face
from core.generators.residual import Residual
from core.images import Original, encode_png, open_image, original_pixels
from core.keys import PortraitKey
from core.session import SessionStore

MAX_VISITORS = 64
MAX_BYTES = 1000 * 2**20
MAX_AGE_SECONDS = 3600.0
# So many visits, those used last, stay as they are, and no more memory of them, but for the last.
AWAKE, AWAKE_BYTES = 8, 400 * 2**20
# Who has worked so shortly ago works still, and would be woken at once; but there is an end to it, too.
IDLE_SECONDS, MOST_AWAKE_BYTES = 20.0, 800 * 2**20


@dataclass(frozen=True, eq=False)
class Resting:
    """A visit at rest, of one face.

    key, faces, face, residuals: the portrait's; code: (L, D) float32. photo: its pixels as a lossless file;
    None: `original` gives them. kept: the other fields of the visit.
    """

    key: PortraitKey
    faces: tuple[Face, ...]
    face: int
    code: np.ndarray
    residuals: Mapping[str, Residual]
    photo: bytes | None
    kept: Mapping[str, Any]
    nbytes: int

    @classmethod
    def of(cls, visit: Visit) -> "Resting":
        """Takes the time that packing the photo does, or that it takes to see that its file is enough."""
        portrait, photo = visit.portrait, packed(visit.portrait.photo, visit.original)
        code = portrait.w_plus.cpu().numpy()
        kept = {field.name: getattr(visit, field.name) for field in dataclasses.fields(Visit)}
        del kept["portrait"], kept["preview"], kept["still"]
        parts = (*portrait.residuals.values(), *visit.references)
        held = sum(part.nbytes for part in parts) + code.nbytes + len(photo or b"")
        held += 0 if visit.original is None else visit.original.nbytes
        return cls(
            portrait.key,
            portrait.faces,
            portrait.face,
            code,
            portrait.residuals,
            photo,
            MappingProxyType(kept),
            held,
        )

    def woken(self, engine: Engine) -> Visit:
        """The visit as it was, bit for bit."""
        original = self.kept["original"]
        photo = original_pixels(original) if self.photo is None else open_image(self.photo)
        portrait = engine.resume(photo, self.faces, self.face, self.code, self.residuals)
        portrait = dataclasses.replace(portrait, key=self.key, residuals=self.residuals)
        return Visit(portrait=portrait, preview=previewed(engine, portrait), **self.kept)


def packed(photo: np.ndarray, original: Original | None) -> bytes | None:
    """(H, W, 3) uint8 as a lossless file; None where the file that it was opened from gives the same."""
    if original is not None:
        try:
            if np.array_equal(original_pixels(original), photo):
                return None
        except VisagistError:  # a file that can be read no more is none
            pass
    return encode_png(photo)


class Visits(SessionStore[Visit]):
    """Visits of which those beyond the `awake` used last (fewer, where they are large) are put to rest, and
    woken when they are asked for.

    Nobody's who has touched it within `idle_seconds`, unless all together are too large; nor while `busy` of
    its visitor says yes. They rest in a thread of its own: nobody waits for that. One with several faces in
    hand stays awake. Thread-safe.
    """

    def __init__(
        self,
        engine: Engine,
        busy: Callable[[str], bool],
        awake: int = AWAKE,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        super().__init__(MAX_VISITORS, MAX_BYTES, MAX_AGE_SECONDS)
        self._engine, self._busy, self._awake, self._idle_seconds = engine, busy, awake, idle_seconds
        self._waking, self._sending = threading.Lock(), threading.Lock()
        self._sender: threading.Thread | None = None

    def get(self, token: Hashable) -> Visit:
        """What `put` stored. Raises: SessionExpired."""
        found = _either(super().get(token))
        if isinstance(found, Visit):
            return found
        with self._waking:
            found = _either(super().get(token))  # perhaps somebody else has woken it
            if isinstance(found, Visit):
                return found
            visit = found.woken(self._engine)
            if not self.replace(token, cast(Visit, found), visit):  # it was put anew meanwhile, or dropped
                self._engine.forget(visit.portrait)
                visit = super().get(token)
        self._send()
        return visit

    def put(self, token: Hashable, value: Visit) -> None:
        """Remember a visit, replacing what the token held."""
        super().put(token, value)
        self._send()

    def quiet(self) -> None:
        """Wait until all rest that are to rest now."""
        with self._sending:
            sender = self._sender
        if sender is not None:
            sender.join()

    def _send(self) -> None:
        with self._sending:
            if self._sender is None and self._tired():
                self._sender = threading.Thread(target=self._work, name="rest", daemon=True)
                self._sender.start()

    def _tired(self) -> list[tuple[Hashable, Visit]]:
        """Those that are to rest now."""
        found, held = [], 0
        for place, token in enumerate(reversed(self.tokens())):
            visit = self.peek(token)
            held += 0 if visit is None else visit.nbytes
            beyond = place >= self._awake or (place > 0 and held > AWAKE_BYTES)
            beyond &= self.idle(token) >= self._idle_seconds or held > MOST_AWAKE_BYTES
            if beyond and isinstance(visit, Visit) and not visit.others and not self._busy(str(token)):
                found.append((token, visit))
        return found

    def _work(self) -> None:
        while True:
            with self._sending:
                tired = self._tired()
                if not tired:
                    self._sender = None
                    return
            for token, visit in tired:
                if self.replace(token, visit, cast(Visit, Resting.of(visit))):
                    self._engine.forget(visit.portrait)


def _either(value: Visit) -> Visit | Resting:
    # What a store of visits holds may be one at rest, which nobody outside sees.
    return value
