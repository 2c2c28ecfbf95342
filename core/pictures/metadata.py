"""What a picture's file says beside its pixels, and what of that an export may say again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from core.pictures.rights import rights_of

# Who, when and with what; never pixels, offsets or sizes, which are another picture's after an edit.
_KEPT = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
# Of the camera's own block all but these: its maker's notes, whose offsets break when they are moved and
# which may say where it was; pointers; the size and the colours of the file that was.
_LEFT_OUT = (
    ExifTags.Base.MakerNote,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ColorSpace,
)
_DATES = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
# JPEG holds no longer block, and no camera's is near it once its thumbnail is gone.
MAX_BYTES = 60_000
# From an EXIF orientation to the one that shows the picture a quarter further, clockwise.
_QUARTER = {1: 6, 6: 3, 3: 8, 8: 1, 2: 7, 7: 4, 4: 5, 5: 2}


@dataclass(frozen=True)
class Metadata:
    """exif: a TIFF block, upright, without place, thumbnail and maker's notes; b"": nothing to say.

    says: in words, what is in it; withheld: what could be; place: whether the file knew where it was taken.
    """

    exif: bytes = b""
    says: tuple[str, ...] = ()
    place: bool = False
    withheld: tuple[str, ...] = ()

    @property
    def silent(self) -> "Metadata":
        """The same of a file that is to say nothing."""
        return Metadata(place=self.place, withheld=self.says)

    @classmethod
    def of(cls, image: ImageFile) -> "Metadata":
        """Of a loaded picture; nothing where what it says is damaged."""
        place = b"GPSLatitude" in _xmp(image)
        # Whatever a stranger wrote there: a bad note is no reason to refuse a good picture.
        try:
            given = image.getexif()
            place = place or bool(given.get_ifd(ExifTags.IFD.GPSInfo))
            base = {int(tag): given[tag] for tag in _KEPT if tag in given}
            base.update({tag: text for tag, text in rights_of(image, _xmp(image)).items() if tag not in base})
            camera = given.get_ifd(ExifTags.IFD.Exif)
            camera = {tag: value for tag, value in camera.items() if tag not in _LEFT_OUT}
            if not (base or camera):
                return cls(place=place)
            exif = _block(base, camera)
        except Exception:
            return cls(place=place)
        if len(exif) > MAX_BYTES:
            return cls(place=place)
        return cls(exif, tuple(_words(base, camera)), place)


def _block(base: Mapping[int, Any], camera: Mapping[int, Any]) -> bytes:
    """EXIF as PIL writes it, without the six bytes that JPEG has before it."""
    exif = Image.Exif()
    exif.update({ExifTags.Base.Orientation: 1, **_as_stored(base)})
    if camera:
        exif.get_ifd(ExifTags.IFD.Exif).update(_as_stored(camera))
    return exif.tobytes().removeprefix(b"Exif\x00\x00")


def entries(exif: bytes) -> tuple[dict[int, Any], dict[int, Any]]:
    """A `Metadata`'s block again: the picture's entries and the camera's, to be written."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    base = {tag: value for tag, value in block.items() if tag != ExifTags.IFD.Exif}
    return _as_stored(base), _as_stored(block.get_ifd(ExifTags.IFD.Exif))


def turned(exif: bytes, orientation: int) -> bytes:
    """A `Metadata`'s block for pixels that are to be turned yet: an EXIF orientation, 1 to 8."""
    base, camera = entries(exif)
    return _block({**base, ExifTags.Base.Orientation: orientation}, camera)


def orientation_turned(orientation: int, turns: int) -> int:
    """The EXIF orientation that shows the same pixels so many quarters further, clockwise."""
    for _ in range(turns % 4):
        orientation = _QUARTER[orientation]
    return orientation


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the EXIF block is missing or damaged, which costs no pixel."""
    try:
        found = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    # As many kinds as for pixels; a bad note is no reason to refuse a good picture.
    except Exception:
        return 1
    return found if 1 <= found <= 8 else 1


def _as_stored(entries: Mapping[int, Any]) -> dict[int, Any]:
    """PIL reads texts as Latin-1, whatever they are, and writes a question mark for what is not ASCII."""
    return {
        tag: value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value
        for tag, value in entries.items()
    }


def _words(base: Mapping[int, Any], camera: Mapping[int, Any]) -> list[str]:
    dated = ExifTags.Base.DateTime in base or any(tag in camera for tag in _DATES)
    owned = ExifTags.Base.Artist in base or ExifTags.Base.Copyright in base
    made = ExifTags.Base.Make in base or ExifTags.Base.Model in base
    return [word for word, there in (("date", dated), ("rights", owned), ("camera", made)) if there]


def _xmp(image: ImageFile) -> bytes:
    given = image.info.get("xmp", b"")
    return given if isinstance(given, bytes) else str(given).encode()
