"""Do sliders still work on a refined face, and is it still the person: with the fade and without."""

from collections.abc import Mapping, Sequence

import torch
from tqdm import tqdm

from core.checkpoints import Bundle
from core.faces.judge import IdentityJudge
from core.images import to_array
from core.rendering.renderer import Renderer
from training.judging.edits import BY_LANDMARKS, VALUE, Figures, Judges, points_after, slider_figures
from training.judging.faces import Order, edit, face_axes
from training.judging.refined_faces import Refined, edited, render_each

Rows = dict[str, dict[str, Figures]]


def evaluate_refined_edits(
    bundle: Bundle,
    settings: Mapping[str, Refined],
    renderer: Renderer,
    judges: Judges,
    network: IdentityJudge,
    sliders: Sequence[str],
    order: Order,
    device: torch.device,
) -> Rows:
    """{variant: {slider: figures}} for sliders at +VALUE and -VALUE under each of the settings.

    settings: the same faces under each, "off" among them; variants: see `judging.refined_faces.edited`.
    To `slider_figures`, from the setting's own unedited picture, comes `identity`: IdentityJudge's cosine of
    the edit to the photo, mean over both edits.
    """
    opened = settings["off"].opened
    axes = face_axes(bundle, opened.codes, order, device)
    photos = network.embeddings(opened.crops, opened.landmarks)
    reference = render_each(renderer, opened.codes, [None] * len(opened))
    before = {name: judges(s.opened.inversions, opened, sliders) for name, s in settings.items()}
    rows: Rows = {}
    for slider in tqdm(sliders, desc="Refined edits", disable=None):
        found: dict[str, list] = {}
        kept: dict[str, float] = {}
        for value in (VALUE, -VALUE):
            codes = edit(bundle, opened.codes, axes, slider, value)
            for variant, tensor in edited(renderer, settings, codes, reference).items():
                pictures = to_array(tensor)
                found.setdefault(variant, []).append(judges(pictures, opened, [slider])[slider])
                people = network.embeddings(pictures, points_after(slider, pictures, opened.landmarks))
                kept[variant] = kept.get(variant, 0.0) + float((people * photos).sum(1).mean()) / 2
        for variant, scores in found.items():
            start = before[variant.removesuffix(", not faded")][slider]
            rows.setdefault(variant, {})[slider] = {
                "judge": "landmarks" if slider in BY_LANDMARKS else "network",
                **slider_figures(start, *scores),
                "identity": kept[variant],
            }
    return rows


def compared(rows: Mapping[str, Mapping[str, Figures]]) -> dict[str, dict[str, float]]:
    """{variant: means over the sliders}, and what the issue of refinement asks of them.

    points: the largest loss of any slider's share against "off", in points of a hundred, mean_points: the
    mean's; gained: in how many sliders identity is higher than "off".
    """
    off, found = rows["off"], {}
    for variant, sliders in rows.items():
        count = len(sliders)
        means = {k: sum(float(r[k]) for r in sliders.values()) / count for k in ("share", "move", "identity")}
        losses = [100 * (float(off[s]["share"]) - float(r["share"])) for s, r in sliders.items()]
        gained = sum(float(r["identity"]) > float(off[s]["identity"]) for s, r in sliders.items())
        found[variant] = {
            **means,
            "points": max(losses),
            "mean_points": sum(losses) / count,
            "gained": gained,
            "sliders": count,
        }
    return found
