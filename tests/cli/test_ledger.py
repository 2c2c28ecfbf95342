"""cli.ledger: what counts as done, and what of a damaged ledger still does."""

import errno
import json
import os
from pathlib import Path

import pytest

from cli.ledger import LEDGER, Ledger, key_of
from core.errors import BadImage, CannotWrite

ANSWER = {"out": "a.png", "sliders": {"smile": 1.5}}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A picture that was written and noted, by the key k."""
    path = tmp_path / "sub" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"picture")
    Ledger(tmp_path).add(path, "k", ANSWER)
    return path


def test_what_was_noted_is_done_and_nothing_else(tmp_path: Path, out: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.answer(out, "k") == ANSWER
    assert ledger.answer(out, "another") is None
    assert ledger.answer(tmp_path / "a.png", "k") is None
    assert Ledger(tmp_path / "sub").answer(out, "k") is None


@pytest.mark.parametrize("content", [b"pictures", b"", None])
def test_a_picture_that_was_changed_or_lost_is_done_again(
    tmp_path: Path, out: Path, content: bytes | None
) -> None:
    out.unlink()
    if content is not None:
        out.write_bytes(content)
    assert Ledger(tmp_path).answer(out, "k") is None


def test_the_last_line_of_a_picture_counts(tmp_path: Path, out: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(out, "later", {"n": 2})
    for again in (ledger, Ledger(tmp_path)):
        assert again.answer(out, "later") == {"n": 2}
        assert again.answer(out, "k") is None


def test_a_line_that_was_cut_short_costs_that_line_alone(tmp_path: Path, out: Path) -> None:
    file = tmp_path / LEDGER
    whole = file.read_bytes()
    second = tmp_path / "b.png"
    second.write_bytes(b"second")
    Ledger(tmp_path).add(second, "k", {"n": 2})
    both = file.read_bytes()
    for end in range(len(whole), len(both)):
        file.write_bytes(both[:end])
        ledger = Ledger(tmp_path)
        assert (ledger.answer(out, "k"), ledger.answer(second, "k")) == (ANSWER, None)
        ledger.add(second, "k", {"n": 2})  # on a line of its own
        assert Ledger(tmp_path).answer(second, "k") == {"n": 2}


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"null", b"[]", b"{}", b"[" * 100_000,
        b'{"out": 1, "key": "k", "sha256": "", "answer": {}}',
        b'{"out": "sub/a.png", "key": "k", "sha256": "x", "answer": 3}',
    ],
    ids=lambda line: str(line[:20]),
)  # fmt: skip
def test_lines_that_are_none_are_passed_over(tmp_path: Path, out: Path, line: bytes) -> None:
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(b"\n" + line)
    assert Ledger(tmp_path).answer(out, "k") == ANSWER


def test_a_full_disk_is_one_sentence(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        Ledger(tmp_path).add(out, "k", ANSWER)


def test_the_key_is_of_the_bytes_and_of_what_is_asked(tmp_path: Path) -> None:
    photo, copy = tmp_path / "a.png", tmp_path / "b.png"
    photo.write_bytes(b"photo")
    copy.write_bytes(b"photo")
    asked = {"sliders": {"smile": 1.0, "age": 2}, "face": None}
    key = key_of(photo, asked)
    assert key == key_of(copy, json.loads(json.dumps({"face": None, "sliders": {"age": 2, "smile": 1.0}})))
    assert key != key_of(photo, {**asked, "face": 0})
    copy.write_bytes(b"phot")
    assert key != key_of(copy, asked)
    with pytest.raises(BadImage, match="No such file"):
        key_of(tmp_path / "missing", asked)
