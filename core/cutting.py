"""A face cut out of its photo: all of a portrait that does not hang on its code."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from core.config import BundleConfig
from core.faces import alignment
from core.faces.alignment import CropTransform, Face
from core.faces.identity import Identity
from core.faces.parsing import Parsing, kinds_in, where
from core.images import to_tensor
from core.keys import PortraitKey
from core.paste import blocks, compositing, covering, lighting
from core.paste.scene import Scene, scene
from core.rendering.device_thread import DeviceThread


@dataclass(frozen=True, eq=False)
class Cut:
    """What of a `Portrait` does not depend on its code; landmarks: (68, 2) in pixels of the crop.

    lit: the crop in a good light, (S, S, 3) uint8.
    """

    key: PortraitKey
    photo: np.ndarray
    faces: tuple[Face, ...]
    transform: CropTransform
    crop: np.ndarray
    landmarks: np.ndarray
    mask: np.ndarray
    identity: Identity
    scene: Scene | None
    lit: np.ndarray


class Cutter:
    """Cuts faces out of photos as one bundle takes them."""

    def __init__(self, config: BundleConfig, device: DeviceThread, parsing: Parsing | None) -> None:
        """parsing: None: what is hair and what lies before a face is not asked."""
        self._size, self._template = config.generator.resolution, config.template
        self._device, self._parsing = device, parsing

    def cut(
        self,
        photo: np.ndarray,
        faces: tuple[Face, ...],
        key: PortraitKey,
        transform: CropTransform | None = None,
    ) -> Cut:
        """transform: where the face is cut out, if not where its landmarks say."""
        photo = np.array(photo, order="C")  # the portrait's own: the caller may write into theirs
        landmarks, size = faces[key.face].landmarks, self._size
        transform = transform or alignment.crop_transform(landmarks, self._template)
        crop = alignment.crop(photo, transform, size)
        landmarks = alignment.to_crop(landmarks, transform, size)
        mask = compositing.face_mask(landmarks, size)
        light, seen, parsing = lighting.light_of(crop, mask), None, self._parsing
        if parsing is not None:

            def classes(picture: np.ndarray) -> np.ndarray:
                lit = lighting.in_good_light(picture, light)
                return self._device.run(lambda: parsing.classes(to_tensor(lit)))

            seen = scene(photo, transform, classes)
            covers = self._covers(photo, transform, faces[key.face], seen.classes, light)
            seen = dataclasses.replace(seen, covers=covers)
        lit = lighting.in_good_light(crop, light)
        return Cut(key, photo, faces, transform, crop, landmarks, mask, Identity(crop, landmarks), seen, lit)

    def already(self, crop: np.ndarray, landmarks: np.ndarray, key: PortraitKey) -> Cut:
        """Of a picture (S, S, 3) that is all face, its landmarks (68, 2) in its pixels."""
        (left, top), (right, bottom) = np.floor(landmarks.min(0)), np.ceil(landmarks.max(0))
        face = Face((int(left), int(top), int(right), int(bottom)), np.array(landmarks, np.float32))
        return self.cut(crop, (face,), key, square(len(crop)))

    def _covers(
        self,
        photo: np.ndarray,
        transform: CropTransform,
        face: Face,
        classes: np.ndarray,
        light: lighting.Light | None,
    ) -> covering.Covers:
        """What may lie before the face in (H, W, 3) uint8; classes: what the parser saw in its crop."""
        crop = alignment.crop(photo, transform, covering.SIDE)
        landmarks = alignment.to_crop(face.landmarks, transform, covering.SIDE)
        parts = {"upper lip": where(classes, "upper lip"), "eyes": where(classes, "left eye", "right eye")}
        parsing, lit = self._parsing, to_tensor(lighting.in_good_light(crop, light))
        assert parsing is not None
        crude = blocks.are_crude(photo, face.landmarks)
        likely = None if crude else self._device.run(lambda: parsing.things(lit))
        return covering.covers(crop, landmarks, kinds_in(classes), parts, likely)


def square(size: int) -> CropTransform:
    """The square that is all of a picture of so many pixels."""
    middle = (size - 1) / 2
    return CropTransform((middle, middle), (size / 2, 0.0))
