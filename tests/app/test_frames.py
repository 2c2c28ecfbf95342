"""A frame's bytes, against the format written out once more."""

import pytest

from app.frames import HEADER_BYTES, Frame

FRAME = Frame(7, 2**32 - 1, -1.25, (768, 1024), (3, 4, 500, 600), 70000, b"jpeg")


def test_the_header_is_as_the_page_reads_it() -> None:
    data = FRAME.packed()
    assert HEADER_BYTES == 28
    assert data[:4] == bytes([1, 1, 0xFF, 0xFF])  # the milliseconds that fit
    assert data[4:12] == bytes([0, 0, 0, 7, 255, 255, 255, 255])
    assert data[12:16] == bytes([0xBF, 0xA0, 0, 0])  # -1.25 in IEEE 754
    sizes = [int.from_bytes(data[16 + 2 * i : 18 + 2 * i], "big") for i in range(6)]
    assert sizes == [768, 1024, 3, 4, 500, 600]
    assert data[28:] == b"jpeg"


def test_it_is_read_as_it_was_written() -> None:
    again = Frame.unpacked(FRAME.packed())
    assert (again.sequence, again.axis, again.value, again.size, again.box, again.jpeg) == (
        (FRAME.sequence, FRAME.axis, FRAME.value, FRAME.size, FRAME.box, FRAME.jpeg)
    )  # fmt: skip


def test_another_version_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match="version 9"):
        Frame.unpacked(b"\x09" + FRAME.packed()[1:])
