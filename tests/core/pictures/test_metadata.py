"""core.pictures.metadata and rights: what of a photo's file may be said again."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from picture_files import png, png_chunk, saved
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from core.pictures.metadata import Metadata

PICTURE = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
DATE = "2024:05:01 12:00:00"


def camera_exif(**more: Any) -> Image.Exif:
    """As a phone writes it: who, when, with what, where, turned, with notes of its maker's."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Maker", "Phone 7"
    exif[Base.Orientation], exif[Base.Copyright] = 6, "Mine"
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: DATE, Base.ExposureTime: IFDRational(1, 60), Base.ExposureBiasValue: -0.5,
            Base.MakerNote: b"serial 1234, 51.5 N", Base.ExifImageWidth: 4000, Base.ExifImageHeight: 3000,
        }
    )  # fmt: skip
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 0.0)})
    return exif


def metadata_of(data: bytes) -> Metadata:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return Metadata.of(image)


def read_again(metadata: Metadata) -> Image.Exif:
    with Image.open(io.BytesIO(saved(PICTURE, "JPEG", exif=b"Exif\0\0" + metadata.exif))) as image:
        return image.getexif()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_who_when_and_with_what_stay_and_the_place_goes(kind: str) -> None:
    found = metadata_of(saved(PICTURE, kind, exif=camera_exif().tobytes()))
    assert found.says == ("date", "rights", "camera")
    assert found.place
    again = read_again(found)
    assert (again[Base.Model], again[Base.Copyright]) == ("Phone 7", "Mine")
    assert again[Base.Orientation] == 1  # pixels are written as they are seen
    camera = again.get_ifd(IFD.Exif)
    assert camera[Base.DateTimeOriginal] == DATE
    assert camera[Base.ExposureTime] == IFDRational(1, 60)
    assert camera[Base.ExposureBiasValue] == -0.5
    assert not again.get_ifd(IFD.GPSInfo)
    assert not set(camera) & {Base.MakerNote, Base.ExifImageWidth, Base.ExifImageHeight}
    assert b"51.5" not in found.exif


def test_the_picture_of_before_does_not_go_along_as_a_thumbnail() -> None:
    """Two directories by hand: the picture's with its camera, the thumbnail's with where it is."""
    first = struct.pack("<HHHI4sI", 1, Base.Make, 2, 4, b"Cam\0", 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, 9, 0)
    block = struct.pack("<2sHI", b"II", 42, 8) + first + second + b"thumbnail"
    data = saved(PICTURE, "JPEG", exif=b"Exif\0\0" + block)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(IFD.IFD1)[0x0202] == 9
    found = metadata_of(data)
    assert found.says == ("camera",)
    assert b"thumbnail" not in found.exif
    assert not read_again(found).get_ifd(IFD.IFD1)


def test_a_tiff_s_own_layout_is_not_said_of_another_picture() -> None:
    again = read_again(metadata_of(saved(PICTURE, "TIFF", exif=camera_exif().tobytes())))
    assert set(again) <= {Base.Make, Base.Model, Base.Orientation, Base.Copyright, IFD.Exif}


def test_texts_of_all_alphabets_keep_their_bytes() -> None:
    exif = Image.Exif()
    exif[Base.Copyright] = "© Jörg".encode()
    found = metadata_of(saved(PICTURE, "JPEG", exif=exif))
    assert "© Jörg".encode() in found.exif


def test_a_file_that_says_nothing_says_nothing() -> None:
    assert metadata_of(saved(PICTURE, "JPEG")) == Metadata()


def test_an_orientation_alone_is_nothing_to_say() -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    assert metadata_of(saved(PICTURE, "JPEG", exif=exif)) == Metadata()


def test_a_block_longer_than_jpeg_s_is_left_out() -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = "a" * 64_000
    data = png(16, 16, 8, 0, bytes(17) * 16, png_chunk(b"eXIf", exif.tobytes()[6:]))
    assert metadata_of(data) == Metadata()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"Exif\0\0II*\0\xff\xff\xff\x7f"]
)
def test_damaged_notes_are_none(exif: bytes) -> None:
    assert metadata_of(saved(PICTURE, "JPEG", exif=exif)).exif == b""


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"><rdf:Description {place}>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">&#169; An &amp; Co</rdf:li></rdf:Alt></dc:rights>
<dc:creator><rdf:Seq><rdf:li>An</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_an_editor_s_word_on_rights_is_kept() -> None:
    found = metadata_of(saved(PICTURE, "JPEG", xmp=XMP.format(place="").encode()))
    assert found.says == ("rights",)
    assert not found.place
    assert read_again(found)[Base.Artist] == "An"
    assert "© An & Co".encode() in found.exif


def test_a_place_in_xmp_is_a_place() -> None:
    xmp = XMP.format(place='exif:GPSLatitude="51,30.0N"').encode()
    assert metadata_of(saved(PICTURE, "JPEG", xmp=xmp)).place


def test_an_agency_s_word_on_rights_is_kept() -> None:
    """IPTC in Photoshop's block of a JPEG: record 2, data sets 80 and 116."""
    iptc = b"".join(b"\x1c\x02" + bytes([n, 0, len(t)]) + t for n, t in ((80, b"An"), (116, b"Agency")))
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc
    data = saved(PICTURE, "JPEG")
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    found = metadata_of(data[:2] + segment + data[2:])
    assert found.says == ("rights",)
    assert (read_again(found)[Base.Artist], read_again(found)[Base.Copyright]) == ("An", "Agency")


def test_exif_s_own_word_on_rights_comes_first() -> None:
    data = saved(PICTURE, "JPEG", exif=camera_exif(), xmp=XMP.format(place="").encode())
    assert read_again(metadata_of(data))[Base.Copyright] == "Mine"
