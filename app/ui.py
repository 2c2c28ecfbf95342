"""The page's layout, and how it is served. Gestures: app/wiring.py; what they do: app/handlers.py."""

import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import messages
from app.handlers import Handlers, find_examples
from app.wiring import Widgets, Wiring
from core.engine import Engine
from core.images import open_image
from core.session import SLIDER_RANGE, STRENGTH_RANGE

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "assets" / "examples"
MAX_UPLOAD = "15mb"

ORDERS = [("First order", "first"), ("Second order", "second"), ("Linear", "linear")]
STARTS = [("Inversion", "inversion"), ("Photo", "photo")]
OUTPUTS = [("Face only", "face"), ("Whole photo", "photo")]
REFINEMENTS = [("Off", "off"), ("Fast", "fast"), ("Best, a minute", "best")]

# gr.HTML as bare markup: none of Gradio's text styles, no click event.
_PLAIN: dict[str, Any] = {"apply_default_css": False, "js_on_load": None}


def build(engine: Engine) -> gr.Blocks:
    """The whole page for one engine; state of all its visitors lives in its handlers."""
    handlers = Handlers(engine, find_examples(EXAMPLES))
    with gr.Blocks(
        title="Visagist", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True
    ) as page:
        gr.HTML(_model_line(engine), html_template=_part("header.html"), elem_id="header", **_PLAIN)
        # Out of sight: buttons, drops, pastes and the webcam all hand their file to this one input.
        with gr.Column(elem_id="upload"):
            upload = gr.UploadButton("Open photo", file_types=["image"])
        with gr.Row(elem_id="workspace"):
            stage = gr.HTML(
                html_template=_part("stage.html"),
                js_on_load=(HERE / "stage.js").read_text(encoding="utf-8"),
                server_functions=[_export(handlers)],
                examples=[messages.thumbnail(open_image(path)) for path in handlers.examples],
                elem_id="stage",
                apply_default_css=False,
            )
            with gr.Column(elem_id="panel"):
                widgets = _panel(engine)
            gr.HTML("", html_template=_part("shelf.html"), elem_id="shelf", **_PLAIN)
        Wiring(handlers).connect(page, stage, upload, widgets)
    page.queue(max_size=32, default_concurrency_limit=1)
    return page


def serve(
    engine: Engine,
    host: str = "127.0.0.1",
    port: int | None = 7860,
    share: bool = False,
    auth: tuple[str, str] | list[tuple[str, str]] | None = None,
    block: bool = True,
) -> gr.Blocks:
    """Serve the page until interrupted; with block=False return at once (close it by `.close()`)."""
    # Gradio may serve files from its temporary folder and from the working directory: a private, fresh
    # folder is both. Nobody else on this machine can read it, and it goes when the process ends.
    private = tempfile.TemporaryDirectory(prefix="visagist-", ignore_cleanup_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = private.name
    if block:
        os.chdir(private.name)
    page = build(engine)
    weakref.finalize(page, private.cleanup)
    page.launch(
        server_name=host,
        server_port=port,
        share=share,
        auth=auth,
        prevent_thread_lock=not block,
        **LAUNCH,
        theme=_theme(),
        css_paths=HERE / "style.css",
        head=_head(),
    )
    return page


LAUNCH: dict[str, Any] = {
    "max_file_size": MAX_UPLOAD,
    "allowed_paths": [],
    "strict_cors": True,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "footer_links": [],
    "quiet": False,
}


def _head() -> str:
    script = (HERE / "script.js").read_text(encoding="utf-8")
    return f'<meta name="color-scheme" content="dark light"><script>{script}</script>'


def _theme() -> gr.themes.Base:
    # System fonts: no request leaves the visitor's browser for anybody else's server.
    return gr.themes.Base(
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )


def _export(handlers: Handlers) -> Callable[[object], messages.Message]:
    # Gradio marks server functions by an attribute, which a bound method cannot carry.
    def export(payload: object) -> messages.Message:
        return handlers.export(payload)

    return export


def _part(name: str) -> str:
    return (HERE / "parts" / name).read_text(encoding="utf-8")


def _model_line(engine: Engine) -> dict[str, str]:
    return {"model": engine.config.title, "device": "GPU" if str(engine.device).startswith("cuda") else "CPU"}


def _panel(engine: Engine) -> Widgets:
    # First, as it is about who the picture shows; what the sliders make of them comes after.
    refine = _refine_toggle(engine)
    low, high = STRENGTH_RANGE
    strength = gr.Slider(
        low, high, high, step=0.05, label="Strength", elem_id="strength", elem_classes="v-amount", buttons=[]
    )
    low, high = SLIDER_RANGE
    gr.HTML("", html_template='<h2 class="v-caption">Attributes</h2>', **_PLAIN)
    sliders = [
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
    order = _segments("order", "Directions", ORDERS)
    start = _segments("start", "Start from", STARTS)
    output = _segments("output", "Show", OUTPUTS)
    keep_detail = gr.Checkbox(True, label="Keep skin detail", elem_id="keep-detail", elem_classes="v-check")
    gr.HTML("", html_template=_part("export.html"), elem_id="export", **_PLAIN)
    return Widgets(sliders, order, start, refine, strength, output, keep_detail)


def _segments(name: str, label: str, choices: list[tuple[str, str]], **more: Any) -> gr.Radio:
    more.setdefault("value", choices[0][1])
    return gr.Radio(choices, label=label, elem_id=name, elem_classes="v-segments", **more)


def _refine_toggle(engine: Engine) -> gr.Radio:
    """Starts at fast, where the model has it; where it lacks one, it says so in its place."""
    missing = {mode: reason for mode, reason in engine.refinements.items() if reason}
    choices = [choice for choice in REFINEMENTS if choice[1] not in missing]
    info = " ".join(missing.values()) or None
    return _segments("refine", "Refine", choices, value="off" if "fast" in missing else "fast", info=info)
