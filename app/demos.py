"""Examples that move on the first page: what a slider does to a face, in pictures made beforehand.

`training/data/moving.py` makes them: strips of pictures side by side, from the photo to the edit.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from app.starts import Start
from core.config import BundleConfig


def find_demos(folder: Path, starts: Sequence[Start], config: BundleConfig) -> list[dict[str, Any]]:
    """Those of `folder` whose example is offered and whose slider the model has, for app/demos.js.

    Named FACE-SLIDER-low.webp or -high.webp, by where it goes. index: of the example; pictures: how
    many squares the strip has.
    """
    places = {start.stem: place for place, start in enumerate(starts) if isinstance(start, Path)}
    labels = {attribute.name: attribute.label for attribute in config.attributes}
    found = []
    for file in sorted(folder.glob("*-*-*.webp")):
        face, slider, end = file.stem.split("-")
        if face in places and slider in labels:
            with Image.open(file) as strip:
                pictures = strip.width // strip.height
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            source = f"data:image/webp;base64,{data}"
            shown = {"label": labels[slider], "low": end == "low", "strip": source, "pictures": pictures}
            found.append({"index": places[face], **shown})
    return found
