"""Open a portrait once, edit it many times. The only door to the models for the app and the command line."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from core.checkpoints import DEFAULT_BUNDLE, Bundle, find_bundle, load_bundle
from core.config import BundleConfig
from core.editing.code_editor import Mover
from core.errors import BadRequest, SessionExpired
from core.faces.alignment import Face
from core.generators.family import GeneratorFamily
from core.generators.residual import LowRank, Residual, WeightShift
from core.images import to_array, to_levels
from core.models.gradual_encoder import GradualEncoder
from core.models.style_transformer import StyleTransformer
from core.opening import Opener, content_hash
from core.paste import compositing
from core.references import Reference
from core.refinement.fade import fade
from core.refinement.fast import predict
from core.refinement.gradient_modules import GradientSettings, refine_weights
from core.refinement.polish import polish
from core.refinement.running import Progress, Turns, Watcher, memory_errors
from core.rendering.allocator import tune_allocator
from core.rendering.device_thread import DeviceThread
from core.rendering.renderer import Renderer, lay_out
from core.session import EditRequest, Order, Portrait, SessionStore

# Re-opening one of the last photos costs nothing; visitors' own portraits live in the app's store.
RECENT_PORTRAITS = 16
RECENT_BYTES = 256 * 2**20
# Pictures rendered at once: eight of the built-in model's size, one of 1024 px.
BATCH_PIXELS = 8 * 128**2
GENERATED_PSI = 0.7

T = TypeVar("T")


class Engine:
    """One loaded bundle on one device.

    `edit` is a pure function of portrait and request. All methods may be called from several threads: the
    device computes in one of its own, one thing after the other.
    A "best" refinement, which takes a minute, has a lock instead, and edits go on beside it.

    refiner: the stage of the bundle's refiner that "fast" uses; None: the first that it lists.
    tuning: how long and how hard "best" fits; None: as it does best. thread: where the bundle was loaded, if
    anywhere in particular.
    Raises: BadRequest if the bundle has no such refiner.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device | str = "cpu",
        refiner: str | None = None,
        tuning: GradientSettings | None = None,
        thread: DeviceThread | None = None,
    ) -> None:
        tune_allocator()
        self._thread = thread or DeviceThread()
        self._thread.run(lambda: self._build(bundle, torch.device(device), refiner))
        self._turns = Turns()
        self._tuning = tuning
        self._store_lock = threading.Lock()
        self._portraits: SessionStore[Portrait] = SessionStore(RECENT_PORTRAITS, RECENT_BYTES)

    def _build(self, bundle: Bundle, device: torch.device, refiner: str | None) -> None:
        self.config: BundleConfig = bundle.config
        self.device = device
        self._generator = bundle.generator.to(self.device)
        self._inverter, self._refiner = bundle.inverter, bundle.refiner(refiner)
        self._renderer = Renderer(bundle.generator, self.device)
        if isinstance(self._inverter, GradualEncoder):
            # A gigabyte in float32, and no refinement asks for their gradients, as it does for the trunk's.
            self._inverter.heads.to(self._renderer.dtype)
        for network in (self._inverter, self._refiner):
            if network is not None:
                lay_out(network.to(self.device))
        self._opener = Opener(bundle, self._renderer, self._thread)
        self._mover = Mover(bundle, self.device)
        self._gallery_codes = bundle.gallery
        self.lpips = bundle.lpips  # that comes with the model, if one does
        self.fingerprint: str = bundle.fingerprint

    @classmethod
    def load(
        cls, name_or_path: str | Path = DEFAULT_BUNDLE, device: str = "auto", refiner: str | None = None
    ) -> "Engine":
        """Find a bundle, load it and warm up; "auto" takes the GPU where there is one.

        Raises: BadCheckpoint for the bundle, BadRequest for the device or the refiner.
        """
        tune_allocator()
        chosen = _device(device)
        thread = DeviceThread()
        bundle = thread.run(lambda: load_bundle(find_bundle(name_or_path), chosen))
        return cls(bundle, chosen, refiner, thread=thread)

    def find_faces(self, photo: np.ndarray) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, largest first; the order numbers them for `open_portrait`."""
        return self._opener.find_faces(photo, content_hash(photo))

    def open_portrait(
        self, photo: np.ndarray, face: int = 0, progress: Callable[[str], None] | None = None
    ) -> Portrait:
        """Detect, align and invert one face of (H, W, 3) uint8; the same pixels again cost nothing.

        progress: is told "Finding faces", "Aligning", "Inverting" as each begins.
        Raises: NoFaceFound if there is no face, or none with this number; BadImage if it is no RGB array.
        """
        content = content_hash(photo)
        key = f"{content}-{face}"
        try:
            return self._portraits.get(key)
        except SessionExpired:
            portrait = self._opener.open(photo, content, face, key, progress or (lambda step: None))
        self._portraits.put(key, portrait)
        return portrait

    def resume(
        self,
        photo: np.ndarray,
        faces: tuple[Face, ...],
        face: int,
        w_plus: np.ndarray,
        residuals: Mapping[str, Residual] = MappingProxyType({}),
    ) -> Portrait:
        """The portrait of a face that was opened before, here or elsewhere; nothing is detected or inverted.

        photo: (H, W, 3) uint8; faces, face, residuals: as the portrait had them; w_plus: (L, D) float32.
        `open_portrait` of the same photo does not find it: it says itself what its code is.
        Raises: NoFaceFound if there is no face with this number, BadImage if the photo is no RGB array,
        BadRequest if code or residuals are not of this model.
        """
        portrait = self._opener.resume(photo, faces, face, w_plus, residuals)
        self._portraits.put(portrait.key, portrait)
        return portrait

    def invert_picture(self, picture: np.ndarray) -> Reference:
        """A reference of a face that is aligned already, (R', R', 3) uint8 of any size.

        Raises: BadImage if it is no RGB array.
        """
        return self._opener.invert_picture(picture)

    def open_generated(self, seed: int) -> Portrait:
        """A synthetic face (`samples`) as a portrait, its code known; `resume` of the same takes it up again.

        Raises: NoFaceFound if the detector sees no face in it.
        """
        code = self._thread.run(lambda: self._generator.sample(1, GENERATED_PSI, seed))
        picture = self._thread.run(lambda: self._faces(code))[0]
        return self.resume(picture, self.find_faces(picture), 0, code[0].cpu().numpy())

    @property
    def opens_photos(self) -> bool:
        """Whether the model has an encoder; without one, portraits are generated or resumed."""
        return self._inverter is not None

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders of directions between which this model can choose; none if they are all the same."""
        return get_args(Order) if self.config.classifier else ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What this model cannot do and what would mend that, in sentences for people."""
        return self.config.lacks

    @property
    def explorable(self) -> tuple[str, ...]:
        """Sliders that every generator has, unnamed: `core.editing.explore`."""
        return self._mover.explorable

    @property
    def takeable(self) -> tuple[str, ...]:
        """What an edit can take from a reference: attributes, as the sliders are ordered, then mixes."""
        return self._mover.takeable

    @cached_property
    def gallery(self) -> tuple[Reference, ...]:
        """Reference faces that come with the model; their pictures are rendered at the first call."""
        faces = self._thread.run(lambda: self._faces(self._gallery_codes))
        codes = self._gallery_codes.cpu().numpy()
        return tuple(Reference(w_plus, face) for w_plus, face in zip(codes, faces, strict=True))

    @property
    def refinements(self) -> Mapping[str, str | None]:
        """For "fast" and "best" None where this model has it, else a sentence that says why not."""
        fast = None if self._refiner else "This model has no refiner for the fast refinement."
        best = None if self._inverter else "This model has no encoder, by whose features faces are compared."
        return {"fast": fast, "best": best}

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
        assert isinstance(self._inverter, StyleTransformer)  # the config sees to it
        image = self._opener.image(portrait.crop)
        refiner, inverter = self._refiner, self._inverter

        def predicted() -> LowRank:
            with torch.inference_mode(), self._renderer.autocast():
                return predict(refiner, inverter, image, portrait.rendered)

        start = self._thread.run(predicted)
        # In this thread: it works on its own tensors, and others' edits go on.
        return polish(
            self._renderer.synthesis, inverter, start, image, portrait.w_plus, refiner.config.polish
        )

    def _best(
        self, portrait: Portrait, watcher: Watcher, preview: Callable[[Portrait], None] | None
    ) -> Residual:
        def shown(residual: WeightShift) -> None:
            if preview is not None:
                preview(self._with(portrait, "best", residual))

        assert self._inverter is not None
        residual = refine_weights(
            self._generator,
            self._inverter,
            self._opener.image(portrait.crop),
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
        base = self._thread.run(lambda: self._renderer.render(portrait.w_plus[None], residual))
        return portrait.refined({mode: residual}, {mode: base})

    def edit(self, portrait: Portrait, request: EditRequest) -> np.ndarray:
        """The edited face (R, R, 3), or the whole photo (H, W, 3) with it in place; uint8, the caller's own.

        Pure: equal requests give equal bytes. G is the generator with the portrait's refinement, if the
        request has one, at its strength; where the edit moves the face it fades (`core.refinement.fade`).
        With w' = w + what the references give + what the sliders add: from the inversion, face = G(w').
        From the photo, only the change from G(w) to G(w') is laid onto the photo's pixels, at the photo's own
        resolution, so that an edit that moves nothing gives back the photo bit for bit.

        Raises: BadRequest if the model has no such slider, cannot take that from a reference, the reference
        is another model's, or the refinement was not computed.
        """
        whole = request.output == "photo"
        pictures = self._thread.run(lambda: self._pictures(portrait, request))
        if not pictures:
            return (portrait.photo if whole else portrait.crop).copy()
        if len(pictures) == 1:
            return pictures[0]
        base, edited = pictures
        if not whole:
            return compositing.change_face(portrait.crop, base, edited, request.keep_detail)
        paste = compositing.paste_change if request.start == "photo" else compositing.paste_rendering
        photo, transform, crop, mask = portrait.photo, portrait.transform, portrait.crop, portrait.mask
        return paste(photo, transform, crop, base, edited, mask, request.keep_detail)

    def _pictures(self, portrait: Portrait, request: EditRequest) -> tuple[np.ndarray, ...]:
        """What an edit needs of the generator, (R, R, 3) each.

        None of them where it moves nothing of the photo; G(w') as uint8 where that is all; else G(w) and
        G(w') as float32 levels.
        """
        w = self._mover.edited_code(portrait, request)
        mode = request.refinement
        if mode is not None and mode not in portrait.residuals:
            raise BadRequest(f"The refinement {mode} of this face is not computed yet; refine it first.")
        if w is None and request.start == "photo":
            return ()
        edited = self._render(portrait, request, w)
        if request.start == "inversion" and request.output == "face":
            return (to_array(edited)[0],)
        base = edited if w is None else self._render(portrait, request, None)
        return to_levels(base), to_levels(edited)

    def _render(self, portrait: Portrait, request: EditRequest, w: Tensor | None) -> Tensor:
        """G of the edited code (2, L, D), or of the portrait's own where it is None: (1, 3, R, R)."""
        mode = request.refinement
        if mode is None:
            return portrait.rendered if w is None else self._renderer.render(w[:1], w_rgb=w[1:])
        residual = portrait.residuals[mode]
        if w is None:
            whole = request.strength == 1
            own = portrait.w_plus[None]
            return portrait.bases[mode] if whole else self._renderer.render(own, residual, request.strength)
        # The residual was made for the unedited face: an open mouth it would close again.
        plain = self._renderer.render(w[:1], w_rgb=w[1:])
        refined = self._renderer.render(w[:1], residual, request.strength, w[1:])
        return fade(plain, refined, portrait.rendered)

    def samples(self, n: int, seed: int, psi: float = GENERATED_PSI) -> list[np.ndarray]:
        """n synthetic faces (R, R, 3) uint8; psi: 0 is the mean face, 1 the full variety."""
        return self._thread.run(lambda: self._faces(self._generator.sample(n, psi, seed)))

    def _faces(self, codes: Tensor) -> list[np.ndarray]:
        """(N, L, D) -> N pictures (R, R, 3) uint8."""
        batch = max(1, BATCH_PIXELS // self.config.generator.resolution**2)
        starts = range(0, len(codes), batch)
        return [face for i in starts for face in to_array(self._renderer.render(codes[i : i + batch]))]

    def run(self, job: Callable[[], T]) -> T:
        """A job's result, computed where the model's own work is; to measure it there."""
        return self._thread.run(job)

    @property
    def generator(self) -> GeneratorFamily:
        """The generator as it was loaded, in float32, to compare with."""
        return self._generator

    @property
    def renderer(self) -> Renderer:
        """The generator alone, to measure it; one call at a time."""
        return self._renderer

    def forget(self, portrait: Portrait) -> None:
        """Drop the engine's own memory of this photo; portraits that callers hold keep working."""
        self._portraits.drop(portrait.key)
        self._opener.forget(portrait.key.partition("-")[0])

    def close(self) -> None:
        """Forget every photo."""
        self._portraits.clear()
        self._opener.close()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" makes tensors, but holds nothing
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise BadRequest(f"This machine has no device '{name}'; use auto, cpu or cuda.") from error
    return device
