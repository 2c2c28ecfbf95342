"""Portraits that get better while nobody waits: nearer codes by descent, and soon what codes cannot say."""

import dataclasses
from collections.abc import Callable

import torch

from core.errors import Cancelled
from core.opening import SETTLED_STEPS, Opener
from core.refinement.refiner import Refiner
from core.refinement.running import Precedence, Progress, Watcher
from core.session import Portrait

Better = Callable[[Portrait], None]


class Improving:
    """Of one engine's portraits. Thread-safe; whatever others do goes first, step by step."""

    def __init__(self, opener: Opener, refiner: Refiner, precedence: Precedence) -> None:
        self._opener, self._refiner, self._precedence = opener, refiner, precedence

    def improve(
        self,
        portrait: Portrait,
        seconds: float,
        better: Better | None,
        cancelled: Callable[[], bool],
        refined: bool,
    ) -> Portrait:
        """`Engine.improve`."""
        if not self._opener.descends or "best" in portrait.residuals:
            return portrait
        if not portrait.residuals and not (refined and self._refiner.ways["fast"] is None):
            return self._opener.improve(portrait, seconds, better, cancelled)
        told = better or (lambda _: None)
        found = portrait
        if not found.residuals:
            found = self._opener.improve(found, seconds, better, cancelled, SETTLED_STEPS["fast"])
            found = self._refined(found, told, cancelled)
        # Silently: a nearer code without what it lacks would look worse than what is there.
        plain = dataclasses.replace(found, residuals={}, bases={})
        nearer = self._opener.improve(plain, seconds, None, cancelled)
        if torch.equal(nearer.w_plus, found.w_plus):
            return found
        again = self._refined(nearer, told, cancelled)
        return again if again.residuals else found

    def _refined(self, portrait: Portrait, told: Better, cancelled: Callable[[], bool]) -> Portrait:
        """With "fast", of which `told` is told; as it is where that is cancelled."""

        def pause(_: Progress) -> None:
            self._precedence.wait(cancelled)

        watcher = Watcher(pause, cancelled)
        try:
            watcher.check()
            refined = self._refiner.refine(portrait, "fast", watcher, None)
        except Cancelled:
            return portrait
        told(refined)
        return refined
