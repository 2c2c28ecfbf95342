"""Controls beside the picture: attributes, references and explored directions in tabs, and what all share."""

import itertools
from typing import Any

import gradio as gr

from app.markup import PLAIN, part, script
from app.wiring import Widgets
from core.config import SLIDER_RANGE, AttributeConfig, BundleConfig
from core.editing.explore import explorations
from core.engine import Engine
from core.generators.family import CodeLayout
from core.references import AMOUNT_RANGE, MIXES
from core.session import STRENGTH_RANGE

ORDERS = [("First order", "first"), ("Second order", "second"), ("Linear", "linear")]
STARTS = [("The model", "inversion"), ("The photo", "photo")]
OUTPUTS = [("Face only", "face"), ("Whole photo", "photo")]
QUICK_SIDE = 256  # pixels; up to there "best" takes about a minute behind an encoder as well

MIX_HINTS = {
    "coarse": "pose, face shape",
    "middle": "features, hair",
    "fine": "skin, light, detail",
    "colour": "tint alone",
}
# What people come for, at one click; the first of them is what the first face of a visit gives, later ones
# give what was chosen last. Of a model that has none of these sets it is so many attributes, and of one that
# takes no attributes, the mix that changes the face and leaves its pose. Nobody's gender is taken unasked.
SETS = {
    "Hair": ("hair_style", "hair_colour"),
    "Expression": ("smile", "mouth", "brows"),
    "Colour": ("hair_colour", "skin", "light"),
}
FIRST_TAKEN = 3
FIRST_MIX = "middle"
UNASKED = ("gender", "female", "male")


def controls(engine: Engine, faces: list[dict[str, str]]) -> tuple[Widgets, gr.HTML]:
    """All controls, and the gallery of reference faces; faces: the model's own (`References.gallery`).

    What the model cannot do has no control on the page.
    """
    takeable = bool(engine.takeable)
    gr.HTML(
        "", html_template=part("tabs.html"), js_on_load=script("mounting.js") + script("tabs.js"),
        elem_id="tabs", apply_default_css=False,
        first="attributes" if engine.config.attributes else "explore",
        tabs=["attributes", "looks", *["reference"] * takeable, "explore", "history"],
    )  # fmt: skip
    with gr.Column(elem_id="tab-attributes"):
        sliders = _sliders(engine)
        gr.HTML("", html_template=part("kept.html"), elem_id="kept", **PLAIN)
    with gr.Column(elem_id="tab-looks"):
        gr.HTML("", html_template=part("looks.html"), elem_id="looks", **PLAIN)
    with gr.Column(elem_id="tab-reference", visible=takeable):
        gallery = gr.HTML(
            html_template=part("faces.html"), js_on_load=script("faces.js"), elem_id="faces",
            apply_default_css=False, gallery=faces,
        )  # fmt: skip
        stack = gr.HTML(
            [], html_template=part("takes.html"), js_on_load=script("takes.js"), elem_id="takes",
            apply_default_css=False, range=AMOUNT_RANGE, **choices(engine),
        )  # fmt: skip
    with gr.Column(elem_id="tab-explore"):
        explored = gr.HTML(
            {}, html_template=part("explore.html"), js_on_load=script("explore.js"), elem_id="explore",
            apply_default_css=False, range=SLIDER_RANGE, named=bool(engine.config.attributes),
            model=generator_key(engine.config), groups=explore_groups(engine.generator.layout),
        )  # fmt: skip
    with gr.Column(elem_id="tab-history"):
        gr.HTML("", html_template=part("past.html"), elem_id="past", **PLAIN)
    # It comes by itself, so what visitors came for is above it.
    refine, strength = _refinement(engine)
    # Whoever opens a photo wants it back, with the edit in it; a face that the model made up is its own.
    photos = engine.opens_photos
    start, output = (
        _segments(name, label, choices, visible=photos, value="photo" if photos else choices[0][1])
        for name, label, choices in (("start", "Start from", STARTS), ("output", "Show", OUTPUTS))
    )
    keep_detail = gr.Checkbox(
        True, label="Keep skin detail", elem_id="keep-detail", elem_classes="v-check", visible=photos
    )
    order = _segments("order", "Advanced: directions", ORDERS, visible=bool(engine.orders))
    widgets = Widgets(sliders, stack, explored, order, start, refine, strength, output, keep_detail)
    return widgets, gallery


def best_takes(engine: Engine) -> str:
    """How long the refinement "best" takes, in words."""
    quick = engine.improves or engine.config.generator.resolution <= QUICK_SIDE
    return "a minute or more" if quick else "many minutes"


def explore_groups(layout: CodeLayout) -> list[dict[str, Any]]:
    """The unnamed sliders for app/explore.js: those that share a hint together."""
    groups = []
    for hint, members in itertools.groupby(explorations(layout), lambda one: one.hint):
        sliders = [{"name": one.name, "label": one.label} for one in members]
        title = sliders[0]["name"].split("-")[1].capitalize()
        groups.append({"title": title, "hint": hint, "sliders": sliders})
    return groups


def generator_key(config: BundleConfig) -> str:
    """Under which a browser keeps the names that a visitor gave: they stay as long as the generator does."""
    sources = [source.sha256[:16] for source in config.sources if "generator" in source.parts]
    return "-".join([config.name, *(sources or [config.version])])


def choices(engine: Engine) -> dict[str, Any]:
    """What can be taken, for app/takes.js: attributes and mixes by name and label, sets of attributes, and
    what comes first."""
    labels = {attribute.name: attribute.label for attribute in engine.config.attributes}
    if (editor := engine.config.reference_editor) is not None and editor.labels:
        labels |= dict(zip(editor.attributes, editor.labels, strict=True))
    attributes = [name for name in engine.takeable if name not in MIXES]
    mixes = [name for name in engine.takeable if name in MIXES]
    sets = {label: [*what] for label, what in SETS.items() if {*what} <= {*attributes}}
    some = [name for name in attributes if name not in UNASKED][:FIRST_TAKEN]
    first = next(iter(sets.values()), some) or [name for name in mixes if name == FIRST_MIX] or mixes[:1]
    return {
        "attributes": [{"name": name, "label": labels[name]} for name in attributes],
        "mixes": [{"name": name, "label": name.capitalize(), "hint": MIX_HINTS[name]} for name in mixes],
        "sets": [{"label": label, "what": sorted(what)} for label, what in sets.items()],
        "first": first,
    }


def _sliders(engine: Engine) -> list[gr.Slider]:
    """In the model's order; where it names groups, one is shown at a time (app/groups.js)."""
    groups: dict[str, list[AttributeConfig]] = {}
    for attribute in engine.config.attributes:
        groups.setdefault(attribute.group, []).append(attribute)
    if len(groups) < 2:
        return [_slider(attribute) for attribute in engine.config.attributes]
    gr.HTML(
        "", html_template=part("groups.html"), elem_id="groups",
        js_on_load="".join(script(name) for name in ("mounting.js", "kept.js", "favourites.js", "groups.js")),
        apply_default_css=False, groups=[group or "Other" for group in groups],
        sliders=[{"name": a.name, "words": _words(a)} for a in engine.config.attributes],
    )  # fmt: skip
    made: dict[str, gr.Slider] = {}
    for number, members in enumerate(groups.values()):
        with gr.Column(elem_id=f"group-{number}", elem_classes="v-group"):
            made |= {attribute.name: _slider(attribute) for attribute in members}
    return [made[attribute.name] for attribute in engine.config.attributes]


def _words(attribute: AttributeConfig) -> str:
    """What a slider is found by, in lower case, a space between words."""
    texts = (attribute.label, attribute.low, attribute.high, attribute.group)
    return " ".join(" ".join(texts).replace(",", " ").lower().split())


def _slider(attribute: AttributeConfig) -> gr.Slider:
    low, high = SLIDER_RANGE
    return gr.Slider(
        low,
        high,
        0,
        step=0.05,
        label=attribute.label,
        info=f"{attribute.low} to {attribute.high}" if attribute.low and attribute.high else None,
        elem_classes="v-slider",
        elem_id=f"slider-{attribute.name}",
        buttons=[],
    )


def _segments(name: str, label: str, choices: list[tuple[str, str]], **more: Any) -> gr.Radio:
    more.setdefault("value", choices[0][1])
    return gr.Radio(choices, label=label, elem_id=name, elem_classes="v-segments", **more)


def _refinement(engine: Engine) -> tuple[gr.Radio, gr.Slider]:
    """The toggle, at fast where the model has it, and the strength.

    Where one way is missing, the toggle says so in its place; where both are, there is neither.
    """
    missing = {mode: reason for mode, reason in engine.refinements.items() if reason}
    ways = [("Off", "off"), ("Fast", "fast"), ("Best", "best")]
    choices = [choice for choice in ways if choice[1] not in missing]
    possible = len(choices) > 1
    value = "off" if "fast" in missing else "fast"
    info = " ".join(missing.values()) or None
    low, high = STRENGTH_RANGE
    return (
        _segments("refine", "Refine", choices, value=value, info=info, visible=possible),
        gr.Slider(
            low, high, high, step=0.05, label="Strength", elem_id="strength", elem_classes="v-amount",
            buttons=[], visible=possible,
        ),
    )  # fmt: skip
