"""What a batch has written into a folder, so that it goes on where it was stopped."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from core.bundle_files import file_hash
from core.errors import BadImage, CannotWrite

LEDGER = ".visagist.jsonl"


class Ledger:
    """Of one folder: a line of JSON for each picture, in a hidden file beside them.

    A picture is done where a line has its name, the key of what was asked, and the hash of the picture as it
    is there: another photo, another edit or model, a picture that was changed or lost are done again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / LEDGER
        try:
            text = self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""  # of a folder that is new
        found = (_parsed(line) for line in text.splitlines())
        self._lines = {line["out"]: line for line in found if line is not None}

    def answer(self, out: Path, key: str) -> dict[str, Any] | None:
        """What was said of this picture when it was written; None where it is to be done."""
        line = self._lines.get(self._name(out))
        if line is None or line["key"] != key:
            return None
        try:
            there = file_hash(out)
        except OSError:
            return None
        return line["answer"] if there == line["sha256"] else None

    def add(self, out: Path, key: str, answer: dict[str, Any]) -> None:
        """Note that this picture is whole on the disk.

        Raises: CannotWrite.
        """
        line = {"out": self._name(out), "key": key, "sha256": file_hash(out), "answer": answer}
        try:
            with self._file.open("ab") as file:
                # In front: a line that a kill or a full disk cut short ends there, and is no JSON.
                file.write(f"\n{json.dumps(line, allow_nan=False)}".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotWrite(f"Cannot write {str(self._file)!r}: {error.strerror}.") from error
        self._lines[line["out"]] = line

    def _name(self, out: Path) -> str:
        return str(out.relative_to(self._folder))


def key_of(source: Path, asked: object) -> str:
    """Equal where the same bytes are edited in the same way; asked: a JSON value.

    Raises: BadImage if the file cannot be read.
    """
    try:
        content = file_hash(source)
    except OSError as error:
        raise BadImage(f"The picture cannot be read ({error.strerror}); check its path.") from error
    text = json.dumps([content, asked], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(text: str) -> dict[str, Any] | None:
    """A line, if it is whole."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not isinstance(line.get("answer"), dict):
        return None
    return line if all(isinstance(line.get(name), str) for name in ("out", "key", "sha256")) else None
