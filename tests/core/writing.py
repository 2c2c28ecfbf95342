"""A process that writes every kind of file there is and does not get far; what it leaves is for its caller.

    python -m tests.core.writing FOLDER BUNDLE LIMIT [full|killed ...]

Into FOLDER, where the files are already, each kind is written in a process of its own. Beyond LIMIT bytes (0:
the disk's own limit) there is no room, or the process is killed. Prints a line of JSON for each: the ending,
the kind, "done", "killed" or the sentence that it failed with, and how long the unfinished files are.
"""

import itertools
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from core.checkpoints import load_bundle, save_bundle
from core.config import FFHQ_TEMPLATE
from core.errors import VisagistError
from core.faces.alignment import Face
from core.files import clear_left, write_whole
from core.images import save_image
from core.projects.project import Project, save_project
from core.session import EditRequest

Write = Callable[[], object]


def kinds(folder: Path, bundle_folder: Path) -> dict[str, Write]:
    """What writes each kind of file, by the name of the file or, of a bundle, of the folder."""
    bundle = load_bundle(bundle_folder)
    noise = np.random.default_rng(1).integers(0, 256, (120, 100, 3), dtype=np.uint8)
    face = Face((10, 10, 90, 90), np.zeros((68, 2), np.float32))
    code, model = np.ones((4, 8), np.float32), ("a", "1", "f", FFHQ_TEMPLATE)
    project = save_project(Project(noise, (face,), 0, code, (EditRequest(),), 0, *model))
    report = json.dumps({"numbers": list(range(20_000))}).encode()
    return {
        "picture.png": lambda: save_image(noise, folder / "picture.png"),
        "picture.jpg": lambda: save_image(noise, folder / "picture.jpg"),
        "visit.visagist": lambda: write_whole(folder / "visit.visagist", project),
        "report.json": lambda: write_whole(folder / "report.json", report),
        "bundle": lambda: save_bundle(folder / "bundle", bundle),
    }


def attempt(write: Write, ending: str, limit: int) -> str:
    """How a process ends that writes; "done", "killed" or a sentence."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        # Ignored, as Python does, it makes the write fail; else the process ends there, whatever it has open.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ending == "full" else signal.SIG_DFL)
        said = "done"
        try:
            write()
        except (VisagistError, OSError, SafetensorError) as error:
            said = str(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(process, 0)
    return "killed" if os.WIFSIGNALED(status) else said


def main() -> None:
    folder, bundle, limit, *endings = sys.argv[1:]
    writes = kinds(Path(folder), Path(bundle))
    for ending, name in itertools.product(endings, writes):
        place = Path(folder) / name if name == "bundle" else Path(folder)
        said = attempt(writes[name], ending, int(limit))
        parts = sorted(part.stat().st_size for part in place.glob("*.part"))
        print(json.dumps({"ending": ending, "kind": name, "said": said, "parts": parts}), flush=True)
        clear_left(place)


if __name__ == "__main__":
    main()
