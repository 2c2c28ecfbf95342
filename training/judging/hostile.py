"""Damaged and hostile files through the doors of app and command line: is the answer always one sentence?

    nice -n 19 python -m training.judging.hostile --files FOLDER --megabytes 200 --minutes 30 --out FOLDER

Each file of the folders, photos and projects alike, is cut short, spliced, flipped, lied about in its header,
given another one's ending; others are built to be bombs. Each is opened in a process beside this one, up to
finding faces. Whatever is no sentence (an exception that is none of `core.errors`, a crash, more time than
SECONDS, more than MEMORY) is told, and kept in --out. The same seed makes the same files.
"""

import argparse
import collections
import io
import multiprocessing
import re
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from core.errors import VisagistError
from training.judging.bombs import BOMBS, project

SECONDS, MEMORY = 20.0, 2 * 2**30
# Faces are looked for in photos up to this size; a process lasts for so many files.
SEARCHED, LASTING = 2_000_000, 200
# A sentence is one line, no longer than that.
LONGEST = 400
ODD = (
    b"-1",
    b"1e400",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"99999999999999999999",
    b"0.5",
    b'"smile"',
)
ENDINGS = (".jpg", ".png", ".tif", ".heic", ".webp", ".visagist", ".txt", "")


def truncated(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return data[: int(rng.integers(0, len(data)))]


def flipped(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A few bits, more often near the beginning."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 40))):
        result[int(rng.random() ** 3 * len(result))] ^= 1 << int(rng.integers(8))
    return bytes(result)


def spliced(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of another."""
    return data[: int(rng.integers(1, len(data)))] + other[int(rng.integers(0, len(other))) :]


def lying(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Large and small numbers where a header may have its own."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(0, min(len(result), 600))), int(rng.choice((1, 2, 4, 8)))
        result[at : at + length] = bytes([int(rng.choice((0, 1, 0x7F, 0x80, 0xFF)))]) * length
    return bytes(result)


def blanked(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A stretch of zeros, or of another file, in the middle."""
    at, length = int(rng.integers(0, len(data))), int(rng.integers(1, 4096))
    patch = bytes(length) if rng.random() < 0.5 else other[:length]
    return data[:at] + patch + data[at + length :]


def doubled(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A stretch of its own once more."""
    first, second = sorted(int(at) for at in rng.integers(0, len(data), 2))
    return data[:second] + data[first:second] * int(rng.integers(1, 4)) + data[second:]


def inside(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """One entry of a project damaged, in a zip file that is right; of other files a few bits."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()[1:]}
    except (zipfile.BadZipFile, NotImplementedError):
        return flipped(rng, data, other)
    name = str(rng.choice(list(entries)))
    damage = (odd_word, odd_word, odd_word, flipped, lying, truncated)[int(rng.integers(6))]
    if rng.random() < 0.5:
        name, damage = "project.json", odd_word
    entries[name] = damage(rng, entries[name], other)
    return project(entries, packed=False)


def odd_word(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A number or word of JSON's replaced by what does not belong there."""
    words = [*re.finditer(rb'"[^"]{0,40}"|-?\d[\d.e+-]*|true|false|null|[\[\]{}:,]', data[:200_000])]
    if not words:
        return data
    word = words[int(rng.integers(len(words)))]
    return data[: word.start()] + ODD[int(rng.integers(len(ODD)))] + data[word.end() :]


def whole(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return data


DAMAGES = (inside, inside, truncated, flipped, flipped, spliced, lying, lying, blanked, doubled, whole)


def hostile(seeds: list[bytes], seed: int) -> Iterator[tuple[str, bytes, str]]:
    """What was done, the file, and the ending of its name; endless."""
    rng = np.random.default_rng(seed)
    while True:
        ending = str(rng.choice(ENDINGS))
        if rng.random() < 0.05:
            bomb = BOMBS[int(rng.integers(len(BOMBS)))]
            yield bomb.__name__, bomb(rng), ending
            continue
        data, other = (seeds[int(i)] for i in rng.integers(0, len(seeds), 2))
        damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
        yield damage.__name__, damage(rng, data, other), ending


def answer(path: Path) -> tuple[str, str]:
    """ "opened", "sentence" or "wrong", and what was said."""
    from cli.editing import read
    from core.faces import finding
    from core.images import Photo

    try:
        given = read(str(path))
        if isinstance(given, Photo):
            if given.original is not None:
                given.original.native()
            if given.pixels.shape[0] * given.pixels.shape[1] <= SEARCHED:
                finding.search(given.pixels)
    except VisagistError as error:
        said = str(error)
        proper = "\n" not in said and 0 < len(said) <= LONGEST and said[-1] in ".!?"
        return ("sentence", said) if proper else ("wrong", f"no sentence: {said!r}")
    except MemoryError:
        return "wrong", "MemoryError"
    except Exception:
        return "wrong", traceback.format_exc()
    return "opened", ""


def _work(connection: Connection) -> None:
    """In a process of its own: answers paths until None comes."""
    while (path := connection.recv()) is not None:
        found = answer(path)
        connection.send((*found, _peak()))


def _peak() -> int:
    """Most memory that this process has held, in bytes; what getrusage says includes its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Opening:
    """A process that opens files, begun anew when it crashes, hangs or has grown."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._begin()

    def _begin(self) -> None:
        self._ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._files = 0

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.join()

    def open(self, path: Path) -> tuple[str, str]:
        """As `answer`; "wrong" for crashes, hangs and much memory, too."""
        if self._files >= LASTING:
            self.end()
            self._begin()
        # What it takes to start, and to load the detectors, is no file's fault.
        patience = SECONDS if self._files else SECONDS + 100
        self._files += 1
        self._ours.send(path)
        try:
            if not self._ours.poll(patience):
                raise TimeoutError
            kind, said, peak = self._ours.recv()
        except (TimeoutError, EOFError) as error:
            self.end()
            code = self._process.exitcode
            self._begin()
            return "wrong", "it hung" if isinstance(error, TimeoutError) else f"it crashed ({code})"
        if peak > MEMORY:
            self.end()
            self._begin()
            return "wrong", f"it took {peak / 2**20:.0f} MiB"
        return str(kind), str(said)


@dataclass
class Tally:
    """What came of how many files and bytes."""

    answers: collections.Counter[tuple[str, str]]
    sentences: collections.Counter[str]
    wrong: list[tuple[Path, str]]
    size: int = 0


def judge(seeds: list[bytes], seed: int, most: int, until: float, out: Path) -> Tally:
    """Open hostile files of so many bytes, until `time.monotonic` says so; what is wrong is kept in `out`."""
    tally, opening = Tally(collections.Counter(), collections.Counter(), []), Opening()
    try:
        for number, (what, data, ending) in enumerate(hostile(seeds, seed)):
            if tally.size >= most or time.monotonic() >= until:
                return tally
            path = out / f"{number:06}-{what}{ending}"
            path.write_bytes(data)
            kind, said = opening.open(path)
            tally.size += len(data)
            tally.answers[what, kind] += 1
            if kind == "sentence":
                tally.sentences[said.replace(str(path), "PATH")] += 1
            if kind == "wrong":
                tally.wrong.append((path, said))
                print(f"{path.name}: {said}", flush=True)
            else:
                path.unlink()
    finally:
        opening.end()
    raise AssertionError("hostile files never end")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m training.judging.hostile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--files", type=Path, required=True, nargs="+", help="folders of photos and projects")
    parser.add_argument("--megabytes", type=float, default=200.0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="where what is wrong is kept")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    files = sorted(path for folder in args.files for path in folder.iterdir() if path.is_file())
    seeds = [data for path in files if len(data := path.read_bytes()) < 4 * 2**20]
    until = time.monotonic() + 60 * args.minutes
    tally = judge(seeds, args.seed, round(args.megabytes * 1e6), until, args.out)
    for (what, kind), count in sorted(tally.answers.items()):
        print(f"{what:16} {kind:9} {count:6}")
    for said, count in tally.sentences.most_common():
        print(f"{count:6}  {said}")
    print(f"{tally.size / 1e6:.0f} MB, {sum(tally.answers.values())} files, {len(tally.wrong)} wrong.")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
