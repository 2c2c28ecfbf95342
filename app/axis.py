"""One slider is one axis: which pictures along it a browser needs, to blend all that lie between.

Places on the axis are whole numbers of the slider's steps.
"""

import bisect
import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.config import SLIDER_RANGE

STEP = 0.05
LOW, HIGH = (round(edge / STEP) for edge in SLIDER_RANGE)
# Coarse keys lie a whole unit apart; what lies closer than LEAST is never divided.
COARSE, LEAST = 20, 5
# A middle waits until coarse keys are made that are as near but for two units: they let the finger go on.
ONWARD = 2 * COARSE
# A finger's speed is told from moves that lie so far apart at least.
LEAST_SECONDS = 0.02
# Grey levels that a blend may be off by, on average.
MOST_OFF = 2.0


@dataclass(frozen=True)
class Keys:
    """What is rendered of an axis so far.

    start: where the slider was taken up. made: places with a picture, ascending. even: neighbours between
    which blending is as good as rendering.
    """

    start: int
    made: tuple[int, ...] = ()
    even: frozenset[tuple[int, int]] = frozenset()

    def next(self, at: int, soon: int | None = None) -> int | None:
        """The place that a finger at `at` needs most; None: blends are good everywhere.

        soon: where it is likely to be when a key is made; None: there. What is made has to reach that far.

        First where the slider was taken up, then the coarse keys from there on outwards; then between two of
        them the middle, unless they are even.
        """
        if not self.made:
            return self.start
        coarse = [place for place in range(LOW, HIGH + 1, COARSE) if place not in self.made]
        if soon is not None and at < soon > self.made[-1]:
            return min(place for place in coarse if place >= soon)
        if soon is not None and at > soon < self.made[0]:
            return max(place for place in coarse if place <= soon)
        divided = [
            (low + high) // 2
            for low, high in itertools.pairwise(self.made)
            if high - low > LEAST and (low, high) not in self.even and not any(low < m < high for m in coarse)
        ]
        far = {place: abs(place - at) + ONWARD for place in divided}
        far |= {place: abs(place - at) for place in coarse}
        # Of two that are equally near the higher one: faces are sooner made to smile than not to.
        return min(far, key=lambda place: (far[place], -place), default=None)

    def around(self, place: int) -> tuple[int, int] | None:
        """The two made places that `place`, which is none, lies between."""
        index = bisect.bisect(self.made, place)
        return (self.made[index - 1], self.made[index]) if 0 < index < len(self.made) else None

    def after(self, place: int, off: float | None) -> "Keys":
        """With one more; off: by how much its picture and the blend of `around` differ, in grey levels.

        A blend is off by t (1 - t) times the curvature, so most in the middle; there it decides.
        """
        made = tuple(sorted({*self.made, place}))
        around = self.around(place)
        if around is None or off is None:
            return dataclasses.replace(self, made=made)
        low, high = around
        share = (place - low) / (high - low)
        halves = {(low, place), (place, high)} if off / (4 * share * (1 - share)) <= MOST_OFF else set()
        return Keys(self.start, made, self.even - {around} | halves)


def reached(moves: Sequence[tuple[float, int]], seconds: float) -> int:
    """Where a finger is likely to be so many seconds after its last move.

    moves: times in seconds and places, at least one, the last at the end.
    """
    (began, start), (now, at) = moves[0], moves[-1]
    speed = (at - start) / (now - began) if now - began >= LEAST_SECONDS else 0.0
    return max(LOW, min(HIGH, round(at + speed * seconds)))


def off_by(low: np.ndarray, true: np.ndarray, high: np.ndarray, share: float) -> float:
    """Mean difference, in grey levels, of low + share * (high - low) from the true picture; uint8 each."""
    blend = low + np.float32(share) * (high.astype(np.float32) - low)
    return float(np.abs(blend - true).mean())
