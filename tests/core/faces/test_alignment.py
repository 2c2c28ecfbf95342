"""core.faces.alignment against plain formulas (complex numbers, slices, np.pad) and a real photograph."""

import cv2
import numpy as np
import pytest

from core.config import FFHQ_TEMPLATE, AlignmentTemplate
from core.faces.alignment import (
    MAX_FACES,
    CropTransform,
    crop,
    crop_transform,
    find_faces,
    to_crop,
    to_photo,
)

# A square tighter than FFHQ's.
TIGHT = AlignmentTemplate(scale=0.54, shift=0.43)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture
def landmarks() -> np.ndarray:
    """(68, 2): a plausible face 100 px wide, all points random otherwise."""
    points = np.random.default_rng(1).uniform(100, 200, (68, 2))
    points[36:42] += (-30 - points[36:42].mean(0)) + 150
    points[42:48] += np.array([180, 118]) - points[42:48].mean(0)
    points[48], points[54] = (130, 175), (172, 178)
    return points


def as_complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def similarity(points: np.ndarray, factor: complex, offset: complex) -> np.ndarray:
    moved = as_complex(points) * factor + offset
    return np.stack([moved.real, moved.imag], -1)


def square(left: int, top: int, side: int) -> CropTransform:
    """The upright square of whole pixels photo[top:top + side, left:left + side]."""
    return CropTransform((left + (side - 1) / 2, top + (side - 1) / 2), (side / 2, 0.0))


# --- the transform -----------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [FFHQ_TEMPLATE, TIGHT])
def test_transform_is_ffhq_s_in_complex_numbers(landmarks: np.ndarray, template: AlignmentTemplate) -> None:
    z = as_complex(landmarks)
    left, right, mouth = z[36:42].mean(), z[42:48].mean(), (z[48] + z[54]) / 2
    eyes = (left + right) / 2
    axis = (right - left) - 1j * (mouth - eyes)
    half = axis / abs(axis) * max(2 * abs(right - left), 1.8 * abs(mouth - eyes)) * template.scale
    center = eyes + template.shift * (mouth - eyes)

    transform = crop_transform(landmarks, template)
    assert complex(*transform.half_side) == pytest.approx(half)
    assert complex(*transform.center) == pytest.approx(center)
    assert transform.side == pytest.approx(2 * abs(half))


@pytest.mark.parametrize("size", [64, 129])
def test_points_map_by_one_complex_division_and_back(size: int) -> None:
    transform = CropTransform((300.5, 211.25), (80.0, -35.0))
    points = np.random.default_rng(2).uniform(0, 600, (50, 2))
    expected = (as_complex(points) - (300.5 + 211.25j)) / (80 - 35j) * size / 2 + (size - 1) / 2 * (1 + 1j)
    mapped = to_crop(points, transform, size)
    assert np.allclose(as_complex(mapped.astype(float)), expected, atol=1e-3)
    back = cv2.transform(mapped[None].astype(float), cv2.invertAffineTransform(transform.matrix(size)))[0]
    assert np.allclose(back, points, atol=1e-3)
    assert np.allclose(to_photo(mapped, transform, size), points, atol=1e-3)


@pytest.mark.parametrize("factor", [2.0, 0.3, 1j, np.exp(0.7j), 1.7 * np.exp(-2.1j)])
def test_transform_turns_grows_and_moves_with_the_face(landmarks: np.ndarray, factor: complex) -> None:
    offset = 40 - 17j
    plain = crop_transform(landmarks, TIGHT)
    moved = crop_transform(similarity(landmarks, factor, offset), TIGHT)
    assert complex(*moved.half_side) == pytest.approx(complex(*plain.half_side) * factor)
    assert complex(*moved.center) == pytest.approx(complex(*plain.center) * factor + offset)


# --- cutting -----------------------------------------------------------------------------------------


def test_an_upright_crop_of_whole_pixels_is_a_slice(noise: np.ndarray) -> None:
    assert np.array_equal(crop(noise, square(13, 7, 32), 32), noise[7:39, 13:45])


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_quarter_turn_is_rot90(noise: np.ndarray, quarter_turns: int) -> None:
    upright = square(13, 7, 32)
    half = complex(*upright.half_side) * 1j**quarter_turns
    turned = crop(noise, CropTransform(upright.center, (half.real, half.imag)), 32)
    # The crop's right side now points down (y grows downward), so its picture turns the other way.
    assert np.array_equal(turned, np.rot90(noise[7:39, 13:45], quarter_turns))


def test_reducing_averages_blocks(noise: np.ndarray) -> None:
    blocks = noise[4:52, 20:68].reshape(16, 3, 16, 3, 3).mean((1, 3))
    assert np.abs(crop(noise, square(20, 4, 48), 16) - blocks).max() <= 0.51


@pytest.mark.parametrize(("left", "top"), [(-10, 5), (5, -9), (60, 40), (-8, -8)])
def test_beyond_the_edge_the_photo_is_reflected(noise: np.ndarray, left: int, top: int) -> None:
    padded = np.pad(noise, ((40, 40), (40, 40), (0, 0)), mode="symmetric")
    expected = padded[top + 40 : top + 72, left + 40 : left + 72]
    assert np.array_equal(crop(noise, square(left, top, 32), 32), expected)


def test_a_turned_photo_gives_the_same_crop(photo: np.ndarray) -> None:
    face = find_faces(photo)[0]
    upright = crop(photo, crop_transform(face.landmarks, TIGHT), 128)
    # np.rot90 takes (x, y) to (y, width - 1 - x).
    x, y = face.landmarks.T
    turned = np.stack([y, photo.shape[1] - 1 - x], -1)
    again = crop(np.rot90(photo), crop_transform(turned, TIGHT), 128)
    assert np.abs(upright.astype(float) - again).mean() < 1


# --- finding -----------------------------------------------------------------------------------------


def test_the_astronaut_is_found(photo: np.ndarray) -> None:
    (face,) = find_faces(photo)
    left, top, right, bottom = face.box
    assert left < 224 < right
    assert top < 120 < bottom
    assert face.landmarks.shape == (68, 2)
    left_eye, right_eye = face.landmarks[36:42].mean(0), face.landmarks[42:48].mean(0)
    # Irises and mouth in the published 512 px picture, read off an enlargement.
    assert np.hypot(*(left_eye - (203.7, 101.5))) < 3
    assert np.hypot(*(right_eye - (246.5, 103.5))) < 3
    assert np.hypot(*((face.landmarks[48] + face.landmarks[54]) / 2 - (225.3, 139.3))) < 4


def test_no_face_in_noise_or_on_a_plain_wall(noise: np.ndarray) -> None:
    assert find_faces(noise) == ()
    assert find_faces(np.full((300, 200, 3), 180, np.uint8)) == ()


def test_a_pattern_in_the_clothes_is_no_second_face(photo: np.ndarray) -> None:
    # The detector also fires, barely, on the space suit of the JPEG copy.
    jpeg = cv2.imencode(".jpg", photo[..., ::-1])[1]
    (face,) = find_faces(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1])
    assert face.box[1] < 200


def tiled(photo: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.tile(photo[10:210, 124:324], (rows, columns, 1))


def test_twenty_faces_are_all_found(photo: np.ndarray) -> None:
    faces = find_faces(tiled(photo, 4, 5))
    assert len(faces) == 20
    cells = {(int(f.landmarks[30, 0] // 200), int(f.landmarks[30, 1] // 200)) for f in faces}
    assert len(cells) == 20


def test_more_faces_are_capped_and_the_largest_come_first(photo: np.ndarray) -> None:
    faces = find_faces(tiled(photo, 5, 6))
    assert len(faces) == MAX_FACES
    areas = [face.area for face in faces]
    assert areas == sorted(areas, reverse=True)


def test_a_large_photo_is_searched_in_its_own_pixels(photo: np.ndarray) -> None:
    big = cv2.resize(photo, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    small_face, big_face = find_faces(photo)[0], find_faces(big)[0]
    middle = (small_face.landmarks.mean(0) + 0.5) * 4 - 0.5
    assert np.hypot(*(big_face.landmarks.mean(0) - middle)) < 20


def test_a_face_cut_by_the_frame_is_aligned_all_the_same(photo: np.ndarray) -> None:
    # The left edge runs through her right eye: a part of the crop, and of the box, lies outside.
    cut = photo[:, 200:]
    (face,) = find_faces(cut)
    assert face.box[0] < 0
    transform = crop_transform(face.landmarks, FFHQ_TEMPLATE)
    assert transform.center[0] - transform.side / 2 < -20
    picture = crop(cut, transform, 128)
    assert picture.shape == (128, 128, 3)
    # Nothing is left black: the lacking part mirrors what is there.
    assert picture[:, :16].mean() > 60


def test_a_face_mostly_out_of_the_frame_is_not_found(photo: np.ndarray) -> None:
    assert find_faces(np.ascontiguousarray(photo[150:260])) == ()
