"""core.pictures.named_spaces: pictures that name a space, and what is seen then."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from picture_files import ADOBE_GAMMA, ADOBE_RGB, DISPLAY_P3, in_profile, matrix_profile, saved
from PIL import Image
from PIL.ExifTags import IFD

from core.pictures import colour, named_spaces
from core.pictures.named_spaces import rgb_profile
from core.pictures.native import Native
from core.pictures.reading import decode


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("primaries", "gamma", "profile"),
    [
        (DISPLAY_P3, None, rgb_profile("Display P3", named_spaces.DISPLAY_P3, None)),
        (ADOBE_RGB, ADOBE_GAMMA, rgb_profile("Adobe RGB", named_spaces.ADOBE_RGB, ADOBE_GAMMA)),
    ],
)
def test_the_profiles_mean_what_the_spaces_do(
    primaries: np.ndarray, gamma: float | None, profile: bytes
) -> None:
    apart = colour.from_srgb(noise(), profile, 3) - in_profile(noise(), primaries, gamma)
    assert np.abs(apart).max() <= 1.5
    assert np.abs(apart).mean() < 0.3
    assert colour.name(profile) in ("Display P3", "Adobe RGB")


def interop(index: str) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(IFD.Exif)[IFD.Interop] = {1: index}
    return exif


def named(data: bytes) -> Native:
    return decode(data).native


def test_a_camera_s_word_for_adobe_rgb_is_heard() -> None:
    picture = Image.fromarray(noise())
    profile = named(saved(picture, "JPEG", exif=interop("R03"))).profile
    assert profile is not None
    assert colour.name(profile) == "Adobe RGB"
    assert named(saved(picture, "JPEG", exif=interop("R98"))).profile is None
    own = matrix_profile(DISPLAY_P3, None, "Its own")
    assert named(saved(picture, "JPEG", exif=interop("R03"), icc_profile=own)).profile == own
    assert named(saved(picture.convert("L"), "JPEG", exif=interop("R03"))).profile is None


@pytest.mark.parametrize(("primaries", "name"), [(12, "Display P3"), (1, None), (9, None)])
def test_a_heic_s_number_for_display_p3_is_heard(primaries: int, name: str | None) -> None:
    picture = pillow_heif.from_pillow(Image.fromarray(noise()))
    buffer = io.BytesIO()
    options = {"color_primaries": primaries, "transfer_characteristics": 13, "matrix_coefficients": 6}
    picture.save(buffer, quality=90, save_nclx_profile=True, full_range_flag=1, **options)
    assert struct.pack(">HHH", *options.values()) in buffer.getvalue()
    profile = named(buffer.getvalue()).profile
    assert (profile and colour.name(profile)) == name
