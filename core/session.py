"""What is remembered of a visitor (Portrait), what a visitor asks for (EditRequest), and for how long."""

import dataclasses
import functools
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

import numpy as np
from torch import Tensor

from core.config import SLIDER_RANGE
from core.errors import BadRequest, SessionExpired
from core.faces.alignment import CropTransform, Face, to_crop
from core.faces.identity import Identity
from core.generators.residual import Residual
from core.keys import PortraitKey
from core.paste import blocks, focus, grain, lighting, toning
from core.paste.blocks import Blocks
from core.paste.grain import Grain
from core.paste.lighting import Light
from core.paste.scene import Scene
from core.paste.toning import Tone
from core.references import Reference, Take, effective, number

STRENGTH_RANGE = (0.0, 1.0)
Order = Literal["first", "second", "linear"]
Start = Literal["photo", "inversion"]
Output = Literal["face", "photo"]
Refine = Literal["off", "fast", "best"]


@dataclass(frozen=True, eq=False)
class Portrait:
    """One opened face: all that an edit needs, so that a slider move never looks at the photo's face again.

    photo: (H, W, 3) uint8; faces: all that were found; face: the index of this one.
    crop, inversion: (R, R, 3) uint8, the aligned face and G(w_plus), in its light.
    rendered: (1, 3, R, R) float32, G(w_plus) before rounding, on the engine's device. R is the model's, or a
    smaller size of its (`Engine.preview`).
    mask: (R, R) float32 in [0, 1], where a face is put back into the photo.
    w_plus: (L, D); directions: for each order (A + F, L, D), the classifier's with norm 1 for every code,
    then the model's fixed ones as it has them.
    identity: who the crop looks like, computed when it is asked for.
    residuals: what "fast" and "best" found out about this face, those that were computed; bases: for each
    of them (1, 3, R, R) float32, G(w_plus) with it.
    scene: what the photo shows in and around the crop; None: the model has no face parser.

    Arrays are read-only; tensors, which cannot be, are never changed in place.
    """

    key: PortraitKey
    photo: np.ndarray
    faces: tuple[Face, ...]
    face: int
    transform: CropTransform
    crop: np.ndarray
    inversion: np.ndarray
    rendered: Tensor
    mask: np.ndarray
    w_plus: Tensor
    directions: Mapping[str, Tensor]
    identity: Identity
    residuals: Mapping[str, Residual] = field(default_factory=dict)
    bases: Mapping[str, Tensor] = field(default_factory=dict)
    scene: Scene | None = None

    def __post_init__(self) -> None:
        for name in ("directions", "residuals", "bases"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for array in (*self._arrays(), *(face.landmarks for face in self.faces)):
            array.setflags(write=False)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        own = self.photo, self.crop, self.inversion, self.mask
        return own if self.scene is None else (*own, *self.scene.arrays)

    @property
    def landmarks(self) -> np.ndarray:
        """(68, 2) float32 of this face, in pixels of the crop."""
        return to_crop(self.faces[self.face].landmarks, self.transform, len(self.crop))

    @functools.cached_property
    def light(self) -> Light | None:
        """What multiplies the model's pictures so that they are in the photo's light; None: nothing does.

        Found when it is first asked for: it follows from the rest, and every edit asks.
        """
        return lighting.light_on(self.crop, self.mask, self.rendered)

    @property
    def lit(self) -> np.ndarray:
        """(R, R, 3) uint8, the crop in a good light: codes and refinements are found of it."""
        return lighting.in_good_light(self.crop, self.light)

    @functools.cached_property
    def blur(self) -> float:
        """By how much the photo is out of focus, and edits of it are: sigma in pixels of the crop, or 0."""
        return focus.blur_of(self.crop, self.mask, self.transform.side)

    @functools.cached_property
    def tone(self) -> Tone | None:
        """The photo's, where it is of one alone."""
        return toning.tone_of(self.crop)

    @functools.cached_property
    def grain(self) -> Grain | None:
        """The photo's, where it has much."""
        return grain.grain_of(self.photo, self.faces[self.face].landmarks)

    @functools.cached_property
    def crop_grain(self) -> Grain | None:
        """The crop's, whose pixels are of another size."""
        return grain.grain_of(self.crop, self.landmarks)

    @functools.cached_property
    def blocks(self) -> Blocks | None:
        """What a JPEG of low quality made of the photo."""
        return blocks.blocks_of(self.photo, self.faces[self.face].landmarks)

    def elsewhere(
        self, key: PortraitKey, photo: np.ndarray, faces: tuple[Face, ...], transform: CropTransform
    ) -> "Portrait":
        """The same face in another photo of it: what was found of the crop holds there, and is not sought."""
        placed = dataclasses.replace(self, key=key, photo=photo, faces=faces, transform=transform)
        found = {"light": self.light, "blur": self.blur, "tone": self.tone, "crop_grain": self.crop_grain}
        vars(placed).update(found)  # as the properties themselves do
        return placed

    @property
    def reference(self) -> Reference:
        """This face for other portraits to take from."""
        return Reference(self.w_plus.cpu().numpy(), self.crop)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum({id(part): part.nbytes for part in self.parts}.values())

    @property
    def parts(self) -> "tuple[Sized, ...]":
        """All that it holds and that takes memory."""
        mappings: tuple[Mapping[str, Sized], ...] = (self.directions, self.residuals, self.bases)
        values = (value for mapping in mappings for value in mapping.values())
        return (*self._arrays(), self.rendered, self.w_plus, *values)

    def refined(self, residuals: Mapping[str, Residual], bases: Mapping[str, Tensor]) -> "Portrait":
        """The same portrait, knowing these refinements too."""
        return dataclasses.replace(
            self, residuals={**self.residuals, **residuals}, bases={**self.bases, **bases}
        )

    def shown(self, request: "EditRequest") -> "EditRequest":
        """The request as it can be rendered now: without fast, while that is still to be found."""
        found = request.refine != "fast" or "fast" in self.residuals
        return request if found else dataclasses.replace(request, refine="off")


def _check_words(**given: tuple[object, object]) -> None:
    for name, (value, kind) in given.items():
        words = get_args(kind)
        if value not in words:
            raise BadRequest(f"The {name} is {value!r}; it must be one of {', '.join(words)}.")


@dataclass(frozen=True)
class View:
    """How an edit is shown; the edit itself is the same in every view.

    start: whether the edit changes the photo's own pixels or the inversion. output: the face alone, or the
    whole photo. keep_detail: lay the photo's own fine detail on the edited face.

    Raises: BadRequest on another word.
    """

    start: Start = "inversion"
    output: Output = "face"
    keep_detail: bool = True

    def __post_init__(self) -> None:
        _check_words(start=(self.start, Start), output=(self.output, Output))
        object.__setattr__(self, "keep_detail", bool(self.keep_detail))


@dataclass(frozen=True)
class EditRequest:
    """An edit, in absolute terms, and how it is shown; equal requests give equal pictures.

    sliders: attribute -> number in [-3, 3]; a slider at zero is the same as none.
    order: which directions the sliders follow.
    refine: which of the portrait's refinements the generator works with; strength: how much of it, in
    [0, 1], 0 being the same as off.
    takes: what other faces give, one after the other; the sliders then act on top. One that takes nothing
    is the same as none.

    Raises: BadRequest on anything else.
    """

    sliders: Mapping[str, float] = field(default_factory=dict)
    order: Order = "first"
    refine: Refine = "off"
    strength: float = 1.0
    takes: tuple[Take, ...] = ()
    view: View = View()

    def __post_init__(self) -> None:
        _check_words(order=(self.order, Order), refine=(self.refine, Refine))
        moved = {name: number(f"slider {name}", value, SLIDER_RANGE) for name, value in self.sliders.items()}
        object.__setattr__(self, "strength", number("strength", self.strength, STRENGTH_RANGE))
        # Sorted, so that floating-point sums do not depend on the order in which sliders were moved.
        kept = {name: moved[name] for name in sorted(moved) if moved[name] != 0}
        object.__setattr__(self, "sliders", MappingProxyType(kept))
        object.__setattr__(self, "takes", effective(self.takes))

    def __hash__(self) -> int:
        words = (self.order, self.refine, self.strength)
        return hash((tuple(self.sliders.items()), self.takes, words, self.view))

    @property
    def refinement(self) -> str | None:
        """The refinement that the picture shows: none at strength 0."""
        return None if self.refine == "off" or self.strength == 0 else self.refine

    def seen(self, **view: Any) -> "EditRequest":
        """The same edit in a view that differs in these fields of `View`."""
        return dataclasses.replace(self, view=dataclasses.replace(self.view, **view))


class Sized(Protocol):
    """Anything that knows its own memory."""

    @property
    def nbytes(self) -> int: ...


Value = TypeVar("Value", bound=Sized)


class SessionStore(Generic[Value]):
    """Values by token, bounded in number, memory and age since last use; the least recently used goes first.

    Safe to use from several threads. A single value larger than `max_bytes` is still kept, alone:
    its visitor must be able to work.
    """

    def __init__(
        self,
        max_sessions: int,
        max_bytes: int,
        max_age_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_sessions = max_sessions
        self.max_bytes = max_bytes
        self.max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = threading.Lock()
        # Value, bytes, last use.
        self._entries: OrderedDict[Hashable, tuple[Value, int, float]] = OrderedDict()

    def put(self, token: Hashable, value: Value) -> None:
        """Remember `value`, replacing what `token` held."""
        with self._lock:
            self._entries.pop(token, None)
            self._entries[token] = (value, value.nbytes, self._clock())
            self._shrink()

    def get(self, token: Hashable) -> Value:
        """What `put` stored.

        Raises: SessionExpired if it was dropped, pushed out or is too old.
        """
        with self._lock:
            self._shrink()
            if token not in self._entries:
                raise SessionExpired("This portrait is no longer in memory; open the photo again.")
            value, size, _ = self._entries.pop(token)
            self._entries[token] = (value, size, self._clock())
            return value

    def peek(self, token: Hashable) -> Value | None:
        """The same, which counts as no use of it; None where it is not known."""
        with self._lock:
            return self._entries[token][0] if token in self._entries else None

    def idle(self, token: Hashable) -> float:
        """Seconds since its last use; endless where it is not known."""
        with self._lock:
            return self._clock() - self._entries[token][2] if token in self._entries else math.inf

    def replace(self, token: Hashable, before: Value, after: Value) -> bool:
        """Remember `after` where it still holds `before`, which counts as no use; whether it did."""
        with self._lock:
            known = self._entries.get(token)
            if known is None or known[0] is not before:
                return False
            self._entries[token] = (after, after.nbytes, known[2])
            self._shrink()
            return True

    def drop(self, token: Hashable) -> None:
        """Forget a token, known or not."""
        with self._lock:
            self._entries.pop(token, None)

    def tokens(self) -> tuple[Hashable, ...]:
        """All that are known, those used least recently first."""
        with self._lock:
            self._shrink()
            return tuple(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        with self._lock:
            self._shrink()
            return len(self._entries)

    def _shrink(self) -> None:
        # Entries lie in the order of their last use, so the oldest is always the first.
        oldest = self._clock() - self.max_age_seconds
        held = sum(size for _, size, _ in self._entries.values())
        while self._entries:
            token, (_, size, used) = next(iter(self._entries.items()))
            too_many = len(self._entries) > self.max_sessions
            too_large = held > self.max_bytes and len(self._entries) > 1
            if not (too_many or too_large or used < oldest):
                return
            del self._entries[token]
            held -= size
