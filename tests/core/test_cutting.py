"""core.cutting: what is asked of a parser as a face is cut out."""

import io

import numpy as np
import pytest
from PIL import Image

from core.config import BundleConfig
from core.cutting import Cutter
from core.faces.parsing import SIDE
from core.keys import PortraitKey
from core.rendering.device_thread import DeviceThread

LANDMARKS = np.random.default_rng(0).uniform((150, 40), (300, 220), (68, 2)).astype(np.float32)


class Asked:
    """A parser that sees nothing, and whether it was asked what lies before the face."""

    asked = False

    def classes(self, picture: object) -> np.ndarray:
        return np.zeros((SIDE, SIDE), np.uint8)

    def things(self, picture: object) -> None:
        self.asked = True


@pytest.mark.parametrize(("quality", "asked"), [(4, False), (90, True)])
def test_blocks_are_not_taken_for_things(
    tiny_config: BundleConfig, photo: np.ndarray, quality: int, asked: bool
) -> None:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality)
    coarse, parser = np.array(Image.open(file)), Asked()
    cutter = Cutter(tiny_config, DeviceThread(), parser)  # type: ignore[arg-type]
    cut = cutter.already(coarse, LANDMARKS, PortraitKey.cut(coarse, LANDMARKS))
    assert parser.asked == asked
    assert np.array_equal(cut.photo, coarse)
    assert cut.photo is not coarse  # the caller may write into theirs
