"""Import published files into a bundle of the user's folder, check bundles, remove them.

What is in the folder before stays as it is until the new bundle has been written and has passed its
self-check (`core.importing.install.workspace`). Weights are stored as float32: nothing of a file is lost.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from core import checkpoints
from core.bundle_files import MODEL_FILE
from core.checkpoints import Bundle, load_bundle, save_bundle, user_folder
from core.config import BundleConfig
from core.errors import BadCheckpoint, BadRequest
from core.importing.formats.recognise import convert
from core.importing.install.merging import Source, begin, merge
from core.importing.install.selfcheck import self_check
from core.importing.install.workspace import NEW, check_room, disk_errors, put, workspace
from core.importing.read.reading import read_checkpoint

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
CARD_FILE = "MODEL_CARD.md"
# Beside the weights: the headers, the description, the card.
SPARE_BYTES = 2**20
# How the time of an import is spent, roughly: reading, merging and measuring, writing, checking.
_READ, _MERGED, _WRITTEN = 0.5, 0.6, 0.75

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Installed:
    """A bundle that was imported, what is to be known of how, and what its self-check found to work."""

    folder: Path
    config: BundleConfig
    notices: tuple[str, ...]
    checks: tuple[str, ...]


def install(
    files: Sequence[str | Path],
    name: str | None = None,
    into: str | None = None,
    progress: Progress = lambda step, done: None,
) -> Installed:
    """Import files, in any order, as a new bundle `name` or `into` a bundle of the user's.

    progress: is told the step's name and how much of the whole is done, from 0 to 1.
    Raises: BadRequest for the name, BadCheckpoint for a file, a full disk, or a failed self-check; then
    everything is as it was.
    """
    if not files or (name is None) == (into is None):
        raise BadRequest("An import needs files, and either a name or a model to import into.")
    _check_target(name, into)
    sources = _read([Path(file).expanduser() for file in files], progress)
    root = user_folder()
    with workspace(root) as work:
        place = _check_target(name, into)  # again: reading takes a while
        new = work / NEW
        notices = _build(sources, place, into is not None, new, progress)
        sources.clear()  # a gigabyte, which the check has no use for
        progress("Checking", _WRITTEN)
        checked = load_bundle(new)
        checks = self_check(checked)
        (new / CARD_FILE).write_text(_card(checked.config), encoding="utf-8")
        config = checked.config
        del checked  # its tensors may be the very files that are moved now
        put(work, new, place)
    progress("Done", 1.0)
    return Installed(place, config, notices, checks)


def verify(folder: Path) -> tuple[str, ...]:
    """Load the bundle, which checks its hashes, and run the self-check; what works, in sentences.

    Raises: BadCheckpoint with what is wrong.
    """
    return self_check(load_bundle(folder))


def remove(name: str) -> Path:
    """Delete a bundle of the user's; its folder that was.

    Raises: BadRequest for a built-in one, BadCheckpoint if there is none of this name.
    """
    place = own_bundle(name)
    with workspace(user_folder()) as work:
        put(work, None, place)
    return place


def own_bundle(name: str) -> Path:
    """The folder of a bundle that the user may change.

    Raises: BadRequest for a built-in one, BadCheckpoint if there is none of this name.
    """
    if _is_built_in(name):
        raise BadRequest(f"The model {name} is built in and stays as it is; choose one of your own.")
    root = user_folder()
    if not (NAME.fullmatch(name) and (root / name / MODEL_FILE).is_file()):
        own = ", ".join(sorted(file.parent.name for file in root.glob(f"*/{MODEL_FILE}"))) or "none"
        raise BadCheckpoint(f"There is no model {name!r:.80} of your own; your models are: {own}.")
    return root / name


def _check_target(name: str | None, into: str | None) -> Path:
    if into is not None:
        return own_bundle(into)
    assert name is not None
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"A model cannot be called {name!r:.80}: a name has 1 to 64 letters, digits, - and _, and dots, "
            "though none in front."
        )
    place = user_folder() / name
    if _is_built_in(name) or place.exists() or place.is_symlink():
        # Removing is no way out where the model is built in.
        way = "choose another name" if _is_built_in(name) else "remove it first or choose another name"
        raise BadRequest(f"There is a model {name} already; {way}.")
    return place


def _is_built_in(name: str) -> bool:
    # Folders of some systems do not tell small letters from capitals.
    return name.casefold() in {file.parent.name for file in checkpoints.BUILT_IN.glob(f"*/{MODEL_FILE}")}


def _read(files: Sequence[Path], progress: Progress) -> list[Source]:
    sizes = [file.stat().st_size if file.is_file() else 0 for file in files]
    whole, before = max(1, sum(sizes)), 0
    sources: list[Source] = []
    for file, size in zip(files, sizes, strict=True):
        step, start = f"Reading {file.name}", before

        def told(fraction: float, step: str = step, start: int = start, size: int = size) -> None:
            progress(step, _READ * (start + fraction * size) / whole)

        told(0.0)
        checkpoint = read_checkpoint(file, told)
        if checkpoint.sha256 in {source.sha256 for source in sources}:
            raise BadCheckpoint(f"{file.name} is given twice; give each file once.")
        sources.append(Source(file, checkpoint.sha256, convert(checkpoint)))
        before += size
    return sources


def _build(
    sources: Sequence[Source], place: Path, known: bool, new: Path, progress: Progress
) -> tuple[str, ...]:
    """Write what the files make of the bundle at `place`, or of none, into the folder `new`."""
    progress("Putting the parts together", _READ)
    bundle = load_bundle(place) if known else begin(place.name, sources)
    merged = merge(bundle, sources)
    bundle = merged.bundle
    check_room(place.parent, _stored_bytes(bundle) + SPARE_BYTES)
    progress("Writing", _MERGED)
    with disk_errors(place.parent):
        try:
            save_bundle(new, bundle, torch.float32)
        except ValueError as error:
            raise BadCheckpoint(f"These files make no model that can work: {error}.") from error
    return merged.notices


def _stored_bytes(bundle: Bundle) -> int:
    others = (*bundle.refiners.values(), *bundle.reference_editors.values())
    descent = bundle.start, bundle.iterative_inverter, bundle.lpips
    networks = (bundle.generator, bundle.inverter, bundle.classifier, bundle.parser, *descent, *others)
    tensors = [t for network in networks if network is not None for t in network.state_dict().values()]
    tensors += [bundle.linear_directions, bundle.directions, bundle.gallery]
    return sum(4 * tensor.numel() for tensor in tensors)


def _card(config: BundleConfig) -> str:
    lines = [
        f"# {config.title}",
        "",
        f"A face model of {config.generator.resolution} px, made by importing published files. The weights",
        "are their authors'; nothing was trained here. They come with their authors' licences.",
        "",
        "| file | gave | format | SHA-256 |",
        "|---|---|---|---|",
        *(f"| `{s.file}` | {', '.join(s.parts)} | {s.format} | `{s.sha256}` |" for s in config.sources),
        "",
        "## Licences",
        "",
        *(f"* `{s.file}`: {s.licence}" for s in config.sources),
        "",
        "## What it can do",
        "",
        *(f"* {sentence}" for sentence in abilities(config)),
        *(f"* {sentence}" for sentence in config.lacks),
        "",
    ]
    return "\n".join(lines)


def abilities(config: BundleConfig) -> tuple[str, ...]:
    """What a bundle can do, in sentences for people; `BundleConfig.lacks` says what it cannot."""
    stages = " and ".join(refiner.stage for refiner in config.refiners)
    count = len(config.attributes)
    editor = config.reference_editor
    return tuple(
        sentence
        for there, sentence in (
            (True, "It makes faces, and has unnamed sliders to explore."),
            (config.opens_photos, "It opens photos."),
            (count > 0, f"It has {count} named slider{'s' if count > 1 else ''}."),
            (config.classifier is not None, "Its classifier finds each face's own direction for a slider."),
            (bool(config.refiners), f"It refines fast ({stages})."),
            (config.inverter is not None, "It refines best."),
            (editor is not None, "It takes single attributes from a reference face."),
            (config.gallery > 0, f"It has a gallery of {config.gallery} faces."),
        )
        if there
    )
