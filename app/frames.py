"""A frame on the wire: 28 bytes that say what it is, then a JPEG (app/frames.js reads it)."""

import struct
from dataclasses import dataclass

VERSION, KEY = 1, 1
# Version, kind, milliseconds, sequence number, number of the axis, value, then six sizes; network byte order.
_HEADER = struct.Struct(">BBHIIf6H")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True)
class Frame:
    """One picture of an axis at `value`.

    sequence: counts a connection's frames. axis: another number, other keys. box: (left, top, width, height)
    of what `jpeg` shows in a picture of (width, height) `size`, in pixels; the rest is the photo as it is.
    milliseconds: that the server took to make it.
    """

    sequence: int
    axis: int
    value: float
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    milliseconds: int
    jpeg: bytes

    def packed(self) -> bytes:
        """As one binary message."""
        took = min(self.milliseconds, 2**16 - 1)
        head = _HEADER.pack(
            VERSION, KEY, took, self.sequence, self.axis, self.value, *self.size, *self.box
        )  # fmt: skip
        return head + self.jpeg

    @classmethod
    def unpacked(cls, message: bytes) -> "Frame":
        """Inverse of `packed`. Raises: ValueError on another version or kind."""
        version, kind, took, sequence, axis, value, *sizes = _HEADER.unpack_from(message)
        if (version, kind) != (VERSION, KEY):
            raise ValueError(f"a frame of version {version} and kind {kind}")
        size, box = (sizes[0], sizes[1]), (sizes[2], sizes[3], sizes[4], sizes[5])
        return cls(sequence, axis, value, size, box, took, message[HEADER_BYTES:])
