"""The controls beside the picture: attributes and reference faces in two tabs, and what is common to both."""

from typing import Any

import gradio as gr

from app.markup import PLAIN, part, script
from app.wiring import Widgets
from core.engine import Engine
from core.references import AMOUNT_RANGE, MIXES
from core.session import SLIDER_RANGE, STRENGTH_RANGE

ORDERS = [("First order", "first"), ("Second order", "second"), ("Linear", "linear")]
STARTS = [("Inversion", "inversion"), ("Photo", "photo")]
OUTPUTS = [("Face only", "face"), ("Whole photo", "photo")]
REFINEMENTS = [("Off", "off"), ("Fast", "fast"), ("Best, a minute", "best")]

MIX_HINTS = {
    "coarse": "pose, face shape",
    "middle": "features, hair",
    "fine": "skin, light, detail",
    "colour": "tint alone",
}
# What the first face of a visit gives: so many attributes, those whose sliders come first; of a model that
# takes no attributes, the mix that changes the face and leaves its pose.
FIRST_TAKEN = 3
FIRST_MIX = "middle"


def controls(engine: Engine, faces: list[dict[str, str]]) -> tuple[Widgets, gr.HTML]:
    """All controls, and the gallery of reference faces; faces: the model's own (`References.gallery`).

    A model that can take nothing from a reference gets no tabs.
    """
    takeable = bool(engine.takeable)
    # First, as it is about who the picture shows; what the sliders make of them comes after.
    refine = _refine_toggle(engine)
    low, high = STRENGTH_RANGE
    strength = gr.Slider(
        low, high, high, step=0.05, label="Strength", elem_id="strength", elem_classes="v-amount", buttons=[]
    )
    if takeable:
        gr.HTML(
            "", html_template=part("tabs.html"), elem_id="tabs", apply_default_css=False,
            js_on_load=script("tabs.js"),
        )  # fmt: skip
    else:
        gr.HTML("", html_template='<h2 class="v-caption">Attributes</h2>', **PLAIN)
    with gr.Column(elem_id="tab-attributes"):
        sliders = _sliders(engine)
    with gr.Column(elem_id="tab-reference", visible=takeable):
        gallery = gr.HTML(
            html_template=part("faces.html"), js_on_load=script("faces.js"), elem_id="faces",
            apply_default_css=False, gallery=faces,
        )  # fmt: skip
        stack = gr.HTML(
            [], html_template=part("takes.html"), js_on_load=script("takes.js"), elem_id="takes",
            apply_default_css=False, range=AMOUNT_RANGE, **choices(engine),
        )  # fmt: skip
    order = _segments("order", "Directions", ORDERS)
    start = _segments("start", "Start from", STARTS)
    output = _segments("output", "Show", OUTPUTS)
    keep_detail = gr.Checkbox(True, label="Keep skin detail", elem_id="keep-detail", elem_classes="v-check")
    gr.HTML("", html_template=part("export.html"), elem_id="export", **PLAIN)
    return Widgets(sliders, stack, order, start, refine, strength, output, keep_detail), gallery


def choices(engine: Engine) -> dict[str, Any]:
    """What can be taken, for app/takes.js: attributes and mixes by name and label, and what comes first."""
    labels = {attribute.name: attribute.label for attribute in engine.config.attributes}
    attributes = [name for name in engine.takeable if name not in MIXES]
    mixes = [name for name in engine.takeable if name in MIXES]
    return {
        "attributes": [{"name": name, "label": labels[name]} for name in attributes],
        "mixes": [{"name": name, "label": name.capitalize(), "hint": MIX_HINTS[name]} for name in mixes],
        "first": attributes[:FIRST_TAKEN] or [name for name in mixes if name == FIRST_MIX] or mixes[:1],
    }


def _sliders(engine: Engine) -> list[gr.Slider]:
    low, high = SLIDER_RANGE
    return [
        gr.Slider(
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
        for attribute in engine.config.attributes
    ]


def _segments(name: str, label: str, choices: list[tuple[str, str]], **more: Any) -> gr.Radio:
    more.setdefault("value", choices[0][1])
    return gr.Radio(choices, label=label, elem_id=name, elem_classes="v-segments", **more)


def _refine_toggle(engine: Engine) -> gr.Radio:
    """Starts at fast, where the model has it; where it lacks one, it says so in its place."""
    missing = {mode: reason for mode, reason in engine.refinements.items() if reason}
    choices = [choice for choice in REFINEMENTS if choice[1] not in missing]
    info = " ".join(missing.values()) or None
    return _segments("refine", "Refine", choices, value="off" if "fast" in missing else "fast", info=info)
