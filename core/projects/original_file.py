"""The file that a project's photo was opened from, as the project keeps it: the same pixels, and no place."""

import numpy as np

from core.errors import BadImage
from core.images import Original, open_photo
from core.pictures.jpeg_file import with_exif
from core.pictures.limits import Limits
from core.pictures.writing import fit, write
from core.projects.strict_json import refuse

# With the photo that is worked on and all else, below what a project file may be.
MAX_ORIGINAL_BYTES = 256 * 2**20
# How far, as a share, the sides of photo and original may be from one scale: rounding, of the smallest photo.
_ROUNDED = 1 / 16


def pack_original(original: Original) -> bytes | None:
    """The original as a file to keep; None where that is too large, and the photo has to do.

    A JPEG stays the JPEG that it is, unless it was cropped: what was left out is in no file. Any other is
    written anew, without loss: what else a file of that kind may say, and where, nobody knows.
    """
    if original.data.startswith(b"\xff\xd8") and original.box is None:
        data = with_exif(original.data, original.metadata.exif, original.turns)
    else:
        native = original.native()
        data = write(fit(native, "TIFF" if native.mode == "CMYK" else "PNG"), original.metadata).data
    return data if len(data) <= MAX_ORIGINAL_BYTES else None


def read_original(data: bytes, photo: np.ndarray, limits: Limits) -> Original:
    """What `pack_original` made; photo: (H, W, 3), what is worked on.

    Raises: BadProject if it is no picture that the photo can be of.
    """
    try:
        original = open_photo(data, limits).original
    except BadImage:
        refuse("its original is no picture")
    assert original is not None
    scales = np.divide(original.size, photo.shape[1::-1])
    if scales.min() < 1 or scales.max() / scales.min() > 1 + _ROUNDED:
        refuse("its photo is not its original's")
    return original
