"""core.paste.laying: what is under the mask changes, everything else stays bit for bit."""

import itertools

import cv2
import numpy as np
import pytest

from core.config import AlignmentTemplate
from core.faces.alignment import CropTransform, crop, crop_transform, find_faces, to_crop
from core.paste import laying as placing
from core.paste.compositing import face_mask
from core.paste.laying import Layers, lay

# A square tighter than FFHQ's.
TIGHT = AlignmentTemplate(scale=0.54, shift=0.43)
TURNED = CropTransform((150.3, 120.8), (45.0, -21.0))


@pytest.fixture
def noise() -> np.ndarray:
    """(240, 320, 3), read-only, as a portrait's photo is."""
    photo = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    photo.setflags(write=False)
    return photo


@pytest.fixture(scope="session")
def landmarks(photo: np.ndarray) -> np.ndarray:
    return find_faces(photo)[0].landmarks


def in_crop(landmarks: np.ndarray, template: AlignmentTemplate, size: int) -> np.ndarray:
    return to_crop(landmarks, crop_transform(landmarks, template), size)


def square(left: int, top: int, side: int) -> CropTransform:
    return CropTransform((left + (side - 1) / 2, top + (side - 1) / 2), (side / 2, 0.0))


def bump(size: int) -> np.ndarray:
    """A mask by a plain formula: 1 - |x|^2 - |y|^2 towards the middle, 0 along the border."""
    t = np.linspace(-1, 1, size)
    return np.clip(1 - t[:, None] ** 2 - t**2, 0, 1).astype(np.float32)


def mask_at_photo(transform: CropTransform, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mask's value at every photo pixel: one complex division and a bilinear sum, 0 outside."""
    size = mask.shape[0]
    y, x = np.mgrid[: shape[0], : shape[1]]
    half, center = complex(*transform.half_side), complex(*transform.center)
    z = (x + 1j * y - center) / half * size / 2 + (size - 1) / 2 * (1 + 1j)
    padded = np.pad(mask, 2)
    u, v = np.clip(z.real, -1.5, size + 0.5) + 2, np.clip(z.imag, -1.5, size + 0.5) + 2
    i, j = np.floor(v).astype(int), np.floor(u).astype(int)
    total = np.zeros(shape[:2])
    for di, dj in itertools.product((0, 1), (0, 1)):
        weight = (1 - np.abs(v - i - di)) * (1 - np.abs(u - j - dj))
        total += weight * padded[np.minimum(i + di, size + 3), np.minimum(j + dj, size + 3)]
    return total


def paste(photo: np.ndarray, transform: CropTransform, face: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Nothing of the photo's own beneath the mask."""
    nothing = np.zeros(face.shape[:2], np.float32)
    return lay(photo, transform, Layers(face.astype(np.float32), nothing, still(face.shape[0])), mask)


def paste_difference(
    photo: np.ndarray, transform: CropTransform, difference: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """All of the photo's own beneath the mask."""
    everything = np.ones(difference.shape[:2], np.float32)
    return lay(photo, transform, Layers(difference, everything, still(difference.shape[0])), mask)


def still(size: int) -> np.ndarray:
    return np.zeros((size, size, 2), np.float32)


# --- bit for bit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transform", [TURNED, square(100, 60, 90), CropTransform((2.0, 230.0), (50.0, 31.0))]
)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_outside_the_mask_the_photo_stays_bit_for_bit(
    noise: np.ndarray, transform: CropTransform, size: int
) -> None:
    face = 255 - crop(noise, transform, size)
    mask = bump(size)
    outside = mask_at_photo(transform, mask, noise.shape) == 0
    # The mask a bilinear look-up away from zero may round either way.
    outside = cv2.erode(outside.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert outside.mean() > 0.3
    for result in (
        paste(noise, transform, face, mask),
        paste_difference(noise, transform, np.full((size, size, 3), 90, np.float32), mask),
    ):
        assert np.array_equal(result[outside], noise[outside])
        assert (result != noise).any(-1).sum() > 500


def test_an_empty_mask_or_no_difference_changes_nothing(noise: np.ndarray) -> None:
    nothing = np.zeros((64, 64), np.float32)
    assert np.array_equal(paste(noise, TURNED, np.full((64, 64, 3), 255, np.uint8), nothing), noise)
    same = paste_difference(noise, TURNED, np.zeros((64, 64, 3), np.float32), bump(64))
    assert np.array_equal(same, noise)


def test_the_inputs_are_left_alone_and_the_result_is_the_caller_s(noise: np.ndarray) -> None:
    face, mask = np.full((64, 64, 3), 255, np.uint8), bump(64)
    copies = noise.copy(), face.copy(), mask.copy()
    result = paste(noise, TURNED, face, mask)
    result[:] = 0
    for array, copy in zip((noise, face, mask), copies, strict=True):
        assert np.array_equal(array, copy)


# --- inside the mask ---------------------------------------------------------------------------------


def test_whole_pixels_blend_by_the_plain_formula(noise: np.ndarray) -> None:
    face = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = bump(64)
    region = noise[50:114, 70:134].astype(float)
    result = paste(noise, square(70, 50, 64), face, mask)
    expected = region + mask[:, :, None] * (face - region)
    assert np.abs(result[50:114, 70:134] - expected).max() <= 0.51

    difference = np.random.default_rng(2).uniform(-200, 200, (64, 64, 3)).astype(np.float32)
    result = paste_difference(noise, square(70, 50, 64), difference, mask)
    expected = np.clip(region + mask[:, :, None] * difference, 0, 255)
    assert np.abs(result[50:114, 70:134] - expected).max() <= 0.51


def test_a_quarter_turn_pastes_a_turned_face(noise: np.ndarray) -> None:
    face = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    upright = square(70, 50, 64)
    turned = CropTransform(upright.center, (0.0, 32.0))
    assert np.array_equal(
        paste(noise, turned, face, bump(64)), paste(noise, upright, np.rot90(face, -1), bump(64))
    )


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("half_side", [(48.0, 0.0), (44.0, -20.0)])
def test_a_ramp_returns_to_its_place_at_every_scale(size: int, half_side: tuple[float, float]) -> None:
    """Half a pixel's misplacement of a crop pixel would show as several grey levels."""
    y, x = np.mgrid[:200, :200]
    ramp = np.dstack([x, y, (x + y) // 2]).astype(np.uint8)
    transform = CropTransform((100.25, 99.5), half_side)
    result = paste(ramp, transform, crop(ramp, transform, size), bump(size))
    assert np.abs(result.astype(int) - ramp).max() <= 1


@pytest.mark.parametrize(("size", "least"), [(128, 36), (256, 38)])
def test_an_unedited_crop_returns_almost_as_it_was(
    photo: np.ndarray, landmarks: np.ndarray, size: int, least: float
) -> None:
    transform = crop_transform(landmarks, TIGHT)
    mask = face_mask(to_crop(landmarks, transform, size), size)
    result = paste(photo, transform, crop(photo, transform, size), mask)
    inside = mask_at_photo(transform, mask, photo.shape) > 0.5
    error = ((result[inside].astype(float) - photo[inside]) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > least


def test_a_tinted_crop_leaves_no_seam(photo: np.ndarray, landmarks: np.ndarray) -> None:
    wall = np.full((900, 900, 3), 120, np.uint8)
    transform = CropTransform((450.0, 450.0), (250.0, 40.0))
    mask = face_mask(in_crop(landmarks, TIGHT, 128), 128)
    result = paste(wall, transform, np.full((128, 128, 3), 180, np.uint8), mask).astype(int)
    assert result.max() == 180
    for axis in (0, 1):
        # 60 levels spread over the feather: never more than 3 from one pixel to the next.
        assert np.abs(np.diff(result, axis=axis)).max() <= 3


def test_a_difference_keeps_the_photo_s_own_detail() -> None:
    detail = np.random.default_rng(4).integers(80, 176, (400, 400, 3), dtype=np.uint8)
    transform = CropTransform((200.0, 200.0), (160.0, 0.0))
    mask = np.zeros((32, 32), np.float32)
    mask[4:-4, 4:-4] = 1
    result = paste_difference(detail, transform, np.full((32, 32, 3), 25, np.float32), mask)
    middle = (slice(120, 280), slice(120, 280))
    assert np.array_equal(result[middle], detail[middle] + 25)
    # A pasted face instead would be as coarse as its 32 pixels.
    coarse = paste(detail, transform, crop(detail, transform, 32), mask)
    assert coarse[middle].std() < 0.5 * detail[middle].std()


def test_clipping_instead_of_wrapping_around(noise: np.ndarray) -> None:
    mask = np.pad(np.ones((62, 62), np.float32), 1)
    for value, limit in ((300.0, 255), (-300.0, 0)):
        result = paste_difference(noise, square(70, 50, 64), np.full((64, 64, 3), value, np.float32), mask)
        assert (result[51:113, 71:133] == limit).all()


# --- places ------------------------------------------------------------------------------------------


def test_a_crop_partly_outside_fills_what_the_photo_has(noise: np.ndarray) -> None:
    padded = np.pad(noise, ((100, 100), (100, 100), (0, 0)))
    face = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for left, top in ((-30, 100), (290, 10), (100, -40), (200, 220), (-20, -20), (300, 230)):
        expected = paste(padded, square(left + 100, top + 100, 64), face, bump(64))[100:-100, 100:-100]
        assert np.array_equal(paste(noise, square(left, top, 64), face, bump(64)), expected)


def test_a_crop_wholly_outside_changes_nothing(noise: np.ndarray) -> None:
    face = np.full((64, 64, 3), 255, np.uint8)
    for left, top in ((-500, 50), (900, 50), (50, -500), (50, 900)):
        assert np.array_equal(paste(noise, square(left, top, 64), face, bump(64)), noise)


@pytest.mark.parametrize("half_side", [(700.0, 90.0), (60.0, 25.0), (5.0, 1.0)])
def test_strips_do_not_show(half_side: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.random.default_rng(6).integers(0, 256, (900, 1000, 3), dtype=np.uint8)
    face = np.random.default_rng(7).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    transform = CropTransform((480.0, 470.0), half_side)
    results = []
    for strip in (7, 256, 10_000):
        monkeypatch.setattr(placing, "STRIP", strip)
        results.append(paste(photo, transform, face, bump(48)).astype(int))
    # The warp's fixed-point coordinates may round differently by 1/32 of a pixel.
    assert np.abs(results[0] - results[2]).max() <= 2
    assert np.abs(results[1] - results[2]).max() <= 2


def test_a_giant_face_is_close_to_a_plain_enlargement() -> None:
    small = np.random.default_rng(8).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small = cv2.GaussianBlur(small, (0, 0), 3)
    photo = np.zeros((2400, 2400, 3), np.uint8)
    mask = np.zeros((64, 64), np.float32)
    mask[1:-1, 1:-1] = 1
    result = paste(photo, square(200, 200, 2000), small, mask)[200:2200, 200:2200]
    plain = cv2.resize(small, (2000, 2000), interpolation=cv2.INTER_CUBIC)
    middle = (slice(100, -100), slice(100, -100))
    assert np.abs(result[middle].astype(int) - plain[middle]).max() <= 3


# --- motion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_side", [(64.0, 0.0), (0.0, 64.0), (-64.0, 0.0), (45.0, 45.0)])
def test_motion_in_crop_pixels_moves_photo_pixels(noise: np.ndarray, half_side: tuple[float, float]) -> None:
    """One crop pixel to the crop's right is `side / S` photo pixels along its own x axis."""
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    transform, size = CropTransform((150.0, 120.0), half_side), 32
    flow = np.full((size, size, 2), (1.5, -0.5), np.float32)
    none, all_ = np.zeros((size, size, 3), np.float32), np.ones((size, size), np.float32)
    result = lay(smooth, transform, Layers(none, all_, flow), all_)
    step = complex(*half_side) * 2 / size * (1.5 - 0.5j)
    matrix = np.array([[1, 0, step.real], [0, 1, step.imag]], np.float32)
    expected = cv2.warpAffine(
        smooth, matrix, smooth.shape[1::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    middle = (slice(100, 140), slice(130, 170))
    assert np.abs(result[middle].astype(int) - expected[middle]).max() <= 2
    assert np.abs(result[middle].astype(int) - smooth[middle]).max() > 10


def test_motion_across_the_photo_s_edge_reflects_it(noise: np.ndarray) -> None:
    size = 32
    flow = np.full((size, size, 2), (-32.0, 0.0), np.float32)  # 100 pixels of the photo
    none, all_ = np.zeros((size, size, 3), np.float32), np.ones((size, size), np.float32)
    result = lay(noise, square(-20, 20, 100), Layers(none, all_, flow), all_)
    assert np.array_equal(result[30:110, :60], noise[30:110, 99:39:-1])


def test_the_layers_lie_on_another_photo_than_they_are_made_of(noise: np.ndarray) -> None:
    """The photo's pixels come from the photo, what is around them from `onto`, which becomes the result."""
    size, onto = 32, np.full_like(noise, 7)
    mask = (bump(size) > 0.3).astype(np.float32)
    layers = Layers(
        np.zeros((size, size, 3), np.float32),
        np.ones((size, size), np.float32),
        np.zeros((size, size, 2), np.float32),
    )
    result = lay(noise, TURNED, layers, mask, onto)
    assert result is onto
    share = mask_at_photo(TURNED, mask, noise.shape)
    assert np.array_equal(result[share == 1], noise[share == 1])
    assert (result[share == 0] == 7).all()
    assert (share == 1).sum() > 1000


def test_two_patches_far_apart_lie_as_each_alone(noise: np.ndarray) -> None:
    """Only what is laid on is looked at; what lies between stays."""
    size, where = 64, square(20, 10, 200)
    mask = np.zeros((size, size), np.float32)
    mask[30:34, 4:8] = mask[28:36, 52:58] = 1
    add = np.repeat(np.linspace(0, 255, size, dtype=np.float32)[None, :, None], size, 0).repeat(3, 2)
    layers = Layers(add, np.zeros((size, size), np.float32), np.zeros((size, size, 2), np.float32))
    both = lay(noise, where, layers, mask)
    left, right = mask.copy(), mask.copy()
    left[:, 30:] = right[:, :30] = 0
    one, other = lay(noise, where, layers, left), lay(noise, where, layers, right)
    each = np.where((one != noise).any(-1)[:, :, None], one, other)
    assert np.abs(each.astype(int) - both).max() <= 1
    between = np.s_[:, 55:160]
    assert np.array_equal(both[between], noise[between])
    assert (one != noise).any(-1).sum() > 50
    assert (other != noise).any(-1).sum() > 50


def test_an_empty_mask_is_the_photo(noise: np.ndarray) -> None:
    layers = Layers(
        np.ones((8, 8, 3), np.float32), np.zeros((8, 8), np.float32), np.zeros((8, 8, 2), np.float32)
    )
    assert np.array_equal(lay(noise, TURNED, layers, np.zeros((8, 8), np.float32)), noise)
