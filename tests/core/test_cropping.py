"""core.cropping: a part of a photo, and which of its faces are in it."""

import io

import numpy as np
import pytest
from PIL import Image

from core.cropping import MIN_SIDE, Crop, cropped
from core.errors import BadRequest
from core.faces.alignment import Face
from core.images import Photo, open_photo
from core.pictures.native import Box

SIZE = 400, 300


def face(left: int, top: int, side: int = 60) -> Face:
    """Its landmarks lie on a grid in the box, the outermost in its corners."""
    across, down = np.meshgrid(np.linspace(left, left + side, 17), np.linspace(top, top + side, 4))
    return Face(
        (left, top, left + side, top + side), np.stack([across, down], -1).reshape(68, 2).astype("f4")
    )


@pytest.fixture(scope="module")
def photo() -> Photo:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return open_photo(buffer.getvalue())


def test_the_part_s_pixels_are_the_photo_s_and_its_faces_lie_on_them(photo: Photo) -> None:
    before = face(120, 90)
    crop = cropped(photo, [before], (100, 70, 260, 230))
    assert np.array_equal(crop.photo.pixels, photo.pixels[70:230, 100:260])
    assert (crop.photo.size, crop.numbers) == ((160, 160), (0,))
    (after,) = crop.faces
    assert after.box == (20, 20, 80, 80)
    assert np.allclose(after.landmarks, before.landmarks - (100, 70), atol=1e-4)
    assert crop.photo.original is not None
    assert np.array_equal(crop.photo.original.native().values, crop.photo.pixels)


def test_a_photo_of_no_file_is_cropped_as_well(photo: Photo) -> None:
    crop = cropped(Photo(photo.pixels), [face(0, 0)], (0, 0, 100, 100))
    assert crop.photo.original is None
    assert crop.photo.size == (100, 100)


def test_of_a_large_photo_a_part_has_all_its_pixels_and_the_face_its_place(photo: Photo) -> None:
    """Worked on at a quarter of its pixels, the part at all of them."""
    assert photo.original is not None
    small = open_photo(photo.original.data, working=SIZE[0] * SIZE[1] // 4)
    assert small.pixels.shape[:2] == (150, 200)
    crop = cropped(small, [face(60, 45, 30)], (100, 70, 260, 230))
    assert np.array_equal(crop.photo.pixels, photo.pixels[70:230, 100:260])
    # A pixel of the small one covers two by two: its centre x lies at 2 x + 1/2 of the large one's.
    where = 2 * face(60, 45, 30).landmarks + 0.5 - (100, 70)
    assert np.allclose(crop.faces[0].landmarks, where, atol=1e-3)
    assert crop.faces[0].box == (20, 20, 80, 80)


def test_only_faces_that_are_whole_stay_and_each_knows_its_number(photo: Photo) -> None:
    faces = [face(0, 0), face(100, 100), face(300, 200), face(200, 100)]
    assert cropped(photo, faces, (90, 90, 261, 300)).numbers == (1, 3)
    # The last column of the right one's landmarks is cut off.
    assert cropped(photo, faces, (90, 90, 260, 300)).numbers == (1,)


def test_a_face_that_the_photo_itself_cuts_is_whole_where_nothing_more_goes(photo: Photo) -> None:
    at_edge = face(-20, 100)
    assert cropped(photo, [at_edge], (0, 90, 200, 200)).numbers == (0,)
    with pytest.raises(BadRequest, match="No face is whole"):
        cropped(photo, [at_edge], (4, 90, 200, 200))


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ((-1, 0, 200, 200), "does not lie in the photo"),
        ((0, 0, 401, 200), "does not lie in the photo"),
        ((0, 0, 10**30, 200), "does not lie in the photo"),
        ((200, 0, 100, 200), "does not lie in the photo"),
        ((0, 50, 200, 50), "does not lie in the photo"),
        ((0, 0, MIN_SIDE - 1, 200), "at least 64 pixels"),
        ((0, 0, 200, MIN_SIDE - 1), "at least 64 pixels"),
        ((200, 0, 400, 200), "No face is whole"),
    ],
)
def test_other_boxes_get_one_sentence(photo: Photo, box: Box, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        cropped(photo, [face(0, 0)], box)


def test_faces_are_numbered_as_they_are_found_and_known_as_they_were(photo: Photo) -> None:
    known = face(0, 0), face(100, 0), face(300, 0)
    crop = Crop(photo, known, (4, 2, 7))
    # Found a little aside, in another order, one of them not, and one that was none before.
    found = face(200, 200), face(103, 2), face(1, 1)
    again = crop.as_found(found)
    assert again.faces == (found[0], known[1], known[0], known[2])
    assert again.numbers == (None, 2, 4, 7)
