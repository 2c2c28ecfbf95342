"""The portraits that an engine remembers, so that opening a photo again costs nothing."""

import threading

import torch

from core.errors import SessionExpired
from core.keys import PortraitKey
from core.session import Portrait, SessionStore

# Of the last photos; visitors' own portraits live in the app's store.
RECENT_PORTRAITS = 16
RECENT_BYTES = 256 * 2**20


class PortraitMemory:
    """The last portraits by their keys, each as well as it is known. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a portrait is changed by one thread at a time
        self._portraits: SessionStore[Portrait] = SessionStore(RECENT_PORTRAITS, RECENT_BYTES)

    def get(self, key: PortraitKey) -> Portrait | None:
        """The portrait of this key, as well as it is known."""
        try:
            return self._portraits.get(key)
        except SessionExpired:
            return None

    def knows(self, key: PortraitKey) -> bool:
        """Whether a portrait of this key is remembered."""
        return self.get(key) is not None

    def put(self, portrait: Portrait) -> None:
        """Remember it from now on."""
        self._portraits.put(portrait.key, portrait)

    def learn(self, refined: Portrait) -> None:
        """Add its refinements to what is remembered; of a photo that was forgotten nothing may stay."""
        with self._lock:
            known = self.get(refined.key)
            if known is None:
                return
            # Made for the code that it has: a better one since has none of its refinements. Where what is
            # known was refined too, the later code is the better one.
            if torch.equal(known.w_plus, refined.w_plus):
                self.put(known.refined(refined.residuals, refined.bases))
            elif known.residuals and known.residuals.keys() <= refined.residuals.keys():
                self.put(refined)

    def replace(self, better: Portrait) -> None:
        """Remember a better portrait of the same face in place of the one that is.

        Not where that one was refined meanwhile, nor where the photo was forgotten.
        """
        with self._lock:
            known = self.get(better.key)
            if known is not None and not known.residuals:
                self.put(better)

    def forget(self, photo: str) -> None:
        """Drop every portrait of the photo with this hash."""
        for key in self._portraits.tokens():
            if isinstance(key, PortraitKey) and key.photo == photo:
                self._portraits.drop(key)

    def clear(self) -> None:
        """Forget everything."""
        self._portraits.clear()
