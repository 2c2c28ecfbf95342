"""A project's file in parts, so that who has most of them already need be given the others alone."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.images import Original, encode_png
from core.keys import content_hash
from core.projects.archive import pack
from core.projects.original_file import pack_original


@dataclass(frozen=True, eq=False)
class Part:
    """One entry of a project's file, made when it is asked for.

    key: equal keys are equal contents, however they were packed. make: its bytes; None: the file goes
    without it.
    """

    key: str
    make: Callable[[], bytes | None]

    @classmethod
    def of(cls, content: bytes) -> "Part":
        """Of what is packed already."""
        return cls(hashlib.sha256(content).hexdigest(), lambda: content)


def png_part(picture: np.ndarray) -> Part:
    """A picture (H, W, 3) uint8, as PNG."""
    return Part(content_hash(picture), lambda: encode_png(picture))


def original_part(original: Original) -> Part:
    """The file that the photo was opened from, as a project keeps it."""
    digest = hashlib.sha256(original.data)
    digest.update(repr((original.turns, original.box)).encode())  # another picture of the same file
    return Part(digest.hexdigest(), lambda: pack_original(original))


def assembled(parts: Mapping[str, Part]) -> bytes:
    """The file of these entries, in this order."""
    made = {name: part.make() for name, part in parts.items()}
    return pack({name: content for name, content in made.items() if content is not None})
