"""From a portrait and a request to the model's two pictures of the edit, and what a parser sees there."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.editing.code_editor import CodeEditor
from core.errors import BadRequest, Cancelled
from core.faces.parsing import Parsing
from core.faces.regions import REGIONS, region_mask
from core.paste.letting_go import Seen
from core.refinement.fade import fade
from core.rendering.rendered import Rendered
from core.rendering.renderer import Renderer
from core.session import EditRequest, Portrait
from core.showing import seen_by

# What an edit does to the light is looked at that small, and carried so far, in its pixels; where no rim is
# near, hardly any.
RIM_SIDE, RIM_SIGMA = 64, 4
LITTLE = 1e-5


class Edits:
    """Renders edits of one bundle, in the thread of its device."""

    def __init__(self, renderer: Renderer, editor: CodeEditor, parsing: Parsing | None) -> None:
        """parsing: None: the model has no face parser."""
        self._renderer, self._editor, self._parsing = renderer, editor, parsing

    def pictures(
        self, portrait: Portrait, request: EditRequest, cancelled: Callable[[], bool] | None = None
    ) -> tuple[tuple[np.ndarray, ...], Seen | None]:
        """What a view needs of the generator and, where the edit is laid on the photo, of the parser.

        Raises: BadRequest and Cancelled, as `rendered`.
        """
        rendered = self.rendered(portrait, request, cancelled)
        _check(cancelled)
        pictures = rendered.levels(request.view, portrait.tone, portrait.light, portrait.blur)
        return pictures, seen_by(self._parsing, portrait, rendered) if len(pictures) == 2 else None

    def rendered(
        self, portrait: Portrait, request: EditRequest, cancelled: Callable[[], bool] | None = None
    ) -> Rendered:
        """G(w) and G(w'), with the request's refinement.

        What is taken in a region of its own is G(w') there alone; around it the picture is that of the edit
        without it, bit for bit. cancelled: is asked before either.
        Raises: BadRequest if the model cannot, or the refinement was not computed; Cancelled.
        """
        _check(cancelled)
        base = self._base(portrait, request)
        edited = self._edited(portrait, request, base)
        regions, rest = self._editor.placed(request)
        if edited is base or not regions or self._parsing is None or portrait.scene is None:
            return Rendered(base, edited)
        _check(cancelled)
        below = self._edited(portrait, rest, base)
        ours = portrait.scene.classes if below is base else self._parsing.classes(below)
        theirs = self._parsing.classes(edited)
        picture, mask = mixed(below, edited, regions, (ours, theirs))
        if not mask.any():
            return Rendered(base, below)
        return Rendered(
            base,
            picture,
            np.where(mask >= 0.5, theirs, ours),
            mask if below is base else None,
        )

    def _base(self, portrait: Portrait, request: EditRequest) -> Tensor:
        """G of the portrait's own code: (1, 3, R, R), R the portrait's size."""
        mode, strength = request.refinement, request.strength
        if mode is None:
            return portrait.rendered
        if mode not in portrait.residuals:
            raise BadRequest(f"The refinement {mode} of this face is not computed yet; refine it first.")
        if strength == 1:
            return portrait.bases[mode]
        own, residual = portrait.w_plus[None], portrait.residuals[mode]
        return self._renderer.render(own, residual, strength, size=_size(portrait))

    def _edited(self, portrait: Portrait, request: EditRequest, base: Tensor) -> Tensor:
        """G of the edited code, the same; where the edit moves nothing, the base itself."""
        w = self._editor.edited_code(portrait.w_plus, portrait.directions, request)
        if w is None:
            return base
        mode, size = request.refinement, _size(portrait)
        if mode is None:
            return self._renderer.render(w[:1], w_rgb=w[1:], size=size)
        # The residual was made for the unedited face: an open mouth it would close again.
        pictures = self._renderer.both(w[:1], portrait.residuals[mode], request.strength, w[1:], size)
        return fade(*pictures, portrait.rendered)


def _size(portrait: Portrait) -> int:
    """The model's own, or a smaller one of its `preview`."""
    return portrait.rendered.shape[-1]


def _check(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("Nobody waits for this picture any more.")


def mixed(
    below: Tensor, edited: Tensor, regions: tuple[str, ...], pictures: tuple[np.ndarray, np.ndarray]
) -> tuple[Tensor, np.ndarray]:
    """`edited` in the regions, around them `below`, bit for bit, (B, 3, R, R); and the mask (SIDE, SIDE).

    A feature comes without what the edit did to the light or the skin all around it, or there would be a
    patch. pictures: what a parser saw in `below` and `edited`, (SIDE, SIDE) uint8.
    """
    mask = region_mask(regions, pictures)
    change = edited - below
    step = at_size(mask, below) * change
    features = tuple(name for name in regions if REGIONS[name].feature)
    if features:
        shape = region_mask(features, pictures)
        step -= at_size(shape, below) * _rim(change, shape)
    return below + step, mask


def at_size(field: np.ndarray, like: Tensor) -> Tensor:
    """A field (S, S) at the side of the pictures (B, 3, R, R), where they are: (R, R)."""
    size = like.shape[-1]
    how = cv2.INTER_AREA if size < len(field) else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(field, (size, size), interpolation=how)).to(like.device)


def _rim(change: Tensor, shape: np.ndarray) -> Tensor:
    """Of a change (B, 3, R, R) what it is along the rim of a shape (S, S), carried inwards smoothly."""
    small = F.interpolate(change, size=(RIM_SIDE, RIM_SIDE), mode="area")
    weight = at_size(shape, small)
    weight = (weight * (1 - weight)).expand(len(small), 1, -1, -1)
    around = _blurred(torch.cat([small * weight, weight], 1))
    found = around[:, :3] / (around[:, 3:] + LITTLE)
    return F.interpolate(found, size=change.shape[-2:], mode="bilinear", align_corners=False)


def _blurred(fields: Tensor) -> Tensor:
    """(B, C, S, S), by a Gaussian of RIM_SIGMA."""
    reach = torch.arange(-3 * RIM_SIGMA, 3 * RIM_SIGMA + 1, device=fields.device)
    kernel = torch.exp(-0.5 * (reach / RIM_SIGMA) ** 2).expand(fields.shape[1], 1, 1, -1)
    along = F.conv2d(fields, kernel, padding=(0, 3 * RIM_SIGMA), groups=fields.shape[1])
    return F.conv2d(along, kernel.mT, padding=(3 * RIM_SIGMA, 0), groups=fields.shape[1])
