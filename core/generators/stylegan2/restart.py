"""Rendering again from the first block that a change reaches."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from core.generators.stylegan2.layers import State

# States of 1024 px hold 65 MB.
KEPT = 2
# What came before a smaller picture is computed anew in no time.
FINEST_LEFT_OUT = 32


class _Trace(NamedTuple):
    w: Tensor  # (1, L, D)
    w_rgb: Tensor
    states: list[State]


class Restarts:
    """States of the last pictures; a picture whose first codes are the same goes on from there.

    The states are what the generator would compute again, so that a picture's bits do not depend on them.
    """

    def __init__(self) -> None:
        self._traces: deque[_Trace] = deque(maxlen=KEPT)

    def find(self, w: Tensor, w_rgb: Tensor) -> State | None:
        """The latest state that depends on nothing in which these codes, (1, L, D) each, are new."""
        best = None
        for trace in self._traces:
            same = (trace.w == w).all(2) & (trace.w_rgb == w_rgb).all(2)  # (1, L)
            known = int(same[0].long().cumprod(0).sum())  # codes before the first that is new
            # A state is given before w[2b - 1] and toRGB's w[2b - 1] are looked at.
            states = [state for state in trace.states if 2 * state.block - 1 <= known]
            if states and (best is None or states[-1].block > best.block):
                best = states[-1]
        return best

    def record(self, w: Tensor, w_rgb: Tensor) -> Callable[[State], None]:
        """What `run` is to tell of the states of these codes."""
        states: list[State] = []
        self._traces.append(_Trace(w.clone(), w_rgb.clone(), states))

        def seen(state: State) -> None:
            if state.x.shape[-1] > FINEST_LEFT_OUT:
                states.append(state)

        return seen
