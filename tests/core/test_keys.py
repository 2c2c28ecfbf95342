"""core.keys: equal exactly where the portraits are."""

import numpy as np
import pytest

from core.errors import BadImage
from core.keys import PortraitKey, content_hash

PHOTO = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
LANDMARKS, CODE = np.ones((68, 2), np.float32), np.ones((2, 3), np.float32)


def test_the_same_pixels_in_the_same_shape_have_one_hash() -> None:
    assert content_hash(PHOTO) == content_hash(np.asfortranarray(PHOTO)) == content_hash(PHOTO.copy())
    assert content_hash(PHOTO) != content_hash(PHOTO.reshape(2, 8, 3))
    assert content_hash(PHOTO) != content_hash(PHOTO[::-1])
    with pytest.raises(BadImage):
        content_hash(PHOTO[:, :, 0])


def test_every_way_to_a_portrait_has_a_key_of_its_own() -> None:
    keys = {
        PortraitKey.opened(PHOTO, 0),
        PortraitKey.opened(PHOTO, 1),
        PortraitKey.opened(PHOTO[::-1], 0),
        PortraitKey.opened(PHOTO, 0).reduced(2),
        PortraitKey.resumed(PHOTO, 0, LANDMARKS, CODE),
        PortraitKey.resumed(PHOTO, 0, LANDMARKS + 1, CODE),
        PortraitKey.resumed(PHOTO, 0, LANDMARKS, CODE + 1),
        PortraitKey.cut(PHOTO, LANDMARKS),
        PortraitKey.cut(PHOTO, LANDMARKS + 1),
    }
    assert len(keys) == 9
    assert {key.photo for key in keys} == {content_hash(PHOTO), content_hash(PHOTO[::-1])}
    assert PortraitKey.opened(PHOTO.copy(), 1) in keys
