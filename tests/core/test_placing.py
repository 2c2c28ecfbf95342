"""core.placing: the same face in the photo at another size."""

import numpy as np
import pytest

from core.engine import Engine
from core.faces.alignment import crop
from core.paste import focus, lighting
from core.placing import reduced
from core.session import Portrait


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo: np.ndarray) -> Portrait:
    return tiny_engine.open_portrait(photo)


def test_the_reduced_photo_holds_the_same_face(portrait: Portrait) -> None:
    """Cutting the face from the reduced photo gives what cutting it from the full one gives."""
    small = reduced(portrait, 320)
    assert small.photo.shape == (320, 320, 3)
    size = portrait.crop.shape[0]
    difference = crop(small.photo, small.transform, size).astype(int) - portrait.crop
    # A crop wrong by one photo pixel differs by several times this.
    assert np.abs(difference).mean() < 2
    assert np.allclose(small.faces[0].landmarks * 1.6, portrait.faces[0].landmarks, atol=0.5)


def test_what_was_found_of_the_crop_is_not_sought_again(
    portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    light, blur = portrait.light, portrait.blur
    for module, name in ((lighting, "light_on"), (focus, "blur_of")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("sought again"))
    small = reduced(portrait, 320)
    assert small.light is light
    assert small.blur == blur
