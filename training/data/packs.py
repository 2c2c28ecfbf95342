"""Build and read the training data: aligned faces packed as JPEG shards, and a table.

    python -m training.data.packs build --archive utkface.tar --scale 0.54 --shift 0.43 --out DIR

DIR then holds `faces.csv` (a row per face), `landmarks.npy` (N, 68, 2) float32 in crop pixels, and
`faces-000.pack`, ... of at most 24 MiB each: JPEG files end to end, their offsets in the table.
"""

import argparse
import csv
import hashlib
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from core.config import FFHQ_TEMPLATE, AlignmentTemplate

# A pack must fit, with the repository, into one 64 MiB transfer to a lent machine.
SHARD_BYTES = 24 * 2**20
JPEG_QUALITY = 92
SPLITS = ("train", "validation", "test")
ATTRIBUTES = (
    "age", "gender", "smile", "mouth_open", "eyes_open", "brow_raise", "yaw", "pitch",
    "face_width", "brightness", "light_right", "hair_darkness",
)  # fmt: skip
# Variance of the Laplacian of the 128 px luma; below it a face is a smear.
SHARPNESS_FLOOR = 15.0


def split_of(file_name: str) -> str:
    """train / validation / test, 96 / 2 / 2, by a hash of the file's name: stable for ever."""
    bucket = int(hashlib.sha256(file_name.encode()).hexdigest(), 16) % 100
    return "test" if bucket < 2 else "validation" if bucket < 4 else "train"


@dataclass(frozen=True)
class Row:
    file: str
    landmarks: np.ndarray
    jpeg: bytes
    scores: dict[str, float]


def _prepare(job: tuple[str, bytes, AlignmentTemplate, int]) -> Row | str:
    """One face, or the reason why it is dropped."""
    # Imported here: the machines that train have neither dlib nor this need.
    from core.faces import alignment
    from training.data.scores import landmark_scores, pixel_scores

    name, data, template, size = job
    try:
        age, gender = (int(part) for part in name.split("_")[:2])
    except ValueError:
        return "bad name"
    if not (0 <= age <= 116 and gender in (0, 1)):
        return "bad name"
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        return "unreadable"
    photo = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    height, width = photo.shape[:2]
    # No upsampling: UTKFace is cropped, its faces are large.
    boxes = alignment._detector()(photo, 0)
    if not boxes:
        return "no face"
    box = max(boxes, key=lambda r: r.area())
    points = alignment.find_landmarks(photo, (box.left(), box.top(), box.right(), box.bottom()))
    transform = alignment.crop_transform(points, template)
    margin = transform.side * 0.03
    cx, cy = transform.center
    reach = abs(transform.half_side[0]) + abs(transform.half_side[1]) - margin
    if cx - reach < 0 or cy - reach < 0 or cx + reach > width or cy + reach > height:
        return "outside"
    face = alignment.crop(photo, transform, size)
    if cv2.Laplacian(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() < SHARPNESS_FLOOR:
        return "blurred"
    if np.abs(face.astype(np.int16) - face[..., :1]).mean() < 2:
        return "monochrome"
    landmarks = alignment.to_crop(points, transform, size)
    scores = {
        "age": float(age),
        "gender": float(1 - gender),
        **landmark_scores(landmarks),
        **pixel_scores(face, landmarks),
    }
    ok, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(face, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return Row(name, landmarks, jpeg.tobytes(), scores) if ok else "unreadable"


def _members(archive: Path, limit: int | None) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if not member.isfile() or name in seen or name.startswith("."):
                continue
            seen.add(name)
            stream = tar.extractfile(member)
            assert stream is not None
            yield name, stream.read()
            if limit and len(seen) >= limit:
                return


class _Packs:
    """Files of at most SHARD_BYTES, filled one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shard, self.size = folder, 0, 0
        for old in folder.glob("faces-*.pack"):
            old.unlink()

    def add(self, data: bytes) -> tuple[int, int]:
        """Returns the pack's number and the offset in it."""
        if self.size + len(data) > SHARD_BYTES:
            self.shard, self.size = self.shard + 1, 0
        with open(self.folder / f"faces-{self.shard:03d}.pack", "ab") as pack:
            pack.write(data)
        offset, self.size = self.size, self.size + len(data)
        return self.shard, offset


def build(
    archive: Path, template: AlignmentTemplate, out: Path, size: int, workers: int, limit: int | None
) -> dict[str, int]:
    """Write the data set into `out`; returns how many faces were kept and why others were dropped."""
    out.mkdir(parents=True, exist_ok=True)
    jobs = ((name, data, template, size) for name, data in _members(archive, limit))
    counts: dict[str, int] = {"kept": 0}
    landmarks, packs = [], _Packs(out)
    with ProcessPoolExecutor(workers) as pool, open(out / "faces.csv", "w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "split", "shard", "offset", "length", *ATTRIBUTES))
        for result in tqdm(pool.map(_prepare, jobs, chunksize=16), unit="face", file=sys.stderr):
            if isinstance(result, str):
                counts[result] = counts.get(result, 0) + 1
                continue
            place = packs.add(result.jpeg)
            scores = [f"{result.scores[a]:.4f}" for a in ATTRIBUTES]
            writer.writerow((result.file, split_of(result.file), *place, len(result.jpeg), *scores))
            landmarks.append(result.landmarks)
            counts["kept"] += 1
    np.save(out / "landmarks.npy", np.array(landmarks, np.float32))
    return counts


@dataclass(frozen=True)
class Faces:
    """A split in memory. images: (N, S, S, 3) uint8 RGB; landmarks: (N, 68, 2); scores: (N, A).

    The attributes are the table's columns after `length`.
    """

    files: tuple[str, ...]
    images: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    attributes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def score(self, attribute: str) -> np.ndarray:
        """(N,) float32. Raises: ValueError for an attribute that the table lacks."""
        if attribute not in self.attributes:
            raise ValueError(f"The table has no column {attribute!r}")
        return self.scores[:, self.attributes.index(attribute)]


def load(folder: Path, split: str, limit: int | None = None) -> Faces:
    """Read a split built by `build`. Raises ValueError for an unknown split or an empty result."""
    if split not in SPLITS:
        raise ValueError(f"Split {split!r} is not one of {', '.join(SPLITS)}")
    with open(folder / "faces.csv", newline="") as table:
        reader = csv.DictReader(table)
        rows = [(i, row) for i, row in enumerate(reader) if row["split"] == split][:limit]
    if not rows:
        raise ValueError(f"{folder} holds no face of the {split} split")
    shards = {
        index: np.fromfile(folder / f"faces-{index:03d}.pack", np.uint8)
        for index in sorted({int(row["shard"]) for _, row in rows})
    }
    columns = list(reader.fieldnames or ())
    attributes = tuple(columns[columns.index("length") + 1 :])
    images = []
    for _, row in rows:
        start, length = int(row["offset"]), int(row["length"])
        bgr = cv2.imdecode(shards[int(row["shard"])][start : start + length], cv2.IMREAD_COLOR)
        if bgr is None:
            raise ValueError(f"The pack of {row['file']} is damaged; build the data again")
        images.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    return Faces(
        files=tuple(row["file"] for _, row in rows),
        images=np.stack(images),
        landmarks=np.load(folder / "landmarks.npy")[[i for i, _ in rows]],
        scores=np.array([[float(row[a]) for a in attributes] for _, row in rows], np.float32),
        attributes=attributes,
    )


def extract(archive: Path, data: Path, split: str, out: Path) -> int:
    """Write the original files of a split (those that `build` kept) into `out`; returns how many."""
    with open(data / "faces.csv", newline="") as table:
        wanted = {row["file"] for row in csv.DictReader(table) if row["split"] == split}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in _members(archive, None):
        if name in wanted:
            (out / name).write_bytes(content)
    return len(wanted)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.packs", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    b = commands.add_parser("build", help="detect, align, label and pack an archive of faces")
    b.add_argument("--archive", type=Path, required=True)
    b.add_argument("--scale", type=float, default=FFHQ_TEMPLATE.scale, help="of the crop (FFHQ's: 1)")
    b.add_argument("--shift", type=float, default=FFHQ_TEMPLATE.shift, help="downwards, of the crop")
    b.add_argument("--out", type=Path, required=True)
    b.add_argument("--size", type=int, default=128)
    b.add_argument("--workers", type=int, default=2)
    b.add_argument("--limit", type=int, help="stop after this many files (a rehearsal)")
    e = commands.add_parser("extract", help="write the original files of a split, for launch.py evaluate")
    e.add_argument("--archive", type=Path, required=True)
    e.add_argument("--data", type=Path, required=True, help="folder that `build` wrote")
    e.add_argument("--split", choices=SPLITS, default="test")
    e.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    if args.command == "extract":
        print(f"{extract(args.archive, args.data, args.split, args.out)} files")
        return
    template = AlignmentTemplate(args.scale, args.shift)
    counts = build(args.archive, template, args.out, args.size, args.workers, args.limit)
    print(", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
