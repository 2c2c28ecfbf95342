"""Open a portrait once, edit it many times. The only door to the models for the app and the command line."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from core.checkpoints import DEFAULT_BUNDLE, Bundle, find_bundle, load_bundle
from core.editing.code_editor import CodeEditor
from core.edits import Edits
from core.errors import BadRequest
from core.faces.alignment import Face
from core.faces.parsing import Parsing
from core.generators.family import GeneratorFamily
from core.generators.residual import Residual
from core.improving import Improving
from core.inversion.bundled import descents_of
from core.inversion.descents import Descents
from core.inversion.pursuit import Begin
from core.inversion.seeker import Seeker
from core.keys import PortraitKey, content_hash
from core.memory import PortraitMemory
from core.opening import OPENING_SECONDS, Opener, Wishes
from core.precision import device_of, gradient_dtype
from core.references import Reference
from core.refinement.gradient_modules import GradientSettings
from core.refinement.refiner import Refiner
from core.refinement.running import Precedence, Progress, Watcher
from core.rendering.allocator import tune_allocator
from core.rendering.device_thread import DeviceThread
from core.rendering.rendered import Rendered
from core.rendering.renderer import Renderer
from core.sampling import Sampler
from core.session import EditRequest, Order, Portrait
from core.showing import shown

GENERATED_PSI = 0.7
# How long a portrait goes on improving once it is open.
IMPROVING_SECONDS = 30.0

T = TypeVar("T")


class Engine:
    """One loaded bundle on one device.

    `edit` is a pure function of portrait and request. All methods may be called from several threads: the
    device computes in one of its own, one thing after the other.
    Edits go first, between the steps of a refinement; "best", which takes a minute, is found for one portrait
    at a time.

    refiner: the stage of the bundle's refiner that "fast" uses; None: the first that it lists.
    tuning: how long and how hard "best" fits; None: as it does best. thread: where the bundle was loaded, if
    anywhere in particular. descent: begins the descent to a face's code, in place of the bundle's own.
    Raises: BadRequest if the bundle has no such refiner.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device | str = "cpu",
        refiner: str | None = None,
        tuning: GradientSettings | None = None,
        thread: DeviceThread | None = None,
        descent: Begin | None = None,
    ) -> None:
        tune_allocator()
        self._thread = thread or DeviceThread()
        self._memory, self._precedence = PortraitMemory(), Precedence()
        self.config, self.device = bundle.config, torch.device(device)
        self._thread.run(lambda: self._build(bundle, refiner, tuning, descent))

    def _build(
        self, bundle: Bundle, refiner: str | None, tuning: GradientSettings | None, descent: Begin | None
    ) -> None:
        self._generator = bundle.generator.to(self.device)
        self._renderer = Renderer(bundle.generator, self.device)
        self._editor = CodeEditor(bundle, self.device)
        descents = None if descent else self._descents(bundle)
        begin = descent or descents
        seeker = None
        if begin is not None:
            seeker = Seeker(begin, self._thread, self._precedence, self._memory.knows)
        dtype = self._renderer.dtype
        parser, covers = bundle.parser, bundle.covers
        self._parsing = None if parser is None else Parsing(parser, self.device, dtype, covers)
        self._edits = Edits(self._renderer, self._editor, self._parsing)
        parts = bundle, self._renderer, self._thread, self._editor
        self._opener = Opener(*parts, self._memory, self._precedence, seeker, self._parsing)
        shared = self._renderer, self._thread, self._memory, self._precedence
        self._refiner = Refiner(bundle, *shared, refiner, tuning, self._opener.settle, descents)
        self._improving = Improving(self._opener, self._refiner, self._precedence)
        self._sampler = Sampler(bundle, self._renderer, self._thread)
        self.fingerprint = bundle.fingerprint
        self.lpips = bundle.lpips  # that comes with the model, if one does

    def _descents(self, bundle: Bundle) -> Descents | None:
        found = descents_of(bundle, gradient_dtype(self.device))
        if found is not None:
            found.warm_up()
        return found

    @classmethod
    def load(
        cls, name_or_path: str | Path = DEFAULT_BUNDLE, device: str = "auto", refiner: str | None = None
    ) -> "Engine":
        """Find a bundle, load it and warm up; "auto" takes the GPU where there is one.

        Raises: BadCheckpoint for the bundle, BadRequest for the device or the refiner.
        """
        tune_allocator()
        chosen = device_of(device)
        thread = DeviceThread()
        bundle = thread.run(lambda: load_bundle(find_bundle(name_or_path), chosen))
        return cls(bundle, chosen, refiner, thread=thread)

    def find_faces(self, photo: np.ndarray) -> tuple[Face, ...]:
        """Faces in (H, W, 3) uint8, the largest first, those of about one size in reading order.

        Their places, from 0, are what `open_portrait` calls them; the app and the command line count from 1.
        """
        return self._opener.find_faces(photo, content_hash(photo))

    def open_portrait(
        self,
        photo: np.ndarray,
        face: int = 0,
        progress: Callable[[str], None] | None = None,
        seconds: float = OPENING_SECONDS,
        shown: Callable[[Portrait], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        steps: int | None = None,
    ) -> Portrait:
        """Detect, align and invert one face of (H, W, 3) uint8; the same pixels again cost nothing.

        progress: is told "Finding faces", "Aligning", "Inverting" as each begins. A model that finds codes by
        descent takes at most so many seconds of an idle machine; `shown` is given a portrait to look at and
        to edit after the first step, then better ones; `cancelled` is asked at every step. `improve` goes on
        from there. steps: after so many it is open, too; where they end it, on the same kind of machine, the
        same photo gives the same portrait, bit for bit.
        Raises: NoFaceFound if there is no face, or none with this number; BadImage if it is no RGB array;
        BadRequest if the model opens no photos; Cancelled.
        """
        wishes = Wishes.of(seconds, progress, shown, cancelled, steps)
        return self._opener.open(photo, PortraitKey.opened(photo, face), wishes)

    def open_crop(
        self,
        crop: np.ndarray,
        landmarks: np.ndarray,
        seconds: float = OPENING_SECONDS,
        shown: Callable[[Portrait], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Portrait:
        """`open_portrait` of a face that is cut out already, (S, S, 3) uint8 of any size; none is detected.

        landmarks: (68, 2) in its pixels, iBUG order. The portrait's photo is the crop as it is.
        """
        return self._opener.open_crop(crop, landmarks, Wishes.of(seconds, None, shown, cancelled))

    def improve(
        self,
        portrait: Portrait,
        seconds: float = IMPROVING_SECONDS,
        better: Callable[[Portrait], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        refined: bool = False,
    ) -> Portrait:
        """The portrait after at most so many seconds of further descent, from where opening it stopped.

        Every edit and opening goes first. better: is given each better one; requests hold for all of them.
        Ends early where nothing more is gained, or when it is cancelled. refined: "fast" is found after ten
        steps, and again at the end, as for who has it. With "best", or without descent, all stays as it is.
        """
        return self._improving.improve(portrait, seconds, better, cancelled or (lambda: False), refined)

    def preview(self, portrait: Portrait) -> Portrait:
        """The same face with fewer pixels, where the model makes such pictures: its edits take less time."""
        return self._opener.preview(portrait)

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
        self._memory.put(portrait)
        return portrait

    def invert_picture(
        self,
        picture: np.ndarray,
        seconds: float = OPENING_SECONDS,
        cancelled: Callable[[], bool] | None = None,
    ) -> Reference:
        """A reference of a face that is aligned already, (R', R', 3) uint8 of any size.

        Nothing of it is remembered. seconds, cancelled: as for `open_portrait`, where descent finds the code.
        Raises: BadImage if it is no square RGB array; NoFaceFound where descent has to see the face, and does
        not; BadRequest if the model opens no photos; Cancelled.
        """
        return self._opener.invert_picture(picture, Wishes.of(seconds, None, None, cancelled))

    def open_generated(self, seed: int) -> Portrait:
        """A synthetic face (`samples`) as a portrait, its code known; `resume` of the same takes it up again.

        Raises: NoFaceFound if the detector sees no face in it.
        """
        (code,), (picture,) = self._sampler.sample(1, seed, GENERATED_PSI)
        return self.resume(picture, self.find_faces(picture), 0, code.cpu().numpy())

    @property
    def opens_photos(self) -> bool:
        """Whether the model finds codes of photos; if not, portraits are generated or resumed."""
        return self._opener.possible

    @property
    def improves(self) -> bool:
        """Whether the model descends, so that `improve` can make portraits better."""
        return self._opener.descends

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
        return self._editor.explorable

    @property
    def takeable(self) -> tuple[str, ...]:
        """What an edit can take from a reference: attributes, in the model's order, then mixes."""
        return self._editor.takeable

    @property
    def gallery(self) -> tuple[Reference, ...]:
        """Reference faces that come with the model; their pictures are rendered at the first call, small."""
        return self._sampler.gallery

    @property
    def refinements(self) -> Mapping[str, str | None]:
        """For "fast" and "best" None where this model has it, else a sentence that says why not."""
        return self._refiner.ways

    def refine(
        self,
        portrait: Portrait,
        mode: str,
        progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        preview: Callable[[Portrait], None] | None = None,
    ) -> Portrait:
        """The portrait with the refinement `mode`, "fast" or "best", computed unless it is there already.

        One best refinement runs at a time, others wait for it; edits and openings do not. A model that
        descends may come nearer by the code first: eight steps for fast, thirty-two for best.
        progress: is told how far it is. cancelled: is asked several times a second whether to give up.
        preview: is given the portrait with what best has reached so far, now and then.

        Raises: BadRequest if the model cannot, Cancelled, OutOfMemory, RefinementFailed where no step gives
        finite numbers; the portrait stays as it is.
        """
        watcher = Watcher(progress or (lambda _: None), cancelled or (lambda: False))
        return self._refiner.refine(portrait, mode, watcher, preview)

    def check(self, request: EditRequest) -> None:
        """Raises: BadRequest if no portrait of this model can be edited so."""
        if (reason := self.refinements.get(request.refinement or "off")) is not None:
            raise BadRequest(reason)
        self._editor.check(request)

    def edit(
        self, portrait: Portrait, request: EditRequest, cancelled: Callable[[], bool] | None = None
    ) -> np.ndarray:
        """The edited face (R, R, 3), or the whole photo (H, W, 3) with it in place; uint8, the caller's own.

        Pure: equal requests give equal bytes. G is the generator with the portrait's refinement, if the
        request has one, at its strength; where the edit moves the face it fades (`core.refinement.fade`).
        With w' = w + what the references give + what the sliders add: from the inversion, face = G(w'), and
        of what is taken where it has a region of its own (`core.edits`), around that G without it.
        From the photo, only the change from G(w) to G(w') is laid onto the photo's pixels, at the photo's own
        resolution, so that an edit that moves nothing gives back the photo bit for bit.
        cancelled: is asked between its steps.

        Raises: BadRequest if the model has no such slider, cannot take that from a reference, the reference
        is another model's, or the refinement was not computed; Cancelled.
        """
        with self._precedence.first():
            pictures, seen = self._thread.run(lambda: self._edits.pictures(portrait, request, cancelled))
        return shown(portrait, request.view, pictures, seen)

    def glimpse(
        self, portrait: Portrait, request: EditRequest, cancelled: Callable[[], bool]
    ) -> np.ndarray | None:
        """`edit` for whom nobody waits: begins when nobody else has waited for a moment; None: cancelled."""
        if not self._precedence.wait(cancelled):
            return None
        return shown(
            portrait, request.view, *self._thread.run(lambda: self._edits.pictures(portrait, request))
        )

    def rendered(self, portrait: Portrait, request: EditRequest) -> Rendered:
        """What every view of this edit is made of, on the device; how it is shown does not matter here.

        Raises: BadRequest, as `edit`.
        """
        return self._thread.run(lambda: self._edits.rendered(portrait, request))

    def rendered_codes(self, codes: Tensor, request: EditRequest) -> Tensor:
        """The same edit of codes that are no portrait's, (N, L, D): G(w') of each, (N, 3, R, R) float32.

        Without a refinement, which only a portrait has; what is taken moves the whole picture.
        Raises: BadRequest, as `edit`.
        """
        if request.refinement is not None:
            raise BadRequest("A refinement belongs to a portrait; edit its code with refine off.")

        def one(w_plus: Tensor) -> Tensor:
            w = self._editor.edited_code(w_plus, self._editor.directions(w_plus), request)
            edited = w_plus.expand(2, -1, -1) if w is None else w
            return self._renderer.render(edited[:1], w_rgb=edited[1:])

        own = codes.to(self.device, torch.float32)
        return torch.cat([self._thread.run(functools.partial(one, w_plus)) for w_plus in own])

    def samples(self, n: int, seed: int, psi: float = GENERATED_PSI) -> list[np.ndarray]:
        """n synthetic faces (R, R, 3) uint8; psi: 0 is the mean face, 1 the full variety."""
        return self._sampler.sample(n, seed, psi)[1]

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
        self._memory.forget(portrait.key.photo)
        self._opener.forget(portrait.key.photo)

    def close(self) -> None:
        """Forget every photo."""
        self._memory.clear()
        self._opener.close()
