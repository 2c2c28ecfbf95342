"""A project's zip file: the same bytes every time, and one sentence for whatever a stranger may hand us."""

import io
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import BadProject
from core.projects import archive as module
from core.projects.archive import MIMETYPE, MIMETYPE_ENTRY, Archive, is_archive, pack

ENTRIES = {"project.json": b'{"a": 1}', "photo.png": bytes(range(256)) * 10}


def zipped(
    entries: list[tuple[str, bytes]],
    compression: int = zipfile.ZIP_STORED,
    change: Callable[[zipfile.ZipInfo], None] = lambda info: None,
) -> bytes:
    """A project with further entries, each `change`d before it is written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names, which are wanted here
        file.writestr(MIMETYPE_ENTRY, MIMETYPE)
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            change(info)
            file.writestr(info, content)
    return buffer.getvalue()


def assert_one_sentence(error: BaseException, *words: str) -> None:
    message = str(error)
    assert message.endswith(".")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_what_was_packed_comes_out_again(tmp_path: Path) -> None:
    data = pack(ENTRIES)
    path = tmp_path / "a.visagist"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        archive = Archive(source)
        assert archive.names == tuple(ENTRIES)
        assert {name: archive.read(name, 2560) for name in archive.names} == ENTRIES


def test_the_same_entries_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(ENTRIES)
    monkeypatch.setattr("time.localtime", lambda *_: (2040, 1, 2, 3, 4, 5, 0, 0, 0))
    monkeypatch.setattr("sys.platform", "win32")
    assert pack(ENTRIES) == data


def test_any_zip_program_reads_it() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(ENTRIES))) as file:
        assert file.testzip() is None
        assert file.namelist() == [MIMETYPE_ENTRY, *ENTRIES]
        assert file.read(MIMETYPE_ENTRY) == MIMETYPE


def test_entries_may_be_deflated() -> None:
    archive = Archive(zipped(list(ENTRIES.items()), zipfile.ZIP_DEFLATED))
    assert archive.read("photo.png", 2560) == ENTRIES["photo.png"]


def test_a_project_is_told_by_its_first_bytes_not_by_its_name(tmp_path: Path) -> None:
    data = pack(ENTRIES)
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    assert is_archive(data)
    assert is_archive(path)
    assert is_archive(data[:200])  # cut short, but one of ours: its error should say so
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("word/document.xml", "<w/>")
    for no in (other.getvalue(), b"", data[:50], b"\x89PNG\r\n", tmp_path / "missing", tmp_path, "a\0b"):
        assert not is_archive(no)


def no_zip() -> bytes:
    return b"\xff\xd8\xff\xe0 a photo"


def other_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("word/document.xml", "<w/>")
    return buffer.getvalue()


def symlink(info: zipfile.ZipInfo) -> None:
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16


def encrypted() -> bytes:
    data = bytearray(pack(ENTRIES))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1  # the flag in the last entry of the central directory
    return bytes(data)


def zip64() -> bytes:
    """A valid one: its further directory could be of any size."""
    data = pack(ENTRIES)
    body, (_, count, size, place) = data[:-22], struct.unpack_from("<2H2L", data, len(data) - 14)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, place)
    return body + record + struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1) + data[-22:]


def with_end(**change: int) -> bytes:
    data = pack(ENTRIES)
    values = dict(
        zip(("count", "size", "place"), struct.unpack_from("<HLL", data, len(data) - 12), strict=True)
    )
    values.update(change)
    return data[:-12] + struct.pack("<HLL", *values.values()) + data[-2:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["empty"]),
        (no_zip(), ["This file is no Visagist project"]),
        (other_zip(), ["This zip file is no Visagist project"]),
        (pack(ENTRIES)[:-1], ["damaged or incomplete"]),
        (pack(ENTRIES) + b"\0", ["damaged or incomplete"]),
        (pack(ENTRIES)[: module._NAME_AT + len(module._START)], ["damaged or incomplete"]),
        (zip64(), ["damaged or incomplete"]),
        (with_end(size=10), ["damaged or incomplete"]),
        (with_end(size=2**31), ["far more than the 1000 entries"]),
        (with_end(count=60000), ["far more than the 1000 entries"]),
        (zipped([(f"{i}", b"") for i in range(1001)]), ["far more than the 1000 entries"]),
        (zipped([("a", b"1"), ("a", b"2")]), ["twice"]),
        (zipped([(MIMETYPE_ENTRY, MIMETYPE)]), ["twice"]),
        (zipped([("photo.png", b"/etc/passwd")], change=symlink), ["link or a folder"]),
        (zipped([("folder/", b"")]), ["link or a folder"]),
        (zipped([("a", b"1")], zipfile.ZIP_BZIP2), ["packed in a way"]),
        (encrypted(), ["encrypted"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_no_whole_project_is_one_sentence(data: bytes, words: list[str]) -> None:
    with pytest.raises(BadProject) as raised:
        Archive(data)
    assert_one_sentence(raised.value, *words)


@pytest.mark.parametrize("name", ["missing.visagist", "a\0b", "."])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadProject) as raised:
        Archive(str(tmp_path / name))
    assert_one_sentence(raised.value, "cannot be read", "check its path")


def test_a_bomb_is_not_unpacked() -> None:
    data = zipped([("photo.png", bytes(100_000_000))], zipfile.ZIP_DEFLATED)
    assert len(data) < 200_000
    archive = Archive(data)
    tracemalloc.start()
    with pytest.raises(BadProject) as raised:
        archive.read("photo.png", 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert_one_sentence(raised.value, "photo.png", "far too large")


def test_a_bomb_whose_header_lies_is_not_unpacked_either() -> None:
    data = bytearray(zipped([("photo.png", bytes(100_000_000))], zipfile.ZIP_DEFLATED))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", data, data.rindex(signature) + offset, 1000)
    archive = Archive(bytes(data))
    tracemalloc.start()
    with pytest.raises(BadProject):
        archive.read("photo.png", 1_000_000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_many_entries_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(BadProject, match="too large: unpacked"):
        Archive(zipped([(f"{i}", bytes(600_000)) for i in range(2)], zipfile.ZIP_DEFLATED))
    with pytest.raises(BadProject, match="too large: it takes"):
        Archive(zipped([("a", bytes(2**20))]))


def test_an_entry_that_is_missing_or_damaged_is_one_sentence() -> None:
    data = bytearray(pack(ENTRIES))
    data[data.index(b'{"a"') + 1] ^= 1
    archive = Archive(bytes(data))
    with pytest.raises(BadProject, match="damaged"):
        Archive(with_end(place=2**31)).read("photo.png", 2560)
    for name, words in (("project.json", "damaged"), ("tensors.safetensors", "lacks tensors.safetensors")):
        with pytest.raises(BadProject) as raised:
            archive.read(name, 1000)
        assert_one_sentence(raised.value, words)
