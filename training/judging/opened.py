"""How real photos open: the engine's own door, on faces that are crops already and on portraits.

    python -m training.judging.opened --faces faces256.tar --faces512 faces512.tar \\
        --judge mobilefacenet.safetensors --photos PORTRAITS --bundle checkpoints/portrait1024 \\
        --seconds 12,40 --out DIR

The faces are a fixed list: the first 25 test names of each source in the table's order; the 512 px file where
there is one. Each is opened once, improved until the later times, and compared at 256 px with its own file.
A line of DIR/faces.jsonl is written as soon as a face is measured; --resume goes on where a run was ended.
DIR/opened.md and opened.json hold the means, DIR/sheet.png shows photo and picture at every time, DIR/codes
holds each (L, D) code at the last of them.

With --split train all training faces are opened: their codes are what `training.data.sampled --opened` and
the inverter learn from.

DIR shows people who may not be passed on: no file of it belongs into a repository.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from cli import options
from cli.evaluate import Open, Opening, open_photo, watch
from cli.measures import MEASURED_SIDE, Measures
from cli.photos import photos_in
from core.engine import Engine
from core.errors import VisagistError
from core.faces.judge import IdentityJudge
from core.files import write_whole
from core.images import open_image, save_image
from core.session import EditRequest, Portrait
from training.data.aligned import AlignedFace, AlignedFaces
from training.judging.opened_summary import Entry, report, summary
from training.judging.sheets import grid

PER_SOURCE = 25
PORTRAITS = "portraits"
LINES, SETTINGS, CODES = "faces.jsonl", "settings.json", "codes"
SHEET_COLUMNS = 4
LABELS = ("age", "gender", "group")


def file_name(entry: Entry) -> str:
    """See `Task.file`."""
    return f"{entry['source']}-{entry['name']}"


@dataclass(frozen=True)
class Task:
    """One face to open: a file of a set of aligned faces, or a photo."""

    name: str
    source: str
    faces: AlignedFaces | None = None
    photo: Path | None = None

    @property
    def file(self) -> str:
        """What its pictures and its code are called: a name alone may stand in two sources."""
        return file_name({"source": self.source, "name": self.name})

    def open(self, engine: Engine) -> tuple[Open, AlignedFace | None]:
        """How it is opened, and the crop and landmarks that it is compared with; None: the portrait's own."""
        if self.photo is not None:
            return open_photo(engine, open_image(self.photo)), None
        assert self.faces is not None
        face = self.faces[self.name]

        def open_face(seconds: float | None, shown: Callable[[Portrait], None]) -> Portrait:
            assert seconds is not None  # the command line has a default
            return engine.open_crop(face.crop, face.landmarks, seconds=seconds, shown=shown)

        return open_face, face


def tasks(
    faces: AlignedFaces | None,
    larger: AlignedFaces | None,
    photos: Sequence[Path],
    limit: int | None,
    split: str = "test",
) -> list[Task]:
    """The fixed list, then the photos; limit: so many of every source at most, PER_SOURCE of the test's."""
    found = []
    if faces is not None:
        sources = {row["name"]: row["source"] for row in faces.rows}
        most = min(PER_SOURCE, limit or PER_SOURCE) if split == "test" else limit or len(sources)
        for name in faces.first(most, split):
            at = larger if larger is not None and name in larger else faces
            found.append(Task(name, sources[name], at))
    return found + [Task(photo.stem, PORTRAITS, photo=photo) for photo in photos[:limit]]


def measured(
    engine: Engine, task: Task, measures: Measures, times: Sequence[float], out: Path, pictures: bool
) -> Entry:
    """Open one face and write what it looks like; its line."""
    open_face, face = task.open(engine)
    opening = watch(engine, open_face, times)
    portrait = opening.stages[0].portrait
    crop, landmarks = (portrait.crop, portrait.landmarks) if face is None else (face.crop, face.landmarks)
    shown = [engine.edit(stage.portrait, EditRequest()) for stage in opening.stages]
    entry: Entry = {"name": task.name, "source": task.source, "px": len(crop)}
    if face is not None:
        entry |= {label: face.labels[label] for label in LABELS if face.labels.get(label)}
    entry["at"] = {
        f"{time:g}": {
            **measures.picture(crop, landmarks, picture),
            **measures.code(stage.portrait.w_plus),
            "seconds": stage.seconds,
        }
        for time, stage, picture in zip(times, opening.stages, shown, strict=True)
    }
    entry |= _first(opening, measures, crop, landmarks)
    np.save(out / CODES / f"{task.file}.npy", opening.stages[-1].portrait.w_plus.cpu().numpy())
    strip = [_small(picture) for picture in (crop, *shown)]
    save_image(np.hstack(strip), out / "strips" / f"{task.file}.png")
    if pictures:
        save_image(crop, out / "crops" / f"{task.file}.png")
        save_image(shown[-1], out / "inversions" / f"{task.file}.png")
    return entry


def _first(opening: Opening, measures: Measures, crop: np.ndarray, landmarks: np.ndarray) -> Entry:
    if opening.first is None:
        return {}
    figures = {"seconds": opening.first.seconds}
    if measures.judge is not None:
        picture = opening.first.portrait.inversion
        figures["judge_cosine"] = measures.judge.cosine(crop, picture, landmarks)
    return {"first": figures}


def _small(picture: np.ndarray) -> np.ndarray:
    """(S, S, 3) -> (256, 256, 3)."""
    return cv2.resize(picture, (MEASURED_SIDE, MEASURED_SIDE), interpolation=cv2.INTER_AREA)


def known_lines(path: Path) -> list[Entry]:
    """The faces that are done; a line that a kill cut short is none."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def run(
    engine: Engine,
    todo: Sequence[Task],
    measures: Measures,
    times: Sequence[float],
    out: Path,
    done: Sequence[Entry],
    pictures: bool = False,
) -> Iterator[Entry]:
    """Open every face that is not `done`; an entry is in the file before it is given, failed or not."""
    names = {(entry["source"], entry["name"]) for entry in done}
    for folder in ("strips", CODES, "crops", "inversions") if pictures else ("strips", CODES):
        (out / folder).mkdir(exist_ok=True)
    # What a kill cut short is gone.
    text = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in done)
    write_whole(out / LINES, text.encode())
    with open(out / LINES, "a", encoding="utf-8") as file:
        for task in tqdm(todo, "Faces", disable=None):
            if (task.source, task.name) in names:
                continue
            try:
                entry = measured(engine, task, measures, times, out, pictures)
            except VisagistError as error:
                entry = {"name": task.name, "source": task.source, "failed": str(error)}
            file.write(json.dumps(entry, allow_nan=False) + "\n")
            file.flush()
            yield entry


def sheet(out: Path, entries: Sequence[Entry]) -> None:
    """Every face that opened: photo, then the picture at each of the times; a row holds four faces."""
    strips = [open_image(out / "strips" / f"{file_name(entry)}.png") for entry in entries if "at" in entry]
    if strips:
        stacked = np.stack(strips)
        rows = [stacked[i : i + SHEET_COLUMNS] for i in range(0, len(strips), SHEET_COLUMNS)]
        save_image(grid(rows), out / "sheet.png")


def check_settings(args: argparse.Namespace, engine: Engine, done: Sequence[Entry]) -> str | None:
    """Write down what the figures are of; a sentence where the done ones are of something else."""
    times = [f"{time:g}" for time in args.seconds]
    settings = {"bundle": engine.fingerprint, "seconds": times, "split": args.split}
    path = args.out / SETTINGS
    if done and path.is_file() and json.loads(path.read_text(encoding="utf-8")) != settings:
        return (
            f"{args.out} holds faces of another model or split, or of other times; choose another, or leave "
            "--resume."
        )
    write_whole(path, (json.dumps(settings) + "\n").encode())
    return None


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.opened", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--faces", type=Path, help="aligned faces, a folder or a tar")
    parser.add_argument("--faces512", type=Path, help="the same at 512 px, those that there are")
    parser.add_argument("--photos", type=Path, help="folder of portraits to open as well")
    parser.add_argument("--judge", type=Path, required=True, help="MobileFaceNet weights (safetensors)")
    parser.add_argument("--bundle", default="portrait1024", help="a model's name or folder")
    parser.add_argument("--seconds", type=options.times, default=(12.0, 40.0), metavar="N[,N...]")
    parser.add_argument("--out", type=Path, required=True, help="folder for lines, means, sheet")
    parser.add_argument("--limit", type=options.count, help="of each source (a rehearsal)")
    parser.add_argument(
        "--split", choices=("test", "val", "train"), default="test", help="of the faces; to train, train"
    )
    parser.add_argument("--resume", action="store_true", help="leave out what is in --out already")
    parser.add_argument(
        "--pictures", action="store_true", help="also write every crop and picture at full size"
    )
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    if args.faces is None and args.photos is None:
        parser.error("give --faces, --photos or both")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    faces, larger = (AlignedFaces.open(path) if path else None for path in (args.faces, args.faces512))
    photos = photos_in(args.photos).photos if args.photos else ()
    judge = IdentityJudge.load(args.judge)
    engine = Engine.load(args.bundle, args.device)
    done = known_lines(args.out / LINES) if args.resume else []
    if reason := check_settings(args, engine, done):
        sys.exit(reason)
    measures = Measures.of(engine, judge, lambda words: print(words, file=sys.stderr))
    todo = tasks(faces, larger, photos, args.limit, args.split)
    entries = [*done, *run(engine, todo, measures, args.seconds, args.out, done, args.pictures)]
    found: dict[str, Any] = {
        "command": " ".join(["python -m training.judging.opened", *argv]),
        **summary(entries),
    }
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    write_whole(args.out / "opened.json", text.encode())
    write_whole(args.out / "opened.md", report(found).encode())
    sheet(args.out, entries)
    print(report(found))


if __name__ == "__main__":
    main()
