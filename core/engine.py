"""Open a portrait once, edit it many times. The only door to the models for the app and the command line."""

import copy
import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from core import alignment, compositing, identity
from core.alignment import Face
from core.checkpoints import DEFAULT_BUNDLE, Bundle, find_bundle, load_bundle
from core.config import BundleConfig
from core.editing.label import directions, edit_step, unit_codes
from core.errors import BadImage, BadRequest, NoFaceFound, SessionExpired
from core.images import to_array, to_levels, to_tensor
from core.models.style_transformer import invert
from core.refinement.fade import fade
from core.refinement.fast import predict
from core.refinement.gradient_modules import GradientSettings, refine_weights
from core.refinement.polish import polish
from core.refinement.residual import Residual, WeightShift
from core.refinement.running import Progress, Turns, Watcher, memory_errors
from core.render import Renderer, tune_allocator
from core.session import EditRequest, Portrait, SessionStore

# Re-opening one of the last photos costs nothing; visitors' own portraits live in the app's store.
RECENT_PORTRAITS = 16
RECENT_BYTES = 256 * 2**20
RECENT_FACES = 64
SAMPLE_BATCH = 8


@dataclass(frozen=True)
class _Detection:
    """Faces of one photo, as an entry of a SessionStore."""

    faces: tuple[Face, ...]

    @property
    def nbytes(self) -> int:
        return sum(face.landmarks.nbytes for face in self.faces)


class Engine:
    """One loaded bundle on one device.

    `edit` is a pure function of portrait and request. All methods may be called from several threads: a
    lock on the device and one on the detector (whose scratch memory is shared) let one at a time through.
    A "best" refinement, which takes a minute, has a lock of its own, and edits go on beside it.

    refiner: the stage of the bundle's refiner that "fast" uses; None: the first that it lists.
    tuning: how long and how hard "best" fits; None: as it does best.
    Raises: BadRequest if the bundle has no such refiner.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device | str = "cpu",
        refiner: str | None = None,
        tuning: GradientSettings | None = None,
    ) -> None:
        tune_allocator()
        self.config: BundleConfig = bundle.config
        self.device = torch.device(device)
        self._generator = bundle.generator.to(self.device)
        self._inverter = bundle.inverter.to(self.device)
        convert_conv2d_weight_memory_format(self._inverter, torch.channels_last)
        self._refiner = bundle.refiner(refiner)
        if self._refiner is not None:
            self._refiner.to(self.device)
            convert_conv2d_weight_memory_format(self._refiner, torch.channels_last)
        self._classifier = copy.deepcopy(bundle.classifier).to(self.device).double()
        self._linear = unit_codes(bundle.linear_directions.to(self.device))
        self._renderer = Renderer(bundle.generator, self.device)
        self._device_lock = threading.Lock()
        self._detector_lock = threading.Lock()
        self._turns = Turns()
        self._tuning = tuning
        self._store_lock = threading.Lock()
        self._portraits: SessionStore[Portrait] = SessionStore(RECENT_PORTRAITS, RECENT_BYTES)
        self._detections: SessionStore[_Detection] = SessionStore(RECENT_FACES, RECENT_BYTES)
        branches = bundle.config.classifier.attributes
        self._sliders = {a.name: (branches.index(a.name), a.unit) for a in bundle.config.attributes}

    @classmethod
    def load(
        cls, name_or_path: str | Path = DEFAULT_BUNDLE, device: str = "auto", refiner: str | None = None
    ) -> "Engine":
        """Find a bundle, load it and warm up; "auto" takes the GPU where there is one.

        Raises: BadCheckpoint for the bundle, BadRequest for the device or the refiner.
        """
        tune_allocator()
        chosen = _device(device)
        return cls(load_bundle(find_bundle(name_or_path), chosen), chosen, refiner)

    def find_faces(self, photo: np.ndarray) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, largest first; the order numbers them for `open_portrait`."""
        return self._find_faces(photo, _content_hash(photo))

    def _find_faces(self, photo: np.ndarray, content: str) -> tuple[Face, ...]:
        try:
            return self._detections.get(content).faces
        except SessionExpired:
            with self._detector_lock:
                faces = alignment.find_faces(photo)
        for face in faces:
            face.landmarks.setflags(write=False)
        self._detections.put(content, _Detection(faces))
        return faces

    def open_portrait(
        self, photo: np.ndarray, face: int = 0, progress: Callable[[str], None] | None = None
    ) -> Portrait:
        """Detect, align and invert one face of (H, W, 3) uint8; the same pixels again cost nothing.

        progress: is told "Finding faces", "Aligning", "Inverting" as each begins.
        Raises: NoFaceFound if there is no face, or none with this number; BadImage if it is no RGB array.
        """
        content = _content_hash(photo)
        key = f"{content}-{face}"
        try:
            return self._portraits.get(key)
        except SessionExpired:
            portrait = self._open(photo, face, content, key, progress or (lambda step: None))
        self._portraits.put(key, portrait)
        return portrait

    def _open(
        self, photo: np.ndarray, face: int, content: str, key: str, progress: Callable[[str], None]
    ) -> Portrait:
        progress("Finding faces")
        faces = self._find_faces(photo, content)
        _check_face(face, len(faces))
        progress("Aligning")
        photo = np.array(photo, order="C")  # the portrait's own: the caller may write into theirs
        landmarks = faces[face].landmarks
        size = self.config.generator.resolution
        transform = alignment.crop_transform(landmarks, self.config.template)
        crop = alignment.crop(photo, transform, size)
        descriptor = identity.descriptor(photo, landmarks)
        progress("Inverting")
        with self._device_lock:
            w_plus = self._invert(crop)
            rendered = self._renderer.render(w_plus[None])
            by_order = {
                "first": directions(self._classifier, w_plus, "first"),
                "second": directions(self._classifier, w_plus, "second"),
                "linear": self._linear,
            }
            inversion = to_array(rendered)[0]
        return Portrait(
            key=key,
            photo=photo,
            faces=faces,
            face=face,
            transform=transform,
            crop=crop,
            inversion=inversion,
            rendered=rendered,
            mask=compositing.face_mask(alignment.to_crop(landmarks, transform, size), size),
            w_plus=w_plus,
            directions=by_order,
            identity=descriptor,
        )

    @torch.inference_mode()
    def _invert(self, crop: np.ndarray) -> Tensor:
        """(R, R, 3) uint8 -> (L, D) float32."""
        with self._renderer.autocast():
            return invert(self._generator, self._inverter, self._image(crop))[0].float()

    def _image(self, crop: np.ndarray) -> Tensor:
        """(R, R, 3) uint8 -> (1, 3, R, R) in [-1, 1], laid out for convolutions."""
        return to_tensor(crop, self.device).contiguous(memory_format=torch.channels_last)

    @property
    def refinements(self) -> Mapping[str, str | None]:
        """For "fast" and "best" None where this model has it, else a sentence that says why not."""
        missing = None if self._refiner else "This model has no refiner for the fast refinement."
        return {"fast": missing, "best": None}

    def refine(
        self,
        portrait: Portrait,
        mode: str,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        preview: Callable[[Portrait], None] | None = None,
    ) -> Portrait:
        """The portrait with the refinement `mode`, "fast" or "best", computed unless it is there already.

        One best refinement runs at a time, others wait for it; edits and openings do not.
        progress: is told how far it is. cancelled: is asked several times a second whether to give up.
        preview: is given the portrait with what best has reached so far, now and then.

        Raises: BadRequest if the model cannot, Cancelled, OutOfMemory, RefinementFailed where no step gives
        finite numbers; the portrait stays as it is.
        """
        if mode not in self.refinements:
            raise BadRequest(f"The refinement is {mode!r}; it must be one of fast, best.")
        if (reason := self.refinements[mode]) is not None:
            raise BadRequest(reason)
        if mode in portrait.residuals:
            return portrait
        if mode == "fast":
            with memory_errors():
                return self._kept(portrait, mode, self._fast(portrait))
        watcher = Watcher(progress or (lambda _: None), cancelled or (lambda: False))
        with self._turns.take(watcher), memory_errors():
            known = self._remembered(portrait)  # whoever went before may have refined the same photo
            if known is not None and mode in known.residuals:
                return portrait.refined(known.residuals, known.bases)
            watcher = dataclasses.replace(watcher, started=time.monotonic())
            return self._kept(portrait, mode, self._best(portrait, watcher, preview))

    def _fast(self, portrait: Portrait) -> Residual:
        assert self._refiner is not None
        image = self._image(portrait.crop)
        with torch.inference_mode(), self._device_lock, self._renderer.autocast():
            predicted = predict(self._refiner, self._inverter, image, portrait.rendered)
        # Without the lock: it works on its own tensors, and others' edits go on.
        steps = self._refiner.config.polish
        return polish(self._renderer.synthesis, self._inverter, predicted, image, portrait.w_plus, steps)

    def _best(
        self, portrait: Portrait, watcher: Watcher, preview: Callable[[Portrait], None] | None
    ) -> Residual:
        def shown(residual: WeightShift) -> None:
            if preview is not None:
                preview(self._with(portrait, "best", residual))

        residual = refine_weights(
            self._generator,
            self._inverter,
            self._image(portrait.crop),
            portrait.w_plus.clone(),  # made in inference mode, of which no gradient may come
            self._tuning,
            watcher.count,
            watcher.cancelled,
            shown,
        )
        watcher.check()
        return residual

    def _kept(self, portrait: Portrait, mode: str, residual: Residual) -> Portrait:
        """The portrait with the residual, which is also there when the same photo is opened again."""
        refined = self._with(portrait, mode, residual)
        with self._store_lock:
            known = self._remembered(portrait)
            if known is not None:  # else its visitor has left, and nothing may stay
                self._portraits.put(portrait.key, known.refined(refined.residuals, refined.bases))
        return refined

    def _remembered(self, portrait: Portrait) -> Portrait | None:
        try:
            return self._portraits.get(portrait.key)
        except SessionExpired:
            return None

    def _with(self, portrait: Portrait, mode: str, residual: Residual) -> Portrait:
        with self._device_lock:
            base = self._renderer.render(portrait.w_plus[None], residual)
        return portrait.refined({mode: residual}, {mode: base})

    def edit(self, portrait: Portrait, request: EditRequest) -> np.ndarray:
        """The edited face (R, R, 3), or the whole photo (H, W, 3) with it in place; uint8, the caller's own.

        Pure: equal requests give equal bytes. G is the generator with the portrait's refinement, if the
        request has one, at its strength; where the step moves the face it fades (`core.refinement.fade`).
        From the inversion, face = G(w + step). From the photo, only the change from G(w) to G(w + step) is
        laid onto the photo's pixels, at the photo's own resolution, so that sliders at zero give back the
        photo bit for bit.

        Raises: BadRequest if the model has no such slider, or the refinement was not computed.
        """
        step = self._step(portrait, request)
        mode = request.refinement
        if mode is not None and mode not in portrait.residuals:
            raise BadRequest(f"The refinement {mode} of this face is not computed yet; refine it first.")
        whole = request.output == "photo"
        if step is None and request.start == "photo":
            return (portrait.photo if whole else portrait.crop).copy()
        with self._device_lock:
            edited = self._render(portrait, request, step)
            if request.start == "inversion" and not whole:
                return to_array(edited)[0]
            base = edited if step is None else self._render(portrait, request, None)
            pictures = to_levels(base), to_levels(edited)
        if not whole:
            return compositing.change_face(portrait.crop, *pictures, request.keep_detail)
        paste = compositing.paste_change if request.start == "photo" else compositing.paste_rendering
        region = portrait.mask
        return paste(
            portrait.photo, portrait.transform, portrait.crop, *pictures, region, request.keep_detail
        )

    def _render(self, portrait: Portrait, request: EditRequest, step: Tensor | None) -> Tensor:
        """G(w + step), or G(w) where there is no step: (1, 3, R, R)."""
        mode = request.refinement
        if step is None and mode is None:
            return portrait.rendered
        w = portrait.w_plus if step is None else portrait.w_plus + step
        if mode is None:
            return self._renderer.render(w[None])
        if step is None and request.strength == 1:
            return portrait.bases[mode]
        refined = self._renderer.render(w[None], portrait.residuals[mode], request.strength)
        if step is None:
            return refined
        # The residual was made for the unedited face: an open mouth it would close again.
        return fade(self._renderer.render(w[None]), refined, portrait.rendered)

    def _step(self, portrait: Portrait, request: EditRequest) -> Tensor | None:
        """Sum over the sliders of value * unit * direction, (L, D); None if all are at zero."""
        unknown = [name for name in request.sliders if name not in self._sliders]
        if unknown:
            known = ", ".join(self._sliders)
            raise BadRequest(f"This model has no slider {unknown[0]}; it has {known}.")
        if not request.sliders:
            return None
        moves = []
        for name, value in request.sliders.items():
            index, unit = self._sliders[name]
            moves.append((index, value * unit))
        return edit_step(portrait.directions[request.order], moves)

    def samples(self, n: int, seed: int, psi: float = 0.7) -> list[np.ndarray]:
        """n synthetic faces (R, R, 3) uint8; psi: 0 is the mean face, 1 the full variety."""
        codes = self._generator.sample(n, psi, seed)
        faces: list[np.ndarray] = []
        for batch in codes.split(SAMPLE_BATCH):
            with self._device_lock:
                faces.extend(to_array(self._renderer.render(batch)))
        return faces

    @property
    def renderer(self) -> Renderer:
        """The generator alone, to measure it; takes no lock."""
        return self._renderer

    def forget(self, portrait: Portrait) -> None:
        """Drop the engine's own memory of this photo; portraits that callers hold keep working."""
        self._portraits.drop(portrait.key)
        self._detections.drop(portrait.key.rsplit("-", 1)[0])

    def close(self) -> None:
        """Forget every photo."""
        self._portraits.clear()
        self._detections.clear()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" makes tensors, but holds nothing
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise BadRequest(f"This machine has no device '{name}'; use auto, cpu or cuda.") from error
    return device


def _content_hash(photo: np.ndarray) -> str:
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
