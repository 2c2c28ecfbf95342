"""Which passes a device computes: Triton's where they can be had."""

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

from core.generators.mobile.passes import PLAIN, Passes, Rows

logger = logging.getLogger(__name__)


class Tried:
    """Faster passes until they fail, which they do before they change anything; then the readable ones."""

    def __init__(self, load: Callable[[], Passes]) -> None:
        """load: imports them, which may fail too; called once, when the first pass is asked for."""
        self._load = functools.cache(load)
        self._given_up = False

    def spread(self, x: Tensor, style: Tensor, taps: Tensor, rows: Rows) -> Tensor:
        """See `Passes.spread`."""
        return self._or_plain(lambda passes: passes.spread(x, style, taps, rows))

    def mixed(self, x: Tensor, kernel: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        """See `Passes.mixed`."""
        return self._or_plain(lambda passes: passes.mixed(x, kernel, bias, noise))

    def _or_plain(self, run: Callable[[Passes], Tensor]) -> Tensor:
        if self._given_up:
            return run(PLAIN)
        try:
            return run(self._load())
        except torch.OutOfMemoryError:
            raise  # the readable ones need no less
        except Exception as error:  # no package, no compiler, no driver for it: whatever it is, pictures come
            logger.warning("Triton's kernels cannot be had here, so that pictures take longer: %s", error)
            self._given_up = True
            return run(PLAIN)


def _fused() -> Passes:
    # Here, not above: Triton comes with torch's CUDA builds, and no other machine has a use for it.
    from core.generators.mobile.fused import Fused

    return Fused()


@functools.cache
def passes_for(kind: str) -> Passes:
    """Of a kind of device, "cpu" or "cuda": one for all of them, so that what fails is told once."""
    return Tried(_fused) if kind == "cuda" else PLAIN
