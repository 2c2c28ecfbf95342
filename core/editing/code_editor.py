"""What an edit makes of a face's code: what references give, then what the sliders add."""

import copy
import dataclasses
from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.editing.explore import explorations, explore_steps
from core.editing.label import directions, unit_codes
from core.editing.mixing import available_mixes
from core.editing.taking import take_all
from core.errors import BadRequest
from core.references import Take
from core.session import EditRequest


class CodeEditor:
    """The sliders and reference editors of one bundle, on its device."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        axes, self._layout = bundle.config.axes, bundle.generator.layout
        self._generator, self._device = bundle.generator, device
        known = bundle.classifier
        self._classifier = None if known is None else copy.deepcopy(known).to(device).double()
        self._fixed = bundle.directions.to(device)
        # The same for every face, so that portraits share it.
        self._straight = torch.cat([unit_codes(bundle.linear_directions.to(device)), self._fixed])
        self._sliders = {a.name: (axes.index(a.name), a.unit) for a in bundle.config.attributes}
        self._editors = {name: editor.to(device) for name, editor in bundle.reference_editors.items()}
        self._shape = tuple(bundle.generator.w_mean.shape)
        # What can be taken from a reference: attributes, in the model's own order or as the sliders are
        # ordered, then mixes.
        described = bundle.config.reference_editor
        regions = zip(described.attributes, described.regions, strict=False) if described else ()
        self._regions = {name: region for name, region in regions if region}
        order = described.attributes if described and described.labels else self._sliders
        attributes = (name for name in order if name in self._editors)
        self.takeable = (*attributes, *available_mixes(self._layout))
        # Sliders that every generator has, unnamed.
        self.explorable = tuple(explored.name for explored in explorations(self._layout))

    def directions(self, w_plus: Tensor) -> dict[str, Tensor]:
        """Of the face with this code (L, D), for each order (A + F, L, D).

        The classifier's A at this face come first, then the fixed ones.
        """
        found = {"linear": self._straight}
        for order in ("first", "second"):
            own = None if self._classifier is None else directions(self._classifier, w_plus, order)
            found[order] = self._straight if own is None else torch.cat([own, self._fixed])
        return found

    def check(self, request: EditRequest) -> None:
        """Raises: BadRequest if the model has no such slider, or cannot take that from that reference."""
        known = (*self._sliders, *self.explorable)
        unknown = [name for name in request.sliders if name not in known]
        if unknown:
            raise BadRequest(f"This model has no slider {unknown[0]:.40}; it has {', '.join(known)}.")
        for take in request.takes:
            unknown = [name for name in take.what if name not in self.takeable]
            if unknown:
                raise BadRequest(
                    f"This model cannot take {unknown[0]:.40} from a reference; "
                    f"it can take {', '.join(self.takeable)}."
                )
            if take.reference.w_plus.shape != self._shape:
                raise BadRequest("That reference face was made with another model; open its photo again.")

    def placed(self, request: EditRequest) -> tuple[tuple[str, ...], EditRequest]:
        """Regions in which takes of the request may change a picture, and the request without those takes."""
        own = {self._regions[name] for take in request.takes for name in take.what if name in self._regions}
        takes = (
            dataclasses.replace(take, what=tuple(name for name in take.what if name not in self._regions))
            for take in request.takes
        )
        return tuple(sorted(own)), dataclasses.replace(request, takes=tuple(takes))

    @torch.inference_mode()
    def edited_code(
        self, w_plus: Tensor, directions: Mapping[str, Tensor], request: EditRequest
    ) -> Tensor | None:
        """w after the references, plus value * unit * direction of every slider; None if nothing moves.

        w_plus: (L, D); directions: its own, whatever the references make of it.
        Returns (2, L, D): the convolutions' codes, and toRGB's (`core.editing.mixing`).
        Raises: BadRequest, as `Engine.edit`.
        """
        self.check(request)
        w = self._taken(w_plus, request.takes)
        if not request.sliders:
            return w
        step, axes = torch.zeros_like(w_plus), directions[request.order]
        for name, value in request.sliders.items():
            if name in self._sliders:
                index, unit = self._sliders[name]
                step = step + value * unit * axes[index]
            else:
                step = step + value * self._explored[name]
        return (w_plus.expand(2, -1, -1) if w is None else w) + step

    @cached_property
    def _explored(self) -> Mapping[str, Tensor]:
        """(L, D) by name; at the first edit that needs one, as it takes a second or two."""
        steps = explore_steps(self._generator).to(self._device)
        return dict(zip(self.explorable, steps, strict=True))

    def _taken(self, w: Tensor, takes: tuple[Take, ...]) -> Tensor | None:
        """w (L, D) after what the references give, (2, L, D); None where that leaves it as it is."""
        moved = take_all(w, takes, self._editors, self._layout)
        return None if torch.equal(moved, w.expand(2, -1, -1)) else moved
