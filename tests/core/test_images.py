"""core.images: the tensor border, and files that strangers send."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import DISPLAY_P3, in_profile, matrix_profile, png, png16, png_chunk, press_profile, saved
from PIL import Image

from core.errors import BadImage, BadRequest
from core.images import (
    WORKING_PIXELS,
    encode_jpeg,
    encode_png,
    open_image,
    open_photo,
    save_image,
    to_array,
    to_tensor,
)
from core.pictures.limits import Limits


@pytest.fixture
def pixels() -> np.ndarray:
    """(24, 40, 3) uint8, every value different from its neighbours."""
    return np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def assert_one_sentence(error: BadImage | BadRequest) -> None:
    message = str(error)
    assert message[0].isupper()
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message


# --- tensors -----------------------------------------------------------------------------------------


def test_to_tensor_is_the_plain_formula(pixels: np.ndarray) -> None:
    tensor = to_tensor(pixels)
    assert tensor.shape == (1, 3, 24, 40)
    assert tensor.dtype == torch.float32
    for y, x, c in ((0, 0, 0), (3, 17, 1), (23, 39, 2)):
        assert tensor[0, c, y, x].item() == pytest.approx(pixels[y, x, c] / 127.5 - 1, abs=1e-6)


def test_every_byte_survives_the_round_trip() -> None:
    batch = np.arange(256, dtype=np.uint8).repeat(6).reshape(2, 16, 16, 3)
    batch.setflags(write=False)
    assert np.array_equal(to_array(to_tensor(batch)), batch)


def test_to_tensor_makes_its_own_memory(pixels: np.ndarray) -> None:
    tensor = to_tensor(pixels)
    before = tensor.clone()
    pixels[:] = 0
    assert torch.equal(tensor, before)


def test_to_tensor_in_half_precision_is_within_half_a_step(pixels: np.ndarray) -> None:
    tensor = to_tensor(pixels, dtype=torch.float16)
    assert tensor.dtype == torch.float16
    assert np.array_equal(to_array(tensor)[0], pixels)


def test_to_array_rounds_and_clips() -> None:
    values = torch.tensor([-7.0, -1.0, 10.6 / 127.5 - 1, 10.4 / 127.5 - 1, 1.0, 3.0])
    row = to_array(values.view(1, 1, 1, 6).expand(1, 3, 1, 6))
    assert row[0, 0, :, 0].tolist() == [0, 0, 11, 10, 255, 255]


# --- sources and encoders ----------------------------------------------------------------------------


def test_path_bytes_and_file_object_open_alike(pixels: np.ndarray, tmp_path: Path) -> None:
    data = saved(Image.fromarray(pixels), "PNG")
    path = tmp_path / "a picture.png"
    path.write_bytes(data)
    for source in (data, path, str(path), io.BytesIO(data)):
        opened = open_image(source)
        assert opened.dtype == np.uint8
        assert np.array_equal(opened, pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_are_exact(pixels: np.ndarray, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(open_image(saved(Image.fromarray(pixels), kind, **options)), pixels)


def test_encode_png_is_exact_and_jpeg_close(photo: np.ndarray) -> None:
    assert np.array_equal(open_image(encode_png(photo)), photo)
    error = open_image(encode_jpeg(photo, quality=95)).astype(float) - photo
    assert np.sqrt((error**2).mean()) < 3
    assert len(encode_jpeg(photo, quality=50)) < len(encode_jpeg(photo, quality=95))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.tiff", "TIFF")],
)
def test_save_image_follows_the_suffix(pixels: np.ndarray, tmp_path: Path, name: str, kind: str) -> None:
    save_image(pixels, tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
        assert image.size == (40, 24)


@pytest.mark.parametrize("name", ["a.xyz", "a", "no/such/folder/a.png"])
def test_save_image_refuses_in_one_sentence(pixels: np.ndarray, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        save_image(pixels, tmp_path / name)
    assert_one_sentence(caught.value)


# --- files that are no picture, or too much of one ---------------------------------------------------


def noise_jpeg() -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise), "JPEG")


def noise_png() -> bytes:
    return encode_png(open_image(noise_jpeg()))


def broken_png_checksum() -> bytes:
    data = bytearray(noise_png())
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def text_bomb_png() -> bytes:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 100_000_000, 9))
    return png(16, 16, 8, 0, b"\0" * 17 * 16, extra=text)


def fake_gif_frame() -> bytes:
    """A 16 x 16 GIF whose only frame says it is 65535 x 65535."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;"


HOSTILE = {
    "zero bytes": b"",
    "text": b"Dear sir, please find my portrait attached.\n" * 20,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
    "truncated jpeg": noise_jpeg()[:2000],
    "jpeg header only": noise_jpeg()[:200],
    "truncated png": noise_png()[: len(noise_png()) // 2],
    "png signature only": noise_png()[:8],
    "broken png": broken_png_checksum(),
    "random bytes": np.random.default_rng(2).bytes(5000),
    "jpeg start, then garbage": b"\xff\xd8\xff\xe0" + np.random.default_rng(3).bytes(5000),
    "tiff start, then garbage": b"II*\0\x08\0\0\0" + np.random.default_rng(4).bytes(5000),
    "webp start, then garbage": b"RIFF\x88\x13\0\0WEBPVP8 " + np.random.default_rng(5).bytes(5000),
    "text bomb": text_bomb_png(),
    "gif with a giant frame": fake_gif_frame(),
    "1 px wide": saved(Image.new("RGB", (1, 300)), "PNG"),
    "1 px high": saved(Image.new("RGB", (300, 1)), "PNG"),
    "15 px": saved(Image.new("RGB", (15, 15)), "PNG"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(BadImage) as caught:
        open_image(HOSTILE[name])
    assert_one_sentence(caught.value)


def test_unreadable_paths_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for source in (tmp_path / "missing.png", tmp_path, "nul\0byte.png"):
        with pytest.raises(BadImage) as caught:
            open_image(source)
        assert_one_sentence(caught.value)


def test_formats_beyond_the_list_are_refused() -> None:
    picture = Image.new("RGB", (32, 32))
    for kind in ("PPM", "TGA", "ICNS", "PCX"):
        with pytest.raises(BadImage, match="not a picture"):
            open_image(saved(picture, kind))


def test_a_file_that_never_ends_is_read_only_so_far() -> None:
    limits = Limits(300)

    class Endless:
        def read(self, size: int) -> bytes:
            assert size == limits.file_bytes + 1
            return b"\x89" * size

    with pytest.raises(BadImage, match="larger than"):
        open_photo(Endless(), limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height"), [(50_000, 50_000), (30_001, 100), (100, 30_001), (20_000, 10_001), (25_000, 25_000)]
)
def test_giant_pngs_are_refused_before_decoding(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An error raised here would be caught by open_image itself, so leave a trace instead.
    decoded: list[object] = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self))
    with pytest.raises(BadImage, match="reduce it to at most 200 megapixels") as caught:
        open_image(png(width, height, 8, 2, b""))
    assert not decoded
    assert_one_sentence(caught.value)


def test_a_real_bomb_is_refused() -> None:
    """210 megapixels of nothing in a few kilobytes; and less, where whoever serves takes less."""
    for pixels, limits in ((210_000_000, Limits()), (60_000_000, Limits(40_000_000))):
        rows = pixels // 10_000
        data = png(10_000, rows, 1, 0, bytes(1251) * rows)
        assert len(data) < 60_000
        with pytest.raises(BadImage, match="reduce it"):
            open_photo(data, limits)


def test_the_largest_allowed_sides_are_taken() -> None:
    assert open_image(png(30_000, 16, 1, 0, bytes(3751) * 16)).shape == (16, 30_000, 3)
    assert open_image(png(16, 16, 8, 0, bytes(17) * 16)).shape == (16, 16, 3)


def test_the_largest_photos_of_phones_open_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    """PIL warns of 90 megapixels and refuses 180; one bit a pixel makes them small enough for a test."""
    photo = open_photo(png(12_000, 9000, 1, 0, bytes(1501) * 9000))
    assert photo.original is not None
    assert photo.original.size == (12_000, 9000)
    assert photo.pixels.shape[0] * photo.pixels.shape[1] <= WORKING_PIXELS
    assert not recwarn.list


# --- what is worked on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_more_than_is_worked_on_is_averaged(photo: np.ndarray, kind: str) -> None:
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    opened = open_photo(saved(Image.fromarray(photo), kind, **options), working=128 * 128)
    assert opened.pixels.shape == (128, 128, 3)
    expected = photo.reshape(128, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(opened.pixels - expected).mean() < (0.5 if kind == "PNG" else 3)
    assert opened.original is not None
    assert opened.original.size == (512, 512)
    assert opened.original.native().size == (512, 512)


def test_a_small_photo_is_worked_on_as_it_is(pixels: np.ndarray) -> None:
    assert np.array_equal(open_photo(saved(Image.fromarray(pixels), "PNG"), working=24 * 40).pixels, pixels)


def test_wide_colours_are_worked_on_in_srgb(photo: np.ndarray) -> None:
    stored = np.rint(in_profile(photo, DISPLAY_P3, None)).astype(np.uint8)
    profile = matrix_profile(DISPLAY_P3, None)
    opened = open_image(saved(Image.fromarray(stored), "PNG", icc_profile=profile))
    assert np.abs(stored.astype(int) - photo).mean() > 2
    assert np.abs(opened.astype(int) - photo).mean() < 0.5


def test_inks_with_a_profile_are_worked_on_in_srgb() -> None:
    """No ink, all black, all yellow; a press profile of naive inks shows them as one would think."""
    ink = np.repeat(np.array([[(0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 255, 0)]], np.uint8), 16, axis=1)
    image = Image.frombytes("CMYK", (48, 16), np.repeat(ink, 16, axis=0).tobytes())
    opened = open_image(saved(image, "TIFF", icc_profile=press_profile()))
    for i, colour in enumerate([(255, 255, 255), (0, 0, 0), (255, 255, 0)]):
        assert np.abs(opened[8, 16 * i + 8].astype(int) - colour).max() <= 12


def test_data_of_12_bits_in_16_is_as_bright_as_it_was(photo: np.ndarray) -> None:
    values = np.rint(photo * (4095 / 255)).astype(np.uint16)
    assert np.array_equal(open_image(png16(values)), photo)


# --- colour modes ------------------------------------------------------------------------------------


def test_16_bit_grey_is_divided_by_257() -> None:
    values = np.linspace(0, 65535, 32 * 24).round().astype(np.uint16).reshape(24, 32)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    opened = open_image(png(32, 24, 16, 0, raw))
    expected = np.rint(values / 257.0)
    for channel in range(3):
        assert np.array_equal(opened[..., channel], expected)


def test_16_bit_grey_tiff_is_divided_by_257() -> None:
    values = np.linspace(0, 65535, 32 * 24).round().astype(np.uint16).reshape(24, 32)
    opened = open_image(saved(Image.fromarray(values), "TIFF"))
    assert np.array_equal(opened[..., 0], np.rint(values / 257.0))


def test_16_bit_rgb_png_keeps_its_range() -> None:
    values = np.random.default_rng(6).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    assert np.abs(open_image(png(16, 16, 16, 2, raw)) - values / 257.0).max() <= 1


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_float_tiff_in_either_range(scale: float) -> None:
    values = np.linspace(0, 1, 16 * 20, dtype=np.float32).reshape(16, 20)
    opened = open_image(saved(Image.fromarray(values * np.float32(scale)), "TIFF"))
    assert opened.shape == (16, 20, 3)
    assert np.abs(opened[..., 1] - values * 255.0).max() <= 0.5001


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 4000.0])
def test_float_tiff_out_of_range_is_refused(bad: float) -> None:
    values = np.full((16, 16), 0.5, dtype=np.float32)
    values[3, 4] = bad
    with pytest.raises(BadImage, match="float"):
        open_image(saved(Image.fromarray(values), "TIFF"))


def test_32_bit_integers_beyond_16_bits_are_refused() -> None:
    values = np.full((16, 16), 70_000, dtype=np.int32)
    with pytest.raises(BadImage, match="16 bits"):
        open_image(saved(Image.fromarray(values), "TIFF"))


def test_alpha_is_laid_over_white() -> None:
    rgba = np.random.default_rng(7).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255.0
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(open_image(saved(Image.fromarray(rgba), "PNG")) - expected).max() <= 1


def test_grey_with_alpha_is_laid_over_white() -> None:
    la = np.random.default_rng(8).integers(0, 256, (20, 30, 2), dtype=np.uint8)
    alpha = la[..., 1] / 255.0
    expected = la[..., 0] * alpha + 255 * (1 - alpha)
    image = Image.merge("LA", [Image.fromarray(la[..., i]) for i in range(2)])
    opened = open_image(saved(image, "PNG"))
    assert np.abs(opened - expected[..., None]).max() <= 1


def test_palette_and_its_transparent_entry() -> None:
    index = (np.arange(20 * 30).reshape(20, 30) % 3).astype(np.uint8)
    colours = np.array([[200, 10, 20], [5, 150, 60], [90, 80, 250]], dtype=np.uint8)
    image = Image.fromarray(index, "L")
    image.putpalette(colours.tobytes(), "RGB")
    assert image.mode == "P"
    assert np.array_equal(open_image(saved(image, "PNG")), colours[index])
    colours[1] = 255
    assert np.array_equal(open_image(saved(image, "PNG", transparency=1)), colours[index])


def test_one_colour_declared_transparent_turns_white(pixels: np.ndarray) -> None:
    key = tuple(int(v) for v in pixels[5, 6])
    opened = open_image(saved(Image.fromarray(pixels), "PNG", transparency=key))
    expected = pixels.copy()
    expected[(pixels == key).all(-1)] = 255
    assert np.array_equal(opened, expected)


def test_grey_and_one_bit() -> None:
    grey = np.random.default_rng(9).integers(0, 256, (20, 30), dtype=np.uint8)
    assert np.array_equal(open_image(saved(Image.fromarray(grey), "PNG")), np.dstack([grey] * 3))
    bits = grey > 127
    one_bit = Image.fromarray(bits)
    assert one_bit.mode == "1"
    assert np.array_equal(open_image(saved(one_bit, "PNG")), np.dstack([bits * 255] * 3))


def test_cmyk_jpeg_keeps_its_colours() -> None:
    colours = [(200, 40, 30), (30, 160, 60), (240, 240, 240), (20, 20, 20)]
    rgb = np.repeat(np.array(colours, dtype=np.uint8), 16, axis=0)[None].repeat(32, 0)
    ink = 255 - np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    data = saved(Image.fromarray(ink, "CMYK"), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "CMYK"
    opened = open_image(data)
    for i, colour in enumerate(colours):
        assert np.abs(opened[16, 16 * i + 8].astype(int) - colour).max() <= 8


# --- frames and orientation --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 20), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    assert np.array_equal(open_image(data), np.asarray(frames[0]))


def test_transparent_gif_is_laid_over_white() -> None:
    rgba = np.zeros((20, 30, 4), dtype=np.uint8)
    rgba[:, :15] = (255, 0, 0, 255)
    opened = open_image(saved(Image.fromarray(rgba), "GIF"))
    assert (opened[:, :15] == (255, 0, 0)).all()
    assert (opened[:, 15:] == 255).all()


def test_a_phone_s_multi_picture_jpeg_opens() -> None:
    first = Image.new("RGB", (64, 48), (250, 10, 10))
    data = saved(first, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48), (10, 10, 250))])
    assert np.abs(open_image(data).astype(int) - (250, 10, 10)).max() <= 3


# EXIF 2.3, tag 0x0112, in its own words: what the stored 0th row is, what the stored 0th column is.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Pixel by pixel from the specification's words: slow, but plain."""
    height, width = stored.shape[:2]
    row_is, column_is = ORIENTATIONS[orientation]
    shape = (height, width) if row_is in ("top", "bottom") else (width, height)
    result = np.zeros((*shape, 3), dtype=np.uint8)
    for i in range(height):
        for j in range(width):
            position = {}
            for n, side in ((i, row_is), (j, column_is)):
                axis = "y" if side in ("top", "bottom") else "x"
                length = shape[0] if axis == "y" else shape[1]
                position[axis] = n if side in ("top", "left") else length - 1 - n
            result[position["y"], position["x"]] = stored[i, j]
    return result


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_exif_orientation(pixels: np.ndarray, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(pixels), kind, exif=exif, **options)
    assert np.array_equal(open_image(data), upright(pixels, orientation))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_of_a_jpeg(photo: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = photo[:96, 150:310]
    data = saved(Image.fromarray(stored), "JPEG", exif=exif, quality=95, subsampling=0)
    opened = open_image(data)
    expected = upright(stored, orientation)
    assert opened.shape == expected.shape
    assert np.abs(opened.astype(float) - expected).mean() < 4


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage that is no TIFF header",
        b"Exif\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x09\xff\xff\xff\xf0\0\0\0\0",
    ],
)
def test_damaged_exif_costs_nothing(photo: np.ndarray, exif: bytes) -> None:
    stored = Image.fromarray(photo[:96, :160])
    plain = open_image(saved(stored, "JPEG"))
    assert np.array_equal(open_image(saved(stored, "JPEG", exif=exif)), plain)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_is_ignored(pixels: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(open_image(saved(Image.fromarray(pixels), "PNG", exif=exif)), pixels)
