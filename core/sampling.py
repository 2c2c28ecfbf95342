"""Faces of no photo: random ones, and those of the gallery that comes with a model."""

from functools import cached_property

import numpy as np
from torch import Tensor

from core.checkpoints import Bundle
from core.images import to_array
from core.references import Reference
from core.rendering.device_thread import DeviceThread
from core.rendering.renderer import Renderer

# Of pictures rendered at once, all together; one of 1024 px, which has more, is rendered alone.
BATCH_PIXELS = 8 * 128**2
# Of the gallery's pictures, where the generator makes smaller ones: they are only shown small.
GALLERY_SIDE = 256


class Sampler:
    """Makes them with one loaded bundle, in its device's thread."""

    def __init__(self, bundle: Bundle, renderer: Renderer, device: DeviceThread) -> None:
        self._generator, self._codes = bundle.generator, bundle.gallery
        self._renderer, self._device = renderer, device

    def sample(self, n: int, seed: int, psi: float) -> tuple[Tensor, list[np.ndarray]]:
        """Codes (N, L, D), and their pictures (R, R, 3) uint8; psi: 0 is the mean face, 1 all variety."""

        def made() -> tuple[Tensor, list[np.ndarray]]:
            codes = self._generator.sample(n, psi, seed)
            return codes, self._pictures(codes)

        return self._device.run(made)

    @cached_property
    def gallery(self) -> tuple[Reference, ...]:
        """Rendered at the first call, small."""
        size = next((size for size in self._generator.sizes if size >= GALLERY_SIDE), None)
        pictures = self._device.run(lambda: self._pictures(self._codes, size))
        codes = self._codes.cpu().numpy()
        return tuple(Reference(w_plus, picture) for w_plus, picture in zip(codes, pictures, strict=True))

    def _pictures(self, codes: Tensor, size: int | None = None) -> list[np.ndarray]:
        """(N, L, D) -> N pictures (S, S, 3) uint8, S the size or, where it is None, the full one."""
        batch = max(1, BATCH_PIXELS // self._generator.resolution**2)
        parts = codes.split(batch)
        return [picture for part in parts for picture in to_array(self._renderer.render(part, size=size))]
