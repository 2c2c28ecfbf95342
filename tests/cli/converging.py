"""An engine whose portraits get better as time passes, on a clock of its own: for what measures openings."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from core.engine import Engine
from core.images import to_array
from core.session import EditRequest, Portrait

DEVIATION = 2.0  # of every coordinate of W, as far as this engine says


class Clock:
    """In the place of a module's `time`: it goes on by itself no more than it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class ConvergingEngine:
    """A tiny engine's portraits, from three deviations beside their code to the code itself.

    Opening shows a picture after 1.5 s, takes all the seconds it may and one more; improving takes what it is
    given.
    """

    lpips = staticmethod(lambda a, b: (a - b).abs().amax())
    device = torch.device("cpu")

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.inner, self.clock, self.refinements = engine, clock, engine.refinements
        self.asked: list[tuple[str, float]] = []
        self.fingerprint = engine.fingerprint
        mean = engine.generator.w_mean
        basis = DEVIATION * torch.eye(mean.shape[-1])[:, None].repeat(1, len(mean), 1)  # (D, L, D)
        self.generator = SimpleNamespace(w_mean=mean, principal=lambda: basis)

    def open_portrait(
        self, photo: np.ndarray, seconds: float = 12.0, shown: Callable[[Portrait], None] = lambda _: None
    ) -> Portrait:
        return self._open(self.inner.open_portrait(photo), seconds, shown)

    def open_crop(
        self, crop: np.ndarray, landmarks: np.ndarray, seconds: float, shown: Callable[[Portrait], None]
    ) -> Portrait:
        """As if the crop were a photo with this face in it."""
        whole = self.inner.open_portrait(crop)
        face = dataclasses.replace(whole.faces[0], landmarks=landmarks.astype(np.float32))
        return self._open(dataclasses.replace(whole, faces=(face,)), seconds, shown)

    def _open(self, portrait: Portrait, seconds: float, shown: Callable[[Portrait], None]) -> Portrait:
        self.asked.append(("open", seconds))
        self.target = portrait.w_plus
        self.clock.now += 1.5
        shown(self.at(portrait, 4.0))
        shown(self.at(portrait, 2.0))
        self.clock.now += seconds - 0.5
        return self.at(portrait, 1.0)

    def improve(self, portrait: Portrait, seconds: float) -> Portrait:
        self.asked.append(("improve", seconds))
        self.clock.now += seconds
        return self.at(portrait, 0.0)

    def at(self, portrait: Portrait, left: float) -> Portrait:
        """The portrait as it is while this share of the way is left."""
        w: Tensor = self.target + left * 3 * DEVIATION
        rendered = self.inner.run(lambda: self.inner.renderer.render(w[None]))
        return dataclasses.replace(portrait, w_plus=w, rendered=rendered, inversion=to_array(rendered)[0])

    def edit(self, portrait: Portrait, request: EditRequest) -> np.ndarray:
        return self.inner.edit(portrait, request)
