"""Codes by descent: an opening waits for one; what it left is taken up again while nobody waits."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.errors import Cancelled, SessionExpired
from core.inversion.pursuit import Begin, Pursuit
from core.keys import PortraitKey
from core.refinement.running import Precedence, Turns, Watcher
from core.rendering.device_thread import DeviceThread
from core.session import SessionStore

# Descents kept to go on with; a photo whose descent was pushed out begins anew from its portrait's code.
KEPT, KEPT_BYTES = 8, 128 * 2**20
# A better code is told when this share of the loss is gone, but not more often than a picture is worth.
TOLD_GAIN, TOLD_SECONDS = 0.02, 2.0

Better = Callable[[Tensor], None]
Steps = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Sought:
    """A face whose code is sought: (S, S, 3) uint8, its landmarks (68, 2) in its pixels, and by what key.

    code: (L, D), where to begin; None: where the descent itself begins.
    """

    key: PortraitKey
    crop: np.ndarray
    landmarks: np.ndarray
    code: Tensor | None = None


@dataclass
class _Telling:
    """When a code is worth a picture; told: the last that was told, or known from before, None: nothing."""

    better: Better
    told: Tensor | None
    loss: float = math.inf
    when: float = field(default_factory=time.monotonic)

    def perhaps(self, pursuit: Pursuit) -> None:
        """Tell the best code, unless another was told just now or it is hardly better; the first anyway, a
        move on from the start, which alone is somebody else."""
        if self.told is None:
            self._tell(pursuit.promising, pursuit.loss)
        late = time.monotonic() - self.when >= TOLD_SECONDS
        if self._is_new(pursuit.codes, pursuit.loss) and late and pursuit.loss < (1 - TOLD_GAIN) * self.loss:
            self._tell(pursuit.codes, pursuit.loss)

    def last(self, codes: Tensor, loss: float) -> None:
        """Tell this code, however little better it is."""
        if self._is_new(codes, loss) and loss < self.loss:
            self._tell(codes, loss)

    def _is_new(self, codes: Tensor, loss: float) -> bool:
        if self.told is None or not torch.equal(codes, self.told):
            return True
        self.loss = loss
        return False

    def _tell(self, codes: Tensor, loss: float) -> None:
        self.told, self.loss, self.when = codes, loss, time.monotonic()
        self.better(self.told)


class Seeker:
    """Descends for one face at a time, a step in the device's thread each, so that edits go in between.

    begin: makes the descent of a face. known: whether a portrait of this key is remembered; of one that is
    not, improving keeps no descent. Thread-safe.
    """

    def __init__(
        self,
        begin: Begin,
        device: DeviceThread,
        precedence: Precedence,
        known: Callable[[PortraitKey], bool],
    ) -> None:
        self._begin, self._device, self._precedence, self._known = begin, device, precedence, known
        self._turns = Turns()
        self._pursuits: SessionStore[Pursuit] = SessionStore(KEPT, KEPT_BYTES)

    def seek(
        self,
        sought: Sought,
        seconds: float,
        progress: Steps,
        better: Better | None,
        cancelled: Callable[[], bool],
        most: int | None = None,
    ) -> Tensor:
        """The code (L, D) of so many seconds, counted from when it is this face's turn: `Pursuit.promising`.

        most: how many steps there are at most, however fast they are; they make the same code every time.
        better: is told a code after the first step, and now and then a better one. progress: is told of
        waiting.
        What is left to gain, `improve` finds; so long as this is under way, the caller holds precedence.
        Raises: Cancelled.
        """
        watcher = Watcher(lambda told: progress(told.step), cancelled, what="opening")
        with self._turns.take(watcher):
            end, longest = time.monotonic() + seconds, 0.0
            pursuit = self._pursuit(sought)
            telling = _Telling(better or (lambda _: None), None)
            try:
                steps = 0
                while not pursuit.arrived and steps != most and time.monotonic() + longest < end:
                    watcher.check()
                    begun = math.isfinite(pursuit.loss)
                    took = self._step(pursuit)
                    # A first step may take many times as long as the others.
                    longest = max(0.8 * longest, took) if begun else 0.0
                    steps += 1
                    telling.perhaps(pursuit)
            except BaseException:
                self._pursuits.drop(sought.key)  # no portrait comes of it that could be forgotten
                raise
            return pursuit.promising

    def improve(
        self,
        sought: Sought,
        seconds: float,
        better: Better,
        cancelled: Callable[[], bool],
        meanwhile: bool = True,
        most: int | None = None,
    ) -> None:
        """Up to so many seconds of further steps, while nobody waits for anything; `better` is told codes.

        sought: with the code that is known; a descent that begins anew judges it first, so that what is told
        is better. meanwhile: whether codes before the last are told, too, which the seconds include. most:
        after how many steps of the whole descent it ends. Ends when steps gain no more, or when it is
        cancelled.
        """
        watcher = Watcher(cancelled=cancelled)
        pursuit: Pursuit | None = None
        telling = _Telling(better, sought.code)
        while seconds > 0 and self._precedence.wait(cancelled):
            try:
                with self._turns.take(watcher):
                    if pursuit is None:
                        pursuit = self._pursuit(sought)
                        if not self._known(sought.key):  # asked last: forgetting drops portraits first
                            self._pursuits.drop(sought.key)
                        if not math.isfinite(pursuit.loss):
                            telling.told = pursuit.codes  # what is known, to the last bit as it is judged
                    if pursuit.arrived or (most is not None and pursuit.steps >= most):
                        break
                    seconds -= self._step(pursuit)
            except Cancelled:
                break
            if meanwhile:
                began = time.monotonic()
                telling.perhaps(pursuit)
                seconds -= time.monotonic() - began
        if pursuit is not None:
            telling.last(pursuit.promising, pursuit.loss)

    def taken(self, key: PortraitKey) -> int:
        """How many steps the descent of one face has taken, as far as it is kept."""
        try:
            return self._pursuits.get(key).steps
        except SessionExpired:
            return 0

    def _pursuit(self, sought: Sought) -> Pursuit:
        """The descent that was begun for this face, or a new one; called by whose turn it is."""
        try:
            return self._pursuits.get(sought.key)
        except SessionExpired:
            begin = self._begin
        pursuit = self._device.run(lambda: Pursuit(begin(sought.crop, sought.landmarks, sought.code)))
        self._pursuits.put(sought.key, pursuit)
        return pursuit

    def _step(self, pursuit: Pursuit) -> float:
        """How long it took, in seconds."""
        began = time.monotonic()
        self._device.run(pursuit.step)
        return time.monotonic() - began

    def drop(self, key: PortraitKey) -> None:
        """Forget the descent of one face, if there is one."""
        self._pursuits.drop(key)

    def forget(self, photo: str) -> None:
        """Drop the descents of the photo with this hash."""
        for key in self._pursuits.tokens():
            if isinstance(key, PortraitKey) and key.photo == photo:
                self._pursuits.drop(key)

    def clear(self) -> None:
        """Forget every descent."""
        self._pursuits.clear()
