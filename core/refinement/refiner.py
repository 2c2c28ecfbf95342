"""What finds out more about one portrait than its code says: the refinements "fast" and "best"."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

from core.checkpoints import Bundle
from core.errors import BadRequest
from core.generators.residual import LowRank, Residual, WeightShift
from core.images import to_tensor
from core.inversion.descents import Descents
from core.memory import PortraitMemory
from core.models.style_transformer import StyleTransformer
from core.refinement.behind_descent import BehindDescent
from core.refinement.fast import predict
from core.refinement.gradient_modules import GradientSettings, refine_weights
from core.refinement.losses import picture_loss
from core.refinement.polish import polish
from core.refinement.running import Precedence, Turns, Watcher, memory_errors
from core.rendering.device_thread import DeviceThread, Runs
from core.rendering.renderer import Renderer, lay_out
from core.session import Portrait

T = TypeVar("T")

Preview = Callable[[Portrait], None]
Settle = Callable[[Portrait, str, Watcher], Portrait]


class Refiner:
    """The refinements of one loaded bundle. Thread-safe.

    Both compute step by step in the device's thread, where edits go first; "best", which takes a minute, is
    found for one portrait at a time.

    stage: of the bundle's refiner that "fast" uses; None: the first that it lists. tuning: how long and how
    hard "best" fits; None: as it does best.
    Raises: BadRequest if the bundle has no such refiner.
    """

    def __init__(
        self,
        bundle: Bundle,
        renderer: Renderer,
        device: DeviceThread,
        memory: PortraitMemory,
        precedence: Precedence,
        stage: str | None,
        tuning: GradientSettings | None,
        settle: Settle = lambda portrait, mode, watcher: portrait,
        descents: Descents | None = None,
    ) -> None:
        """settle: finds a code as well as this refinement needs it; where it moved, without residuals.

        descents: that open photos of this bundle; None: it opens them by its encoder, if by anything.
        """
        self._settle = settle
        self._generator, self._inverter = bundle.generator, bundle.inverter
        self._behind = None if descents is None else BehindDescent(bundle.generator, descents, tuning)
        self._lpips = None if bundle.lpips is None else bundle.lpips.to(renderer.device)
        self._network = bundle.refiner(stage)
        if self._network is not None:
            lay_out(self._network.to(renderer.device))
        self._renderer, self._device, self._memory = renderer, device, memory
        self._precedence, self._tuning, self._turns = precedence, tuning, Turns()

    @property
    def ways(self) -> Mapping[str, str | None]:
        """For "fast" and "best" None where this model has it, else a sentence that says why not."""
        if self._behind is not None:
            return {"fast": None, "best": None}
        fast = None if self._network else "This model has no refiner for the fast refinement."
        best = None if self._inverter else "This model has no encoder, by whose features faces are compared."
        return {"fast": fast, "best": best}

    def refine(self, portrait: Portrait, mode: str, watcher: Watcher, preview: Preview | None) -> Portrait:
        """`Engine.refine`."""
        if mode not in self.ways:
            raise BadRequest(f"The refinement is {mode!r}; it must be one of fast, best.")
        if (reason := self.ways[mode]) is not None:
            raise BadRequest(reason)
        if mode in portrait.residuals:
            return portrait
        settled = self._settle(portrait, mode, watcher)
        if mode == "best" and "fast" in portrait.residuals.keys() - settled.residuals.keys():
            # Without a word: what is left of fast is a small part of what is left.
            silent = dataclasses.replace(watcher, progress=lambda _: None)
            settled = self.refine(settled, "fast", silent, None)
        portrait = settled
        watcher = dataclasses.replace(watcher, started=time.monotonic())
        if mode == "fast":
            with memory_errors():
                return self._kept(portrait, mode, self._fast(portrait, watcher))
        with self._turns.take(watcher), memory_errors():
            known = self._memory.get(portrait.key)  # whoever went before may have refined the same photo
            if known is not None and mode in known.residuals and torch.equal(known.w_plus, portrait.w_plus):
                return portrait.refined(known.residuals, known.bases)
            watcher = dataclasses.replace(watcher, started=time.monotonic())
            return self._kept(portrait, mode, self._best(portrait, watcher, preview))

    def _steps(self, watcher: Watcher) -> Runs:
        """Where steps run: in the device's thread, when nobody has waited for a picture for a moment."""

        def run(job: Callable[[], T]) -> T:
            self._precedence.wait_shortly(watcher.cancelled)
            return self._device.run(job)

        return run

    def _fast(self, portrait: Portrait, watcher: Watcher) -> Residual:
        run = self._steps(watcher)
        if self._network is None:
            assert self._behind is not None
            return self._behind.fast(portrait.lit, portrait.landmarks, portrait.w_plus, watcher, run)
        assert isinstance(self._inverter, StyleTransformer)  # the config sees to it
        network, inverter = self._network, self._inverter
        image = self._image(portrait)

        def predicted() -> LowRank:
            with torch.inference_mode(), self._renderer.autocast():
                return predict(network, inverter, image, portrait.rendered)

        start, steps = run(predicted), network.config.polish
        return polish(self._renderer.synthesis, inverter, start, image, portrait.w_plus, steps, run)

    def _best(self, portrait: Portrait, watcher: Watcher, preview: Preview | None) -> Residual:
        def shown(residual: WeightShift) -> None:
            if preview is not None:
                preview(self._with(portrait, "best", residual))

        run = self._steps(watcher)
        if self._behind is not None:
            return self._behind.best(portrait.lit, portrait.landmarks, portrait.w_plus, watcher, shown, run)
        assert self._inverter is not None
        tuning = self._tuning or GradientSettings()
        image, inverter = self._image(portrait), self._inverter
        likeness = run(lambda: picture_loss(inverter, image, tuning.weights, self._lpips))
        residual = refine_weights(
            self._generator,
            likeness,
            portrait.w_plus.clone(),  # made in inference mode, of which no gradient may come
            tuning,
            watcher.count,
            watcher.cancelled,
            shown,
            run,
        )
        watcher.check()
        return residual

    def _image(self, portrait: Portrait) -> torch.Tensor:
        """The aligned photo: (1, 3, R, R) in [-1, 1], laid out for convolutions."""
        image = to_tensor(portrait.lit, self._renderer.device)
        return image.contiguous(memory_format=torch.channels_last)

    def _kept(self, portrait: Portrait, mode: str, residual: Residual) -> Portrait:
        """The portrait with the residual, which is also there when the same photo is opened again."""
        refined = self._with(portrait, mode, residual)
        self._memory.learn(refined)
        return refined

    def _with(self, portrait: Portrait, mode: str, residual: Residual) -> Portrait:
        base = self._device.run(lambda: self._renderer.render(portrait.w_plus[None], residual))
        return portrait.refined({mode: residual}, {mode: base})
