"""Pictures by CUDA graphs: all that a GPU is asked for one picture, recorded once and asked for at once.

A picture takes more than a hundred steps, most of them less of a GPU's time than of Python's to ask for one.
A graph reads and writes the same memory each time. So what differs from picture to picture is copied into
buffers of ours before it runs, and out of them after it.
"""

import logging
import weakref
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from core.generators.mobile.restart import State

logger = logging.getLogger(__name__)

# Of the published generator there are eleven: three sizes, from the beginning or from one of three blocks on
# (the preview from two). They share the memory that they compute in.
MOST_GRAPHS = 16
# Before a graph is recorded, as what runs for the first time may compile, choose and allocate.
WARM_UP = 2


class Kernels(list[Tensor]):
    """Of all convolutions: (O, I, k, k) each. Not a plain list, which nobody can refer to weakly."""


class Computed(NamedTuple):
    """picture: (1, 3, S, S); states: those worth keeping that were passed on the way to it."""

    picture: Tensor
    states: list[State]


class Compute(Protocol):
    """A picture of some codes and kernels, in steps that depend on the size and on start's block alone."""

    def __call__(self, w: Tensor, kernels: Kernels, start: State | None, size: int) -> Computed:
        """w: (L, D); start: what to go on from, None: the beginning; size: in px."""


# Computes anew of what its inputs hold now, into the same tensors each time.
Replay = Callable[[], Computed]
# Makes one of a function that reads inputs which stay where they are. Raises: RuntimeError if it cannot.
Capture = Callable[[Callable[[], Computed]], Replay]


class _Inputs:
    """What graphs read, in memory that stays where it is."""

    def __init__(self, w: Tensor, kernels: Kernels) -> None:
        """w, kernels: of the shapes and layouts that all others will have."""
        self.w = torch.empty_like(w)
        self.kernels = Kernels(torch.empty_like(kernel) for kernel in kernels)
        self._states: dict[int, State] = {}
        # Weakly: a portrait that is forgotten leaves its kernels nowhere.
        self._copied: weakref.ref[Kernels] | None = None

    def fill(self, w: Tensor, kernels: Kernels, start: State | None) -> State | None:
        """Copy what is new; -> where start was copied to."""
        self.w.copy_(w)
        if self._copied is None or self._copied() is not kernels:
            for own, new in zip(self.kernels, kernels, strict=True):
                own.copy_(new)
            self._copied = weakref.ref(kernels)
        if start is None:
            return None
        if start.block not in self._states:
            self._states[start.block] = State(start.block, torch.empty_like(start.x))
        own_start = self._states[start.block]
        own_start.x.copy_(start.x)
        return own_start


class Graphs:
    """A graph for each size and block to start from, recorded when first asked for. One call at a time."""

    def __init__(self, capture: Capture) -> None:
        self._capture: Capture | None = capture  # None: given up
        self._inputs: _Inputs | None = None
        self._graphs: dict[tuple[int, int | None], Replay] = {}

    def __len__(self) -> int:
        return len(self._graphs)

    def __call__(
        self, compute: Compute, w: Tensor, kernels: Kernels, start: State | None, size: int
    ) -> Computed:
        """The bits of compute(w, kernels, start, size), always the same function; tensors of the caller's."""
        replay = self._filled(compute, w, kernels, start, size)
        if replay is None:
            return compute(w, kernels, start, size)
        picture, states = replay()
        return Computed(picture.clone(), [State(state.block, state.x.clone()) for state in states])

    def _filled(
        self, compute: Compute, w: Tensor, kernels: Kernels, start: State | None, size: int
    ) -> Replay | None:
        """The graph, its inputs filled; None where there are no graphs."""
        if self._capture is None:
            return None
        key = size, None if start is None else start.block
        try:
            if self._inputs is None:
                self._inputs = _Inputs(w, kernels)
            inputs = self._inputs
            own_start = inputs.fill(w, kernels, start)
            replay = self._graphs.pop(key, None)
            if replay is None:
                replay = self._capture(lambda: compute(inputs.w, inputs.kernels, own_start, size))
        except RuntimeError as error:
            logger.warning("CUDA graphs cannot be had here, so that pictures take longer: %s", error)
            self._capture = self._inputs = None
            self._graphs.clear()
            return None
        self._graphs[key] = replay  # as the last one used
        while len(self._graphs) > MOST_GRAPHS:
            self._graphs.pop(next(iter(self._graphs)))
        return replay


def capture_for(device: torch.device) -> Capture | None:
    """A device's; None where there are no graphs."""
    if device.type != "cuda":
        return None
    pool = torch.cuda.graph_pool_handle()  # one graph runs at a time, and what it leaves is copied at once

    def capture(run: Callable[[], Computed]) -> Replay:
        with torch.cuda.device(device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    run()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads may refine a portrait meanwhile, which is none of this one's business.
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                computed = run()

        def replay() -> Computed:
            graph.replay()
            return computed

        return replay

    return capture
