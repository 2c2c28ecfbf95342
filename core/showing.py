"""From what the generator made of a portrait to the picture that a view shows."""

import numpy as np

from core.faces.parsing import Parsing, kinds_in, where
from core.paste import compositing, covering
from core.paste.blocks import as_coarse
from core.paste.grain import as_grainy
from core.paste.letting_go import Seen
from core.rendering.rendered import Rendered
from core.session import Portrait, View


def shown(portrait: Portrait, view: View, pictures: tuple[np.ndarray, ...], seen: Seen | None) -> np.ndarray:
    """The face (R, R, 3), or the whole photo (H, W, 3) with it in place; uint8, the caller's own.

    pictures: as `Rendered.levels` gives them. seen: what the photo and the edit show, where a face
    parser says so.
    """
    whole = view.output == "photo"
    if not pictures:
        return (portrait.photo if whole else portrait.crop).copy()
    if len(pictures) == 1:
        return pictures[0]
    base, edited = pictures
    if not whole:
        face = compositing.change_face(portrait.crop, base, edited, portrait.mask, view.keep_detail, seen)
        return as_grainy(portrait.crop, face, portrait.crop_grain)
    paste = compositing.paste_change if view.start == "photo" else compositing.paste_rendering
    photo, transform, crop, mask = portrait.photo, portrait.transform, portrait.crop, portrait.mask
    pasted = paste(photo, transform, crop, base, edited, mask, view.keep_detail, seen)
    return as_coarse(photo, as_grainy(photo, pasted, portrait.grain), portrait.blocks)


def seen_by(parsing: Parsing | None, portrait: Portrait, rendered: Rendered) -> Seen | None:
    """What a parser sees of an edit; None without one. On the device's thread."""
    scene = portrait.scene
    if parsing is None or scene is None:
        return None
    kinds = kinds_in(parsing.classes(rendered.edited) if rendered.classes is None else rendered.classes)
    if scene.covers is None:
        return Seen(scene, kinds, local=rendered.local)
    lip = None
    if scene.covers.doubtful:
        lip = int(where(parsing.classes(rendered.base), "upper lip").sum())
    pictures = portrait.crop, portrait.inversion
    held = covering.covered(scene.covers, scene.kinds, *pictures, kinds, lip)
    return Seen(scene, kinds, held, rendered.local)
