"""Rendering again from the first block that a change reaches."""

import threading
import weakref
from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from core.generators.residual import Residual

# States of 1024 px hold 65 MB, in half precision half of it.
KEPT = 2
# What came before a smaller picture is computed anew in no time.
FINEST_LEFT_OUT = 32


class State(NamedTuple):
    """x, (1, C, H, W): what block number `block`, from 0 on, starts from. Depends on w[: 2 * block + 1]."""

    block: int
    x: Tensor


class _Trace(NamedTuple):
    w: Tensor  # (L, D)
    # Weakly: a portrait that is forgotten leaves its kernels nowhere.
    residual: weakref.ref[Residual] | None
    strength: float
    states: list[State]

    def has(self, residual: Residual | None) -> bool:
        """Whether it is of this residual. One that is forgotten is not the same as none."""
        if self.residual is None:
            return residual is None
        return residual is not None and self.residual() is residual


class Restarts:
    """States of the last pictures; a picture whose first codes are the same goes on from there.

    The states are what the generator would compute again, so that a picture's bits do not depend on them.
    Thread-safe.
    """

    def __init__(self) -> None:
        self._traces: deque[_Trace] = deque(maxlen=KEPT)
        self._changing = threading.Lock()

    def known(self, w: Tensor, residual: Residual | None, strength: float) -> list[State]:
        """As many states as there are that depend on nothing new in these codes (L, D) or kernels."""
        with self._changing:
            every = tuple(self._traces)
        traces = [trace for trace in every if trace.has(residual) and trace.strength == strength]
        if not traces:
            return []
        # Of all at once, as a GPU is waited for: (traces, L).
        alike = torch.stack([(trace.w == w).all(1) for trace in traces]).tolist()
        best: list[State] = []
        for trace, codes in zip(traces, alike, strict=True):
            old = [*codes, False].index(False)  # codes before the first that is new
            best = max(best, [state for state in trace.states if 2 * state.block + 1 <= old], key=len)
        return best

    def keep(self, w: Tensor, residual: Residual | None, strength: float, states: list[State]) -> None:
        """Remember these codes' states, a list that their rendering will add to."""
        kept = None if residual is None else weakref.ref(residual)
        with self._changing:
            self._traces.append(_Trace(w.clone(), kept, strength, states))


def worth_keeping(x: Tensor) -> bool:
    """Whether a state takes longer to compute than it is worth to hold."""
    return x.shape[-1] > FINEST_LEFT_OUT
