"""Standard input, output and error: what they cannot give or take ends in a sentence, not in a traceback."""

import contextlib
import io
import os
import sys
import warnings
from typing import Any, TextIO

from core.errors import BadRequest
from core.files import write_whole

# Among paths, standard input or output; and what a picture there would be called.
STANDARD, PICTURE, CLIP = "-", "picture.png", "clip.mp4"
# What a shell says of a process whose reader went away (128 and the number of SIGPIPE).
CLOSED_PIPE = 141


class Undelivered(Exception):
    """Standard output takes no more. Its message is one sentence, or "" where nobody reads it any more."""


def prepare() -> None:
    """Let the streams take names that they cannot print; one that is closed swallows what it is told.

    What libraries warn of is for developers, who ask for it with -W.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(message: object) -> None:
    """A line on standard error, if that can be."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def deliver(stream: TextIO, content: str | bytes) -> None:
    """Write all of it now.

    Raises: Undelivered; whatever else would go there is lost.
    """
    try:
        if isinstance(content, bytes):
            stream.buffer.write(content)
        else:
            stream.write(content)
        stream.flush()
    except BrokenPipeError as error:
        _abandon(stream)
        raise Undelivered("") from error
    except OSError as error:
        _abandon(stream)
        raise Undelivered(f"Standard output cannot be written: {error.strerror}.") from error


def write(stdout: TextIO, out: str, data: bytes) -> None:
    """Write a file, or to standard output where `out` is STANDARD.

    Raises: CannotWrite, Undelivered.
    """
    if out == STANDARD:
        deliver(stdout, data)
    else:
        write_whole(out, data)


def _abandon(stream: TextIO) -> None:
    """What is left in its buffer goes nowhere; or Python would try, and fail, once more when it ends."""
    with contextlib.suppress(OSError, ValueError):  # of a test's stream, which is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def standard_input(limit: int) -> bytes:
    """All of standard input, or what is in it beyond `limit` bytes by one.

    Raises: BadRequest if it is a terminal, closed, or cannot be read.
    """
    stream: Any = sys.stdin
    if stream is None or stream.isatty():
        raise BadRequest("Nothing is piped into standard input; give a file's path instead of -.")
    try:
        content: bytes = stream.buffer.read(limit + 1)
    except OSError as error:
        raise BadRequest(f"Standard input cannot be read: {error.strerror}.") from error
    return content


def check_output(stream: TextIO, as_json: bool) -> None:
    """Raises: BadRequest if a picture cannot go to standard output."""
    if as_json:
        raise BadRequest("With --json, standard output is for JSON alone; give --out a file.")
    if stream.isatty():
        raise BadRequest("Standard output is a terminal; redirect it, or give --out a file.")
