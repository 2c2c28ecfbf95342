"""The page's layout, and how it is served.

Controls: app/panel.py; gestures: app/wiring.py; what they do: app/handlers.py.
"""

import dataclasses
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import messages
from app.clips import Clips
from app.demos import find_demos
from app.handlers import Handlers
from app.markup import PLAIN, part, script
from app.panel import best_takes, controls
from app.resting import MAX_VISITORS
from app.sockets import Sockets
from app.starts import find_starts, picture
from app.wiring import Page, Wiring
from core.engine import Engine
from core.looks import looks_of
from core.pictures.limits import LIMITS, Limits
from core.projects.archive import MAX_FILE_BYTES

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "assets" / "examples"
# Not every system knows that the last are pictures.
PHOTOS = ["image", ".heic", ".heif", ".avif", ".mpo"]
STAGE_PARTS = (
    "mounting", "hints", "kept", "rows", "demos", "looks", "past", "meter", "camera", "exporting", "clips",
    "notices", "opening", "turning", "cropframe", "cropping", "store", "zip", "keeping", "offering",
    "sliders", "zoom", "several", "closer", "frames", "following", "stage",
)  # fmt: skip
STYLES = (
    "style.css", "several.css", "keeping.css", "reference.css", "explore.css", "looks.css", "demos.css",
    "cropping.css",
)  # fmt: skip


def build(engine: Engine, limits: Limits = LIMITS) -> gr.Blocks:
    """The whole page for one engine; state of all its visitors lives in its handlers.

    limits: how large a photo visitors may bring.
    """
    return _laid_out(engine, Handlers(engine, find_starts(engine, EXAMPLES), limits=limits))


def _laid_out(engine: Engine, handlers: Handlers) -> gr.Blocks:
    with gr.Blocks(
        title="Visagist", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True
    ) as page:
        gr.HTML(_model_line(engine), html_template=part("header.html"), elem_id="header", **PLAIN)
        # Out of sight: buttons, drops, pastes and the webcam all hand their file to one of these inputs.
        with gr.Column(elem_id="upload"):
            photo = gr.UploadButton("Open photo or project", file_types=[*PHOTOS, ".visagist"])
        with gr.Column(elem_id="upload-reference", visible=engine.opens_photos):
            reference = gr.UploadButton("Add a reference photo", file_types=PHOTOS)
        with gr.Row(elem_id="workspace"):
            stage = gr.HTML(
                html_template=part("stage.html") + part("export.html"),
                js_on_load="".join(script(f"{name}.js") for name in STAGE_PARTS),
                server_functions=[
                    _export(handlers),
                    _keep(handlers),
                    _likeness(handlers),
                    *_clips(handlers),
                    *_looks(handlers),
                ],
                examples=[messages.thumbnail(picture(start)) for start in handlers.examples],
                demos=find_demos(EXAMPLES / "moving", handlers.examples, engine.config),
                photos=engine.opens_photos,
                looks=[dataclasses.asdict(look) for look in looks_of(engine.config)],
                lacks=_lacks(engine),
                moves=[{"name": one.name, "label": one.label} for one in engine.config.attributes],
                elem_id="stage",
                apply_default_css=False,
            )
            with gr.Column(elem_id="panel"):
                widgets, gallery = controls(engine, handlers.references.gallery())
            gr.HTML("", html_template=part("shelf.html"), elem_id="shelf", **PLAIN)
        Wiring(handlers).connect(page, Page(stage, gallery, photo, reference), widgets)
    page.queue(max_size=32, default_concurrency_limit=1)
    return page


def serve(
    engine: Engine,
    host: str = "127.0.0.1",
    port: int | None = 7860,
    share: bool = False,
    auth: tuple[str, str] | list[tuple[str, str]] | None = None,
    block: bool = True,
    limits: Limits = LIMITS,
) -> gr.Blocks:
    """Serve the page until interrupted; with block=False return at once (close it by `.close()`).

    limits: how large a photo visitors may bring.
    """
    # Gradio may serve files from its temporary folder and from the working directory: a private, fresh
    # folder is both. Nobody else on this machine can read it, and it goes when the process ends.
    private = tempfile.TemporaryDirectory(prefix="visagist-", ignore_cleanup_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = private.name
    if block:
        os.chdir(private.name)
    handlers = Handlers(engine, find_starts(engine, EXAMPLES), limits=limits)
    page = _laid_out(engine, handlers)
    weakref.finalize(page, private.cleanup)
    page.launch(
        server_name=host,
        server_port=port,
        share=share,
        auth=auth,
        prevent_thread_lock=not block,
        app_kwargs={"routes": [Sockets(handlers.following).route]},
        **LAUNCH,
        theme=_theme(),
        css_paths=[HERE / name for name in STYLES],
        head=_head(),
    )
    return page


LAUNCH: dict[str, Any] = {
    # A portrait that improves holds a worker thread until it does no more, and so do each that is opened and
    # each small picture that waits for a pause; Gradio's own number, 40, is for all that takes a moment.
    "max_threads": 3 * MAX_VISITORS + 40,
    # As large as a project may be; what a picture may be, open_image says.
    "max_file_size": MAX_FILE_BYTES,
    "allowed_paths": [],
    "strict_cors": True,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "footer_links": [],
    "quiet": False,
}


def _head() -> str:
    scripts = script("contact.js") + script("script.js")
    frame = (HERE / "frame.css").read_text(encoding="utf-8")
    return f'<meta name="color-scheme" content="dark light"><style>{frame}</style><script>{scripts}</script>'


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


def _keep(handlers: Handlers) -> Callable[[object], messages.Message]:
    def keep(payload: object) -> messages.Message:
        return handlers.keep(payload)

    return keep


def _likeness(handlers: Handlers) -> Callable[[object], messages.Message]:
    def likeness(payload: object) -> messages.Message:
        return handlers.meters.tell(payload)

    return likeness


def _clips(handlers: Handlers) -> list[Callable[[object], messages.Message]]:
    clips = Clips(handlers.engine, handlers.visits, handlers.references)

    def clip(payload: object) -> messages.Message:
        return clips.clip(payload)

    def clip_progress(payload: object) -> messages.Message:
        return clips.progress(payload)

    return [clip, clip_progress]


def _looks(handlers: Handlers) -> list[Callable[[object], messages.Message]]:
    def glimpse(payload: object) -> messages.Message:
        return handlers.glimpses.glimpse(payload)

    def read_look(payload: object) -> messages.Message:
        return handlers.glimpses.read_look(payload)

    return [glimpse, read_look]


def _lacks(engine: Engine) -> str:
    """What the model cannot do, and how it gets there; empty where it can, or nothing can be imported."""
    if engine.config.package is not None:  # the built-in model's family: no published file is of it
        return ""
    told = ["About this model:", *engine.lacks]
    if not (engine.opens_photos and engine.orders):  # what can be imported
        told.append(f"To import a file: launch.py models import FILE --into {engine.config.name}")
    return " ".join(told) if engine.lacks else ""


def _model_line(engine: Engine) -> dict[str, Any]:
    device = "GPU" if str(engine.device).startswith("cuda") else "CPU"
    return {
        "model": engine.config.title,
        "device": device,
        "photos": engine.opens_photos,
        "orders": bool(engine.orders),
        "refines": None in engine.refinements.values(),
        "best": best_takes(engine),
    }
