"""Files that the page is made of: markup (app/parts/*.html) and scripts (app/*.js)."""

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

# gr.HTML as bare markup: none of Gradio's text styles, no click event.
PLAIN: dict[str, Any] = {"apply_default_css": False, "js_on_load": None}


def part(name: str) -> str:
    """A template for gr.HTML."""
    return (HERE / "parts" / name).read_text(encoding="utf-8")


def script(name: str) -> str:
    """A script for the page's head, or for gr.HTML to run when it is there."""
    return (HERE / name).read_text(encoding="utf-8")
