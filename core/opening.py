"""From a photo to a Portrait: find the face, cut it out, invert it; or take a known one up again."""

import copy
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.editing.label import directions, unit_codes
from core.errors import BadImage, BadRequest, NoFaceFound, SessionExpired
from core.faces import alignment, identity
from core.faces.alignment import CropTransform, Face
from core.generators.residual import Residual
from core.images import to_array, to_tensor
from core.models.inverter import invert
from core.paste import compositing
from core.references import Reference
from core.rendering.device_thread import DeviceThread
from core.rendering.renderer import Renderer
from core.session import Portrait, SessionStore

RECENT_FACES = 64
RECENT_BYTES = 64 * 2**20
# Mean distance, in levels of 255, below which a picture is the generator's own.
SAME_PICTURE = 1.0

Steps = Callable[[str], None]


@dataclass(frozen=True)
class _Detection:
    """Faces of one photo, as an entry of a SessionStore."""

    faces: tuple[Face, ...]

    @property
    def nbytes(self) -> int:
        return sum(face.landmarks.nbytes for face in self.faces)


class Opener:
    """Makes the portraits of one loaded bundle, and remembers the faces of the last photos.

    The detector, whose scratch memory is shared, lets one thread at a time through.
    """

    def __init__(self, bundle: Bundle, renderer: Renderer, device: DeviceThread) -> None:
        self._config = bundle.config
        self._renderer = renderer
        self._generator, self._inverter = bundle.generator, bundle.inverter
        known = bundle.classifier
        self._classifier = None if known is None else copy.deepcopy(known).to(renderer.device).double()
        self._linear = unit_codes(bundle.linear_directions.to(renderer.device))
        self._fixed = bundle.directions.to(renderer.device)
        self._device = device
        self._detector_lock = threading.Lock()
        self._detections: SessionStore[_Detection] = SessionStore(RECENT_FACES, RECENT_BYTES)

    def find_faces(self, photo: np.ndarray, content: str) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, largest first; content: its hash."""
        try:
            return self._detections.get(content).faces
        except SessionExpired:
            with self._detector_lock:
                faces = alignment.find_faces(photo)
        for face in faces:
            face.landmarks.setflags(write=False)
        self._detections.put(content, _Detection(faces))
        return faces

    def open(self, photo: np.ndarray, content: str, face: int, key: str, progress: Steps) -> Portrait:
        """`Engine.open_portrait` of a photo that is not remembered; content: its hash."""
        self._check_inverter()
        progress("Finding faces")
        faces = self.find_faces(photo, content)
        _check_face(face, len(faces))
        return self._portrait(photo, faces, face, key, self._invert, {}, progress)

    def resume(
        self,
        photo: np.ndarray,
        faces: tuple[Face, ...],
        face: int,
        w_plus: np.ndarray,
        residuals: Mapping[str, Residual],
    ) -> Portrait:
        """`Engine.resume`."""
        content = content_hash(photo)
        _check_face(face, len(faces))
        shape = tuple(self._generator.w_mean.shape)
        if w_plus.shape != shape or not all(self._generator.fits(r) for r in residuals.values()):
            raise BadRequest("This portrait was made with another model; open its photo instead.")
        # A stranger's file may say anything; nobody else who opens this photo shall be given that code.
        told = hashlib.sha256(w_plus.tobytes() + faces[face].landmarks.tobytes())
        key = f"{content}-{told.hexdigest()}"
        code = torch.tensor(w_plus, dtype=torch.float32, device=self._renderer.device)
        moved = {mode: residual.to(self._renderer.device) for mode, residual in residuals.items()}
        transform = self._whole(photo, code)
        return self._portrait(photo, faces, face, key, lambda _: code, moved, lambda _: None, transform)

    def _whole(self, photo: np.ndarray, code: Tensor) -> CropTransform | None:
        """Of a picture that the generator made of this code: the square that is all of it."""
        size = self._config.generator.resolution
        if photo.shape[:2] != (size, size):
            return None
        made = self._device.run(lambda: to_array(self._renderer.render(code[None]))[0])
        # Devices differ in their last bits.
        if np.abs(made.astype(np.int16) - photo).mean() > SAME_PICTURE:
            return None
        middle = (size - 1) / 2
        return CropTransform((middle, middle), (size / 2, 0.0))

    def _portrait(
        self,
        photo: np.ndarray,
        faces: tuple[Face, ...],
        face: int,
        key: str,
        code: Callable[[np.ndarray], Tensor],
        residuals: Mapping[str, Residual],
        progress: Steps,
        transform: CropTransform | None = None,
    ) -> Portrait:
        """code: from the aligned face (R, R, 3) uint8 to its (L, D); called in the device's thread.

        transform: where the face is cut out, if not where its landmarks say.
        """
        progress("Aligning")
        photo = np.array(photo, order="C")  # the portrait's own: the caller may write into theirs
        landmarks = faces[face].landmarks
        size = self._config.generator.resolution
        transform = transform or alignment.crop_transform(landmarks, self._config.template)
        crop = alignment.crop(photo, transform, size)
        descriptor = identity.descriptor(photo, landmarks)
        progress("Inverting")
        computed = self._device.run(lambda: self._computed(code(crop), residuals))
        return Portrait(
            key=key,
            photo=photo,
            faces=faces,
            face=face,
            transform=transform,
            crop=crop,
            mask=compositing.face_mask(alignment.to_crop(landmarks, transform, size), size),
            identity=descriptor,
            residuals=residuals,
            **computed,
        )

    def _computed(self, w_plus: Tensor, residuals: Mapping[str, Residual]) -> dict[str, Any]:
        """What of a Portrait follows from its code (L, D)."""
        rendered = self._renderer.render(w_plus[None])
        bases = {mode: self._renderer.render(w_plus[None], known) for mode, known in residuals.items()}
        return {
            "w_plus": w_plus,
            "rendered": rendered,
            "inversion": to_array(rendered)[0],
            "bases": bases,
            "directions": self._directions(w_plus),
        }

    def _directions(self, w_plus: Tensor) -> dict[str, Tensor]:
        """For each order (A + F, L, D): the classifier's A at this face, then the fixed ones."""
        own = {"linear": self._linear}
        if self._classifier is None:
            own |= {"first": self._linear, "second": self._linear}
        else:
            for order in ("first", "second"):
                own[order] = directions(self._classifier, w_plus, order)
        return {order: torch.cat([steps, self._fixed]) for order, steps in own.items()}

    def _check_inverter(self) -> None:
        if self._inverter is None:
            raise BadRequest(
                f"The model {self._config.title} cannot open photos: it has no encoder; import one for it."
            )

    def invert_picture(self, picture: np.ndarray) -> Reference:
        """`Engine.invert_picture`."""
        self._check_inverter()
        content_hash(picture)  # refuses what is no picture
        size = self._config.generator.resolution
        if picture.shape[:2] != (size, size):
            smaller = max(picture.shape[:2]) > size
            kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
            picture = cv2.resize(picture, (size, size), interpolation=kind)
        code = self._device.run(lambda: self._invert(picture).cpu().numpy())
        return Reference(code, picture)

    @torch.inference_mode()
    def _invert(self, crop: np.ndarray) -> Tensor:
        """(R, R, 3) uint8 -> (L, D) float32."""
        assert self._inverter is not None
        with self._renderer.autocast():
            return invert(self._generator, self._inverter, self.image(crop))[0].float()

    def image(self, crop: np.ndarray) -> Tensor:
        """(R, R, 3) uint8 -> (1, 3, R, R) in [-1, 1], laid out for convolutions."""
        return to_tensor(crop, self._renderer.device).contiguous(memory_format=torch.channels_last)

    def forget(self, content: str) -> None:
        """Drop the faces of the photo with this hash."""
        self._detections.drop(content)

    def close(self) -> None:
        """Forget every photo."""
        self._detections.clear()


def content_hash(photo: np.ndarray) -> str:
    """SHA-256 of (H, W, 3) uint8, in hexadecimal.

    Raises: BadImage if it is no RGB array.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise BadImage("A photo must be an RGB picture with 8 bits for each colour.")
    digest = hashlib.sha256(repr(photo.shape).encode())
    digest.update(np.ascontiguousarray(photo).data)
    return digest.hexdigest()


def _check_face(face: int, found: int) -> None:
    if found == 0:
        raise NoFaceFound(
            "No face was found in this photo; choose one where a face looks towards the camera "
            "and is at least 80 pixels wide."
        )
    if not 0 <= face < found:
        many = "one face, number 0" if found == 1 else f"{found} faces, numbered 0 to {found - 1}"
        raise NoFaceFound(f"There is no face number {face}; this photo shows {many}.")
