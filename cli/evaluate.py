"""How faithful the portraits of a folder's photos are, at once and after some seconds, refined or not."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cli.measures import Figures, Measures, means
from cli.photos import Found
from core.engine import Engine
from core.errors import BadImage, BadRequest, NoFaceFound
from core.faces.judge import IdentityJudge
from core.images import open_image
from core.session import EditRequest, Portrait, Refine

MEASURES = ("mse", "ms_ssim", "dlib_distance", "lpips", "judge_cosine", "code_rms", "code_spread", "seconds")
FIRST = ("first_seconds", "first_judge_cosine")


@dataclass(frozen=True)
class Stage:
    """A portrait, and how many seconds after its opening began it was there."""

    portrait: Portrait
    seconds: float


@dataclass(frozen=True)
class Opening:
    """One face as its portrait got better.

    stages: one for each time that was asked for, or one alone; first: what was shown first, None where
    nothing was before the face was open.
    """

    stages: tuple[Stage, ...]
    first: Stage | None = None


# From how many seconds it may take at most (None: as many as the engine thinks best), and who is given what
# there is to see meanwhile, to the portrait.
Open = Callable[[float | None, Callable[[Portrait], None]], Portrait]


def watch(engine: Engine, open_face: Open, times: Sequence[float] = ()) -> Opening:
    """Open a face and improve it, in one run; times: ascending seconds since it began. Nothing is measured
    in between, so that all the time is the descent's.
    """
    start = time.perf_counter()
    first: list[Stage] = []

    def shown(portrait: Portrait) -> None:
        if not first:
            first.append(Stage(portrait, time.perf_counter() - start))

    portrait = open_face(times[0] if times else None, shown)
    stages = [Stage(portrait, time.perf_counter() - start)]
    for until in times[1:]:
        left = until - (time.perf_counter() - start)
        if left > 0:
            portrait = engine.improve(portrait, left)
        stages.append(Stage(portrait, time.perf_counter() - start))
    return Opening(tuple(stages), first[0] if first else None)


def open_photo(engine: Engine, photo: np.ndarray) -> Open:
    """The first face of (H, W, 3) uint8."""

    def open_face(seconds: float | None, shown: Callable[[Portrait], None]) -> Portrait:
        if seconds is None:
            return engine.open_portrait(photo)
        return engine.open_portrait(photo, seconds=seconds, shown=shown)

    return open_face


def evaluate(
    engine: Engine,
    found: Found,
    warn: Callable[[str], None],
    refine: Refine = "off",
    limit: int | None = None,
    times: Sequence[float] = (),
    judge: IdentityJudge | None = None,
) -> dict[str, Any]:
    """Open every photo (its first face), refine it, and compare the aligned crop with what is rendered.

    found: the photos of a folder. limit: of so many files alone, spread evenly, since "best" takes a minute
    for each. times: ascending seconds: the first is what opening may take, then the portrait is improved
    until the others.
    Returns {"folder_photos": how many there are, "photos", "no_face", "refine",
    "mean": {measure: number or None}, "per_photo": [{"file", measures}], "skipped": [{"file", "why"}],
    "without_face": [file]}. Measures: those of
    `cli.measures.Measures`, at the last of the times; "seconds": really taken, to open, improve and refine;
    where times are given, "at": {time: measures} in each entry and for the means; "first_seconds" and, with a
    judge, "first_judge_cosine": of the first picture that is shown.
    What is skipped and what shows no face is named through `warn`, too; files that are no readable picture
    are not counted.
    Raises: BadRequest if the model cannot refine so.
    """
    if (reason := engine.refinements.get(refine)) is not None:
        raise BadRequest(reason)
    measures = Measures.of(engine, judge, warn)
    photos, without_face = 0, []
    per_photo: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []

    def leave_out(file: Path, why: str) -> None:
        skipped.append({"file": found.name(file), "why": why})
        warn(f"{found.name(file)} is left out: {why.removesuffix('.')}.")

    for path, reason in found.skipped:
        leave_out(path, reason)
    for file in tqdm(evenly(found.photos, limit), desc="Evaluating", unit="photo", disable=None):
        try:
            photo = open_image(file)
            photos += 1
            opening = watch(engine, open_photo(engine, photo), times)
        except BadImage as error:
            leave_out(file, str(error))
        except NoFaceFound:
            without_face.append(found.name(file))
            warn(f"{found.name(file)}: no face was found.")
        else:
            per_photo.append({"file": found.name(file), **_entry(engine, opening, measures, refine, times)})
    result: dict[str, Any] = {
        "folder_photos": len(found.photos),
        "photos": photos,
        "no_face": len(without_face),
        "refine": refine,
        "mean": _mean(per_photo, judge is not None),
        "per_photo": per_photo,
        "skipped": skipped,
        "without_face": without_face,
    }
    if times:
        result["at"] = {f"{t:g}": means(entry["at"][f"{t:g}"] for entry in per_photo) for t in times}
    return result


def _entry(
    engine: Engine, opening: Opening, measures: Measures, refine: Refine, times: Sequence[float]
) -> dict[str, Any]:
    """One photo's measures."""
    entries = [_measured(engine, stage, measures, refine) for stage in opening.stages]
    entry: dict[str, Any] = dict(entries[-1])
    if opening.first is not None:
        portrait, entry["first_seconds"] = opening.first.portrait, opening.first.seconds
        if measures.judge is not None:
            cosine = measures.judge.cosine(portrait.crop, portrait.inversion, portrait.landmarks)
            entry["first_judge_cosine"] = cosine
    if times:
        entry["at"] = {f"{t:g}": found for t, found in zip(times, entries, strict=True)}
    return entry


def _measured(engine: Engine, stage: Stage, measures: Measures, refine: Refine) -> Figures:
    portrait, start = stage.portrait, time.perf_counter()
    if refine != "off":
        portrait = engine.refine(portrait, refine)
    seconds = stage.seconds + time.perf_counter() - start
    picture = engine.edit(portrait, EditRequest(refine=refine))
    figures = measures.picture(portrait.crop, portrait.landmarks, picture)
    return {**figures, **measures.code(portrait.w_plus), "seconds": seconds}


def _mean(entries: Sequence[dict[str, Any]], judged: bool) -> Figures:
    """Of every measure, also of those that no entry knows."""
    names = [name for name in MEASURES if judged or name != "judge_cosine"]
    names += [name for name in FIRST if any(name in entry for entry in entries)]
    return means([dict.fromkeys(names), *({name: entry.get(name) for name in names} for entry in entries)])


def evenly(files: Sequence[Path], limit: int | None) -> Sequence[Path]:
    """At most `limit` of the files, evenly spread from the first to the last; all of them without a limit."""
    if limit is None or limit >= len(files):
        return files
    return [files[i] for i in np.linspace(0, len(files) - 1, limit).round().astype(int)]
