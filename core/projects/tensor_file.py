"""Codes, landmarks and residuals as one safetensors file, in the types they had, and back from a stranger's.

A residual's tensors are called MODE.CONVOLUTION, for a low rank followed by .p and .q; the mode says which
kind it is. What is before the mode, up to a dot, says whose. Every function that reads raises
BadProject, with one sentence.
"""

from collections.abc import Mapping

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from core.generators.residual import LowRank, Residual, WeightShift
from core.projects.strict_json import index, mapping, refuse

MAX_TENSOR_BYTES = 256 * 2**20
# Honest numbers, codes or pixels of a photo, are below; far larger ones end in pictures of nothing.
MAX_MAGNITUDE = 1e5
MODES = _LOW_RANK, _WEIGHT_SHIFT = "fast", "best"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def pack_tensors(arrays: Mapping[str, np.ndarray], residuals: Mapping[str, Residual]) -> bytes:
    """The file; equal contents give equal bytes. arrays: float32; residuals: by mode, each on any device."""
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    for mode, residual in residuals.items():
        tensors |= _named(mode, residual)
    return safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def convolutions(residual: Residual) -> int:
    """How many 3x3 convolutions a residual is for; `TensorFile.residual` asks for it."""
    return len(residual.tokens if isinstance(residual, LowRank) else residual.shifts)


def _named(mode: str, residual: Residual) -> dict[str, Tensor]:
    if isinstance(residual, WeightShift):
        return {f"{mode}.{i}": shift for i, shift in enumerate(residual.shifts)}
    pairs = [(i, pair) for i, pair in enumerate(residual.tokens) if pair is not None]
    return {f"{mode}.{i}.{name}": t for i, pair in pairs for name, t in zip("pq", pair, strict=True)}


class TensorFile:
    """What such a file holds; whatever is asked for may be asked for once."""

    def __init__(self, data: bytes) -> None:
        try:
            # Clones lie where torch itself puts tensors: at other addresses sums may round otherwise.
            self._left = {name: tensor.clone() for name, tensor in safetensors.torch.load(data).items()}
        # SafetensorError, and whatever torch says to a type or shape that it cannot have.
        except Exception:
            refuse("its tensors cannot be read")

    def array(self, name: str, dimensions: int) -> np.ndarray:
        """A float32 array with so many axes."""
        tensor = self._tensor(name, dimensions)
        if tensor.dtype != torch.float32:
            refuse(f"the tensor {name} is no float32")
        return tensor.numpy()

    def residuals(self, counts: object, prefix: str = "") -> dict[str, Residual]:
        """Those of one face by mode; counts: how many convolutions each is for; prefix: of their names."""
        listed = mapping(counts, "the list of residuals")
        if not listed.keys() <= set(MODES):
            refuse("it holds a refinement that no model has")
        return {
            mode: self.residual(f"{prefix}{mode}", index(count, "a residual's length", 1, 100))
            for mode, count in listed.items()
        }

    def residual(self, mode: str, count: int) -> Residual:
        """What `pack_tensors` was given for this mode; count: of its convolutions."""
        if mode.rpartition(".")[2] == _WEIGHT_SHIFT:
            return WeightShift(tuple(self._tensor(f"{mode}.{i}", 4) for i in range(count)))
        return LowRank(tuple(self._pair(f"{mode}.{i}") for i in range(count)))

    def _pair(self, name: str) -> tuple[Tensor, Tensor] | None:
        if not {f"{name}.p", f"{name}.q"} & self._left.keys():
            return None
        p, q = (self._tensor(f"{name}.{part}", 2) for part in "pq")
        if len(p) != len(q):
            refuse(f"the tensors {name}.p and {name}.q do not belong together")
        return p, q

    def _tensor(self, name: str, dimensions: int) -> Tensor:
        tensor = self._left.pop(name, None)
        if tensor is None:
            refuse(f"it lacks the tensor {name}")
        if tensor.ndim != dimensions or tensor.numel() == 0 or tensor.dtype not in _FLOATS:
            refuse(f"the tensor {name} is none of {dimensions} axes and floating point numbers")
        # NaN fails the comparison too.
        if not bool((tensor.abs() < MAX_MAGNITUDE).all()):
            refuse(f"the tensor {name} holds numbers that no model makes")
        return tensor

    def finish(self) -> None:
        """Refuse a file that holds more than was asked for."""
        if self._left:
            refuse(f"it holds a tensor that no project has ({min(self._left)[:40]!r})")
