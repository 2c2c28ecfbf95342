"""From a photo to a Portrait: find the face, cut it out, invert it; or take a known one up again."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from core.checkpoints import Bundle
from core.cutting import Cut, Cutter, square
from core.detections import Detections
from core.editing.code_editor import CodeEditor
from core.errors import BadImage, BadRequest, Cancelled, NoFaceFound
from core.faces import alignment, finding
from core.faces.alignment import CropTransform, Face
from core.faces.parsing import Parsing
from core.generators.residual import Residual
from core.images import to_array, to_tensor
from core.inversion.seeker import Seeker, Sought
from core.keys import PortraitKey, content_hash
from core.memory import PortraitMemory
from core.models.gradual_encoder import GradualEncoder
from core.models.inverter import invert
from core.paste import lighting
from core.references import Reference
from core.refinement.running import Precedence, Progress, Watcher
from core.rendering.device_thread import DeviceThread
from core.rendering.renderer import Renderer, lay_out
from core.session import Portrait

# Mean distance, in levels of 255, below which a picture is the generator's own.
SAME_PICTURE = 1.0
# How long an opening by descent takes, and of that what the first picture takes, until one was made.
OPENING_SECONDS = 12.0
# How many steps a code takes before it is refined: for fast a sketch of the face will do, as tokens find the
# rest sooner than descent; best is for one code, and takes as many as two idle cores do in OPENING_SECONDS.
SETTLED_STEPS = {"fast": 8, "best": 32}
FINISHING_SECONDS = 1.0
# A face that is seen for a moment needs no more pixels, where the model can give fewer.
PREVIEW_SIDE = 256

Steps = Callable[[str], None]
Shown = Callable[[Portrait], None]


@dataclass(frozen=True)
class Wishes:
    """What whoever opens a photo wants of it; defaults: as much as `Engine.open_portrait` says.

    seconds: until it is open, where descent finds the code. progress: is told each step as it begins. shown:
    is given what descent has reached, soon and then now and then. cancelled: is asked at every step. steps:
    after so many of descent it is open, too; None: time alone counts.
    """

    seconds: float = OPENING_SECONDS
    progress: Steps = lambda _: None
    shown: Shown | None = None
    cancelled: Callable[[], bool] = lambda: False
    steps: int | None = None

    @classmethod
    def of(
        cls,
        seconds: float,
        progress: Steps | None,
        shown: Shown | None,
        cancelled: Callable[[], bool] | None,
        steps: int | None = None,
    ) -> "Wishes":
        """What a caller said; None: nothing about it."""
        return cls(seconds, progress or cls.progress, shown, cancelled or cls.cancelled, steps)


class Opener:
    """Makes the portraits of one loaded bundle, and remembers the faces of the last photos."""

    def __init__(
        self,
        bundle: Bundle,
        renderer: Renderer,
        device: DeviceThread,
        editor: CodeEditor,
        memory: PortraitMemory,
        precedence: Precedence,
        seeker: Seeker | None,
        parsing: Parsing | None = None,
    ) -> None:
        """seeker: finds codes by descent, from what the bundle's encoder says where it has one; None: the
        encoder alone."""
        self._config, self._memory, self._precedence = bundle.config, memory, precedence
        self._renderer, self._device, self._editor, self._seeker = renderer, device, editor, seeker
        self._generator, self._inverter = bundle.generator, bundle.inverter
        if isinstance(self._inverter, GradualEncoder):
            # A gigabyte in float32, and no refinement asks for their gradients, as it does for the trunk's.
            self._inverter.heads.to(renderer.dtype)
        if self._inverter is not None:
            lay_out(self._inverter.to(renderer.device))
        if self.possible:
            alignment.read_models()
        self._detections, self._cutter = Detections(), Cutter(bundle.config, device, parsing)
        self._finishing = FINISHING_SECONDS

    @property
    def possible(self) -> bool:
        """Whether photos can be opened at all."""
        return self._inverter is not None or self._seeker is not None

    @property
    def descends(self) -> bool:
        """Whether codes are found by descent, which may go on."""
        return self._seeker is not None

    def find_faces(self, photo: np.ndarray, content: str) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, as `finding.numbered`; content: its hash."""
        return self._detections.find(photo, content)

    def open(self, photo: np.ndarray, key: PortraitKey, wishes: Wishes) -> Portrait:
        """`Engine.open_portrait`."""
        try:
            return self._remembered(key, lambda: self._open(photo, key, wishes))
        except Cancelled:
            # There is no portrait with which anybody could ask to have them forgotten.
            self._detections.drop(key.photo)
            raise

    def _remembered(self, key: PortraitKey, opening: Callable[[], Portrait]) -> Portrait:
        portrait = self._memory.get(key)
        if portrait is None:
            with self._precedence.first():
                portrait = opening()
            self._memory.put(portrait)
        return portrait

    def _open(self, photo: np.ndarray, key: PortraitKey, wishes: Wishes) -> Portrait:
        began = time.monotonic()
        self._check_possible()
        wishes.progress("Finding faces")
        faces = self.find_faces(photo, key.photo)
        _check_face(photo, key.face, len(faces))
        wishes.progress("Aligning")
        return self._inverted(self._cutter.cut(photo, faces, key), wishes, began)

    def open_crop(self, crop: np.ndarray, landmarks: np.ndarray, wishes: Wishes) -> Portrait:
        """`Engine.open_crop`."""
        began = time.monotonic()
        key = PortraitKey.cut(crop, landmarks)
        if crop.shape[0] != crop.shape[1] or landmarks.shape != (68, 2):
            raise BadImage("A face that was cut out is a square with 68 landmarks.")
        self._check_possible()

        def opening() -> Portrait:
            return self._inverted(self._cutter.already(crop, landmarks, key), wishes, began)

        return self._remembered(key, opening)

    def _inverted(self, cut: Cut, wishes: Wishes, began: float) -> Portrait:
        """began: when the seconds that are wished for began, as `time.monotonic` says."""
        wishes.progress("Inverting")
        return self._portrait(cut, self._code(cut, wishes, began + wishes.seconds - self._finishing))

    def _code(self, cut: Cut, wishes: Wishes, until: float) -> Tensor:
        """(L, D). until: how long descent may go on, as `time.monotonic` says."""
        code = None if self._inverter is None else self._device.run(lambda: self._invert(cut.lit))
        if self._seeker is not None:
            shown = wishes.shown

            def better(found: Tensor) -> None:
                if shown is not None:
                    shown(self._portrait(cut, found))

            sought = Sought(cut.key, cut.lit, cut.landmarks, code)
            left = until - time.monotonic()
            told = better if shown is not None else None
            code = self._seeker.seek(sought, left, wishes.progress, told, wishes.cancelled, wishes.steps)
        assert code is not None
        return code

    def settle(self, portrait: Portrait, mode: str, watcher: Watcher) -> Portrait:
        """The portrait after SETTLED_STEPS of this refinement, which begins from there; where its code moved,
        with no residual, as each is for one code.

        Raises: Cancelled.
        """
        steps = SETTLED_STEPS[mode]
        if self._seeker is None or mode in portrait.residuals or self._seeker.taken(portrait.key) >= steps:
            return portrait
        watcher.progress(Progress("Finding the face"))
        plain = dataclasses.replace(portrait, residuals={}, bases={})
        settled = self.improve(plain, OPENING_SECONDS, None, watcher.cancelled, steps)
        watcher.check()
        return portrait if torch.equal(settled.w_plus, portrait.w_plus) else settled

    def improve(
        self,
        portrait: Portrait,
        seconds: float,
        better: Shown | None,
        cancelled: Callable[[], bool],
        steps: int | None = None,
    ) -> Portrait:
        """`Engine.improve`. steps: of the whole descent, after which it ends, too."""
        if self._seeker is None or portrait.residuals:
            return portrait  # a refinement was made for the code that it has
        found = portrait

        def told(code: Tensor) -> None:
            nonlocal found
            computed = self._device.run(lambda: self._computed(code, {}, portrait.crop, portrait.mask))
            found = dataclasses.replace(portrait, **computed)
            self._memory.replace(found)
            if better is not None:
                better(found)

        sought = Sought(portrait.key, portrait.lit, portrait.landmarks, portrait.w_plus)
        left = seconds - self._finishing  # for the last picture
        self._seeker.improve(sought, left, told, cancelled, meanwhile=better is not None, most=steps)
        return found

    def preview(self, portrait: Portrait) -> Portrait:
        """`Engine.preview`."""
        sizes = [size for size in self._generator.sizes if PREVIEW_SIDE <= size < len(portrait.crop)]
        if not sizes:
            return portrait
        size, own = sizes[0], portrait.w_plus[None]

        def small(residual: Residual | None = None) -> Tensor:
            return self._device.run(lambda: self._renderer.render(own, residual, size=size))

        rendered = small()
        crop, mask = (
            cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
            for image in (portrait.crop, portrait.mask)
        )
        return dataclasses.replace(
            portrait,
            crop=crop,
            mask=mask,
            rendered=rendered,
            inversion=_in_its_light(rendered, crop, mask),
            bases={mode: small(residual) for mode, residual in portrait.residuals.items()},
        )

    def resume(
        self,
        photo: np.ndarray,
        faces: tuple[Face, ...],
        face: int,
        w_plus: np.ndarray,
        residuals: Mapping[str, Residual],
    ) -> Portrait:
        """`Engine.resume`."""
        _check_face(photo, face, len(faces))
        shape = tuple(self._generator.w_mean.shape)
        if w_plus.shape != shape or not all(self._generator.fits(r) for r in residuals.values()):
            raise BadRequest("This portrait was made with another model; open its photo instead.")
        # A stranger's file may say anything; nobody else who opens this photo shall be given that code.
        key = PortraitKey.resumed(photo, face, faces[face].landmarks, w_plus)
        code = torch.tensor(w_plus, dtype=torch.float32, device=self._renderer.device)
        moved = {mode: residual.to(self._renderer.device) for mode, residual in residuals.items()}
        return self._portrait(self._cutter.cut(photo, faces, key, self._whole(photo, code)), code, moved)

    def _whole(self, photo: np.ndarray, code: Tensor) -> CropTransform | None:
        """Of a picture that the generator made of this code: the square that is all of it."""
        size = self._config.generator.resolution
        if photo.shape[:2] != (size, size):
            return None
        made = self._device.run(lambda: to_array(self._renderer.render(code[None]))[0])
        # Devices differ in their last bits.
        if np.abs(made.astype(np.int16) - photo).mean() > SAME_PICTURE:
            return None
        return square(size)

    def _portrait(
        self, cut: Cut, code: Tensor, residuals: Mapping[str, Residual] = MappingProxyType({})
    ) -> Portrait:
        """code: (L, D)."""
        began = time.monotonic()
        computed = self._device.run(lambda: self._computed(code, residuals, cut.crop, cut.mask))
        self._finishing = time.monotonic() - began
        return Portrait(
            key=cut.key,
            photo=cut.photo,
            faces=cut.faces,
            face=cut.key.face,
            transform=cut.transform,
            crop=cut.crop,
            mask=cut.mask,
            identity=cut.identity,
            scene=cut.scene,
            residuals=residuals,
            **computed,
        )

    def _computed(
        self, w_plus: Tensor, residuals: Mapping[str, Residual], crop: np.ndarray, mask: np.ndarray
    ) -> dict[str, Any]:
        """What of a Portrait follows from its code (L, D)."""
        rendered = self._renderer.render(w_plus[None])
        bases = {mode: self._renderer.render(w_plus[None], known) for mode, known in residuals.items()}
        return {
            "w_plus": w_plus,
            "rendered": rendered,
            "inversion": _in_its_light(rendered, crop, mask),
            "bases": bases,
            "directions": self._editor.directions(w_plus),
        }

    def _check_possible(self) -> None:
        if not self.possible:
            remedy = "; import one for it" if self._config.takes_encoders else ""
            raise BadRequest(f"The model {self._config.title} cannot open photos: it has no encoder{remedy}.")

    def invert_picture(self, picture: np.ndarray, wishes: Wishes) -> Reference:
        """`Engine.invert_picture`."""
        content_hash(picture)  # refuses what is no picture
        if picture.shape[0] != picture.shape[1]:
            raise BadImage("The picture of a reference face must be square, as it was cut out.")
        self._check_possible()
        if self._seeker is not None:
            return self._sought(picture, wishes, self._seeker)
        size = self._config.generator.resolution
        if picture.shape[:2] != (size, size):
            smaller = max(picture.shape[:2]) > size
            kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
            picture = cv2.resize(picture, (size, size), interpolation=kind)
        code = self._device.run(lambda: self._invert(picture).cpu().numpy())
        return Reference(code, picture)

    def _sought(self, picture: np.ndarray, wishes: Wishes, seeker: Seeker) -> Reference:
        """By descent. Nothing of it is remembered: there may be hundreds, and nobody asks to forget them."""
        began = time.monotonic()
        with self._precedence.first():
            faces = self._detections.look(picture)
            if not faces:
                raise NoFaceFound("No face is seen in this reference; choose another picture of it.")
            landmarks = faces[0].landmarks
            cut = self._cutter.already(picture, landmarks, PortraitKey.cut(picture, landmarks))
            try:
                code = self._code(cut, wishes, began + wishes.seconds)
            finally:
                seeker.drop(cut.key)
        return Reference(code.cpu().numpy(), cut.crop)

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
        """Drop the faces of the photo with this hash, and their descents."""
        self._detections.drop(content)
        if self._seeker is not None:
            self._seeker.forget(content)

    def close(self) -> None:
        """Forget every photo."""
        self._detections.clear()
        if self._seeker is not None:
            self._seeker.clear()


def _in_its_light(rendered: Tensor, crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The model's picture (1, 3, R, R) of a crop as uint8 (R, R, 3)."""
    light = lighting.light_on(crop, mask, rendered)
    return to_array(lighting.in_photos_light(rendered, light))[0]


def _unseen(photo: np.ndarray) -> str:
    """Why no face may have been found in (H, W, 3) uint8, and what to do."""
    if finding.is_dark(photo):
        return "No face was found in this photo, even brightened, as it is very dark; choose a lighter copy."
    return (
        "No face was found in this photo, neither upright nor turned by 90 or 180 degrees; it may be too "
        "small, blurred, covered, cut off by the frame or seen from the side: choose another photo."
    )


def _check_face(photo: np.ndarray, face: int, found: int) -> None:
    """face: its place, from 0; in words faces are counted from 1."""
    if found == 0:
        raise NoFaceFound(_unseen(photo))
    if not 0 <= face < found:
        many = "one face" if found == 1 else f"{found} faces, numbered 1 to {found}"
        raise NoFaceFound(f"There is no face number {face + 1}; this photo shows {many}.")
