"""Files built to break who opens them: small on the disk, large or endless inside, or full of lies."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from core.projects.archive import MIMETYPE, MIMETYPE_ENTRY

ODD = (b"1e999", b"NaN", b"9" * 5000, b'"\\ud800"', b"-0", b"null", b'{"format":1,"format":1}', b"\xff\xfe")
HEADS = (
    b"", b"\xff\xd8\xff\xe0", b"RIFF\xff\xff\xff\x7fWEBPVP8L", b"GIF89a\xff\xff\xff\xff", b"BM", b"II*\0",
    b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"8BPS\0\1", b"\0\0\1\0", b"PK\3\4",
    b"P6\n99999 99999\n255\n", b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9'>", b"%PDF-1.4\n",
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
)  # fmt: skip

Bomb = Callable[[np.random.Generator], bytes]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(*chunks: bytes, size: tuple[int, int] = (64, 64), pixels: bytes | None = None) -> bytes:
    """An RGB file with these chunks before its pixels."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    raw = zlib.compress(bytes(64 * (1 + 3 * 64))) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", raw) + _chunk(b"IEND", b"")


def project(entries: dict[str, bytes], packed: bool = True) -> bytes:
    """A project's file with these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MIMETYPE_ENTRY), MIMETYPE)
        for name, content in entries.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return buffer.getvalue()


def text_bomb(rng: np.random.Generator) -> bytes:
    """A PNG whose words are 64 MiB when they are unpacked."""
    words = b"Comment\0\0" + zlib.compress(bytes(2**26), 9)
    return _png(_chunk(b"zTXt", words), _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + words[9:]))


def profile_bomb(rng: np.random.Generator) -> bytes:
    """A PNG whose colour profile is 64 MiB when it is unpacked."""
    return _png(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**26), 9)))


def huge_picture(rng: np.random.Generator) -> bytes:
    """A PNG that says it has up to four billion pixels a side."""
    size = int(rng.integers(30_000, 2**31)), int(rng.choice((1, 64, 30_000, 2**31 - 1)))
    return _png(size=size, pixels=zlib.compress(bytes(2**22), 9))


def many_texts(rng: np.random.Generator) -> bytes:
    """A PNG with thousands of words."""
    return _png(*[_chunk(b"tEXt", b"k%d\0v" % number) for number in range(20_000)])


def garbage_profile(rng: np.random.Generator) -> bytes:
    """A JPEG with noise for a colour profile, of the right signature now and then."""
    profile = bytearray(rng.bytes(int(rng.integers(1, 4000))))
    if len(profile) > 132 and rng.random() < 0.7:
        profile[:4] = struct.pack(">I", len(profile))
        profile[12:24], profile[36:40] = b"mntrRGB XYZ ", b"acsp"
        profile[128:132] = struct.pack(">I", int(rng.choice((1, 9, 2**31))))
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 150, 130)).save(buffer, "JPEG", icc_profile=bytes(profile))
    return buffer.getvalue()


def garbage_exif(rng: np.random.Generator) -> bytes:
    """A JPEG whose EXIF is noise behind a right beginning."""
    exif = b"Exif\0\0" + (b"II*\0\x08\0\0\0" if rng.random() < 0.5 else b"MM\0*\0\0\0\x08")
    tags = b"".join(
        struct.pack("<HHII", *(int(rng.integers(most)) for most in (2**16, 14, 2**32, 2**32)))
        for _ in range(int(rng.integers(1, 200)))
    )
    buffer = io.BytesIO()
    exif += struct.pack("<H", int(rng.integers(2**16))) + tags
    Image.new("RGB", (64, 48), (200, 150, 130)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def endless_tiff(rng: np.random.Generator) -> bytes:
    """A TIFF whose directories lead to each other."""
    tags = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, int(rng.choice((1, 5, 7, 8))))]
    tags += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, 64), (279, 4, 1, 2**31)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 8)


def zip_bomb(rng: np.random.Generator) -> bytes:
    """A project whose every entry is far larger than the file."""
    size = int(rng.choice((2**24, 2**27)))
    return project(dict.fromkeys(("project.json", "tensors.safetensors", "photo.png"), bytes(size)))


def deep_json(rng: np.random.Generator) -> bytes:
    """A project whose document is nested ten thousand times and more."""
    depth = int(rng.choice((10_000, 1_000_000)))
    opening, closing = (b"[", b"]") if rng.random() < 0.5 else (b'{"format":', b"}")
    return project({"project.json": opening * depth + b"1" + closing * depth})


def odd_json(rng: np.random.Generator) -> bytes:
    """A project whose document has numbers, names and letters that JSON or Python choke on."""
    value = ODD[int(rng.integers(len(ODD)))]
    document = b'{"format": ' + value + b"}"
    return project({"project.json": document, "tensors.safetensors": b"", "photo.png": b""})


def odd_tensors(rng: np.random.Generator) -> bytes:
    """A project whose tensors' header says it is longer than anything."""
    length = struct.pack("<Q", (2**63, 2**31, 8, 0)[int(rng.integers(4))])
    tensors = length + b'{"w_plus":{"dtype":"F32","shape":[1e9]'
    return project({"project.json": b"{}", "tensors.safetensors": tensors, "photo.png": b""}, packed=False)


def noise(rng: np.random.Generator) -> bytes:
    """Nothing at all, or noise behind the beginning of some format."""
    return HEADS[int(rng.integers(len(HEADS)))] + rng.bytes(int(rng.integers(0, 3000)))


BOMBS: tuple[Bomb, ...] = (
    text_bomb, profile_bomb, huge_picture, many_texts, garbage_profile, garbage_exif, endless_tiff,
    zip_bomb, deep_json, odd_json, odd_tensors, noise,
)  # fmt: skip
