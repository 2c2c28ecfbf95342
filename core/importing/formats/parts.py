"""What one published file gives a bundle, and the strict table its tensors are taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.config import GeneratorConfig
from core.errors import BadCheckpoint
from core.network_config import ClassifierConfig, GradualEncoderConfig, InverterConfig

# Of a long list of keys the first few say what is wrong.
LISTED = 5

State = dict[str, Tensor]


@dataclass(frozen=True)
class Direction:
    """A fixed direction as a slider.

    step: (L, D), or (1, D) for every code alike, float32, its longest code of norm 1; unit: its length at
    slider value 1, in W+, or None where the file does not say: then one standard deviation of the generator's
    own samples along it.
    """

    name: str
    label: str
    step: Tensor
    unit: float | None = None
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Parts:
    """What a converter makes of one file: configs, and state dicts for the modules that they describe.

    format: in words, for `model.json` and for people; licence: one line; generator's state dict is complete
    (`w_mean` and the code statistics too); mean_code: (L, D), what the inverter's offsets are added to, where
    the file says so.
    """

    format: str
    licence: str
    generator: tuple[GeneratorConfig, State] | None = None
    inverter: tuple[InverterConfig | GradualEncoderConfig, State] | None = None
    mean_code: Tensor | None = None
    classifier: tuple[ClassifierConfig, State] | None = None
    directions: tuple[Direction, ...] = field(default_factory=tuple)


class TensorTable:
    """The tensors of one file by name; each is taken once, and nothing may be left over.

    Missing names are collected, so that `finish` can list all of them.
    """

    def __init__(self, tensors: Mapping[str, Any], what: str) -> None:
        """tensors: whatever the file holds under these names; what: of the file, to begin a sentence."""
        self._left = dict(tensors)
        self._what = what
        self._missing: list[str] = []
        self._wrong: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, *shape: int | None) -> Tensor:
        """The tensor in float32; zeros in its place if it is missing or of another shape.

        shape: of each axis, None for any.
        """
        tensor = self._left.pop(name, None)
        if tensor is None:
            self._missing.append(name)
            return torch.zeros([n or 1 for n in shape])
        fits = isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.ndim == len(shape)
        if not fits or any(n not in (None, m) for n, m in zip(shape, tensor.shape, strict=True)):
            found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            self._wrong.append(f"{name} {found} in place of {shape}".replace("None", "any"))
            return torch.zeros([n or 1 for n in shape])
        return tensor.detach().float().contiguous()

    def drop(self, prefix: str) -> None:
        """Leave out what begins so: known, and of no use here."""
        self._left = {name: value for name, value in self._left.items() if not name.startswith(prefix)}

    def finish(self) -> None:
        """Raises: BadCheckpoint if a name was missing, ill-shaped, or is left over."""
        problems = [
            f"{text} {_listed(names)}"
            for text, names in (
                ("it lacks", self._missing),
                ("of another shape are", self._wrong),
                ("it holds besides", sorted(self._left)),
            )
            if names
        ]
        if problems:
            raise BadCheckpoint(f"{self._what} is not as its format says: {'; '.join(problems)}.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"{name:.80}" for name in names[:LISTED]) + more


def check_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raises: ValueError if the state dict is not exactly this module's; of a converter, a mistake in it."""
    expected = {name: t.shape for name, t in module.state_dict().items()}
    given = {name: t.shape for name, t in state.items()}
    if expected != given:
        differing = sorted(k for k in expected.keys() | given.keys() if expected.get(k) != given.get(k))
        raise ValueError(f"The converted state differs from the module's: {_listed(differing)}")
