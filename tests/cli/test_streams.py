"""cli.streams: what cannot be printed, read or handed over."""

import io
import os
import sys

import pytest

from cli import streams
from cli.streams import Undelivered, deliver, say, standard_input
from core.errors import BadRequest


def piped(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content))


def test_a_name_that_cannot_be_printed_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    streams.prepare()
    deliver(stream, "grün\udcff.png\n")
    assert stream.buffer.getvalue() == b"gr\\xfcn\\udcff.png\n"


def test_streams_that_were_closed_swallow_what_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    streams.prepare()
    say("to nobody")
    deliver(sys.stdout, "to nobody")
    for stream in (sys.stdout, sys.stderr):
        assert stream.name == os.devnull
        stream.close()


@pytest.mark.parametrize("content", ["text", b"bytes" * 100_000])
def test_a_reader_that_went_away_is_no_sentence(content: str | bytes) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        with pytest.raises(Undelivered, match=r"^$"):
            deliver(stream, content)
        deliver(stream, "the rest goes nowhere")


@pytest.mark.parametrize("content", ["text", b"bytes" * 100_000])
def test_a_full_disk_behind_standard_output_is_one_sentence(content: str | bytes) -> None:
    with open("/dev/full", "w") as stream:
        with pytest.raises(Undelivered, match=r"^Standard output cannot be written: No space left.*\.$"):
            deliver(stream, content)
        deliver(stream, "the rest goes nowhere")


def test_standard_error_that_is_full_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        say("one")
        say("two")


def test_standard_input_is_read_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for content, read in ((b"abc", b"abc"), (b"abcdef", b"abcde"), (b"", b"")):
        monkeypatch.setattr(sys, "stdin", piped(content))
        assert standard_input(4) == read


def test_a_terminal_and_a_closed_input_are_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = piped(b"")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    for stream in (terminal, None):
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(BadRequest, match=r"^Nothing is piped"):
            standard_input(4)


def test_a_picture_does_not_go_to_a_terminal_nor_among_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = piped(b"")
    streams.check_output(stream, as_json=False)
    with pytest.raises(BadRequest, match="JSON alone"):
        streams.check_output(stream, as_json=True)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    with pytest.raises(BadRequest, match="is a terminal"):
        streams.check_output(stream, as_json=False)
