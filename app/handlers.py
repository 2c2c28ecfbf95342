"""What happens on each gesture: widget values -> EditRequest -> engine -> a message for the stage.

Every method takes the visitor's token first. Whatever a visitor can cause ends in a gr.Error whose
text is one sentence (app/toasts.py); the stage then keeps the picture, and Gradio the sliders, as they were.
"""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from app import messages
from app.beside import Beside
from app.cropping import Cropping
from app.downloads import Downloads
from app.following import Following
from app.group import Group
from app.improving import Improvement, Improver, previewed
from app.keeping import Keeping
from app.likeness import Meters, Untold
from app.live import Hands, LatestWins, with_steps
from app.looks import Glimpses
from app.messages import Answer, Message, at_rest
from app.openings import Opening, Openings, as_told, let_go
from app.past import Past
from app.references import References
from app.refining import Runs, as_set
from app.resting import Visits
from app.starts import Start, photo_of, seed_of, stem_of
from app.toasts import tell, toast, toasted, toasted_stream
from app.toggling import Toggle
from app.visits import Visit, chosen, parse_request
from core.engine import Engine
from core.errors import SessionExpired, VisagistError
from core.images import Photo, open_photo
from core.names import uploaded_stem
from core.pictures.limits import LIMITS, Limits
from core.projects.project import Project, is_project, open_project
from core.session import EditRequest, Portrait, Refine, SessionStore

Change = Callable[[Visit], Visit]
# Pictures at rest that are made at a time, for all visitors: while one is pasted the device renders another.
# More at once would all be done when the last is.
STILLS_AT_ONCE = 2

failing = toasted_stream(lambda: (messages.message("failed"), None))


class Handlers:
    """The gestures of all visitors on one engine. Thread-safe; visitors share nothing but the device."""

    def __init__(
        self,
        engine: Engine,
        examples: tuple[Start, ...] = (),
        store: SessionStore[Visit] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """limits: how large a photo visitors may bring."""
        self.engine, self.examples, self._limits = engine, examples, limits
        self.visits = store = Visits(engine, self._at_work) if store is None else store
        self._frames, self._hands, self._openings = LatestWins(), Hands(), Openings(engine, store)
        self._runs, self._improver, self._beside = Runs(), Improver(engine, store, self._update), Beside()
        self._writing = threading.Lock()  # a visit is changed by one event at a time
        self._stills = threading.Semaphore(STILLS_AT_ONCE)
        self.references = References(engine, store, self._update, limits)
        self.following = Following(engine, store, self._hands, self.references, self._seen)
        self.export = Downloads(engine, store, self.references).export
        self.keep = Keeping(engine, store).keep
        self.glimpses, self.meters = Glimpses(engine, store), Meters(engine)
        self._group = Group(engine, store, self._openings, self._frames, self._update, self._opened)
        shared = self._openings, self._improver, self._update, self._leave, self._open, self._arrived
        self.crop = failing(Cropping(engine, store, *shared).crop)
        self._toggle = Toggle(engine, store, self._runs, self._improver, self._update, self._seen, self._show)
        self.refine, self.cancel = failing(self._toggle.refine), self._toggle.cancel
        self._past = Past(engine, store, self.references, self._show)
        self.recall = self._past.recall

    def request(
        self,
        token: str,
        sliders: Mapping[str, float | None],
        stack: object = None,
        lenient: bool = False,
        **settings: Any,
    ) -> EditRequest:
        """The widgets' values as a request; lenient leaves out reference faces that are no longer known.

        Raises: gr.Error.
        """
        try:
            takes = self.references.takes(token, stack, lenient)
            return parse_request(sliders, takes=takes, **settings)
        except VisagistError as error:
            raise toast(error) from None

    @failing
    def open_file(self, token: str, asked: EditRequest, path: str) -> Iterator[Answer]:
        """Open an uploaded photo or project, which is erased from the disk once it is in memory."""
        try:
            opened = (open_project if is_project(path) else open_photo)(path, self._limits)
        finally:
            Path(path).unlink(missing_ok=True)
        stem = uploaded_stem(Path(path))
        if isinstance(opened, Project):
            yield from self._open_project(token, opened, stem)
        else:
            yield from self._open(token, asked, opened, stem)

    @failing
    def open_example(self, token: str, asked: EditRequest, index: object) -> Iterator[Answer]:
        """Open one of the example faces, a photo or one that the model makes up."""
        start = self.examples[chosen(index, len(self.examples))]
        yield from self._open(token, asked, photo_of(start), stem_of(start), seed=seed_of(start))

    @failing
    def choose_face(
        self, token: str, asked: EditRequest, index: object, unsettled: bool = False
    ) -> Iterator[Answer]:
        """Go on with another face of the open photo; unsettled as for `undo`, of the one in hand."""
        self._improver.settled(token)
        self._leave(token)
        yield from self._group.turn(token, asked, index, unsettled)

    @failing
    def turn(self, token: str, asked: EditRequest, turns: object) -> Iterator[Answer]:
        """Open the photo again, so many quarters clockwise; the edit stays."""
        visit = self.visits.get(token)
        photo = Photo(visit.portrait.photo, visit.original).turned(chosen(turns, 4))
        yield from self._open(token, asked, photo, visit.stem, visit.portrait.face, keeps=True)

    def _open(
        self, token: str, asked: EditRequest, photo: Photo, stem: str, face: int = 0,
        seed: int | None = None, keeps: bool = False,
    ) -> Iterator[Answer]:  # fmt: skip
        """stem: the photo's name; seed: of the face, if the model made it; keeps: whether the edit stays."""
        pixels = photo.pixels

        def job(progress: Callable[[str], None]) -> Portrait:
            portrait = opening.photo(pixels, face, seed, progress)
            if asked.refine != "off":
                progress("Refining")
            return portrait

        self._leave(token)
        with self._openings.one(token) as opening:
            known = messages.known(pixels, face)
            yield messages.opening(known, "Finding faces"), None
            known["faces"] = messages.face_list(pixels, self.engine.find_faces(pixels))
            portrait = yield from as_told(with_steps(job), known)
            portrait, asked = as_set(self.engine, portrait, asked)
            neutral = dataclasses.replace(asked, sliders={}, takes=())
            visit = Visit.begin(portrait, previewed(self.engine, portrait), neutral, photo.original, stem)
            # After an expired session the widgets still say what the visitor had: take it up again.
            if keeps or self._visit(token) is None:
                visit = visit.with_edit(asked)
            yield self._arrived(token, visit, known, opening, seed is None)

    def _open_project(self, token: str, project: Project, stem: str) -> Iterator[Answer]:
        self._leave(token)
        with self._openings.one(token) as opening:
            known = messages.known(project.photo, project.face, project.faces)
            yield messages.opening(known, "Opening the project"), None
            job = functools.partial(opening.project, project)
            restored = yield from as_told(with_steps(job), known)
            preview = previewed(self.engine, restored.portrait)
            others = self._group.restored(restored)
            visit = Visit.restored(restored, preview, others, project.original, stem)
            yield self._arrived(token, visit, known, opening, not visit.portrait.residuals)
            if restored.notice is not None:
                tell(restored.notice)

    @failing
    def beside(self, token: str, earlier: bool) -> Iterator[Answer]:
        """Back to what was open before, with its edits, or forward again; the other then lies beside it."""
        visit = self._beside.get(token, earlier)
        if visit is None:  # not here; perhaps the browser has it
            yield messages.message("elsewhere"), None
            return
        self._leave(token)
        with self._openings.one(token) as opening:
            portrait = visit.portrait
            known = messages.known(portrait.photo, portrait.face, portrait.faces)
            yield self._arrived(token, visit, known, opening, not portrait.residuals, not earlier)

    def _arrived(
        self, token: str, visit: Visit, known: Message, opening: Opening, may_gain: bool, onward: bool = True
    ) -> Answer:
        """The first picture of a visit that begins; the faces of the one before come along.

        may_gain: whether the portrait's code may get better, where the model can make it. onward: undo leads
        back to the one before, else redo does.
        Raises: Cancelled.
        """
        request = visit.portrait.shown(visit.request)
        picture = self.engine.edit(at_rest(visit, visit.portrait, request), request)
        with self._writing:  # nobody leaves in between
            opening.check(visit.portrait)
            before = self._visit(token)
            self.visits.put(token, visit if before is None else visit.after(before))
        if before is not None:
            self._beside.put(token, before, earlier=onward)
            let_go(self.engine, self.visits, token, before.portrait)
        return self._opened(token, visit, visit.request, picture, known["faces"], may_gain, arrived=True)

    def _opened(
        self,
        token: str,
        visit: Visit,
        asked: EditRequest,
        picture: Any,
        faces: list[Any],
        may_gain: bool,
        **more: Any,
    ) -> Answer:
        shown = messages.opened(visit, visit.together(picture, asked), asked, faces)
        more |= {"improves": self.engine.improves and may_gain, **self._past.state(visit, asked)}
        told = messages.message("opened", **shown, token=token, **more)
        self.meters.note(token, Untold(told["number"], visit.portrait, visit.portrait.shown(asked), picture))
        return told, asked

    def _visit(self, token: str) -> Visit | None:
        try:
            return self.visits.get(token)
        except SessionExpired:
            return None

    def preview(self, token: str, request: EditRequest) -> Message | None:
        """The frame while a slider moves; None if a newer one is wanted already.

        Failures would repeat with every pixel: `settle` tells them; that the portrait is gone ends it all.
        """
        number = messages.next_number()
        with self._writing:
            if self._visit(token) is not None:  # who has left holds nothing
                self._hands.move(token)

        def job() -> Message:
            visit = self.visits.get(token)
            seen = self._seen(token, visit, visit.possible(request), request.refine, live=True)
            picture = visit.together(self.engine.edit(*seen), request, live=True)
            shown = messages.frame(picture, request, live=True)
            kept = messages.request_dict(visit.possible(request))
            return messages.message("frame", number, frame=shown, request=kept)

        try:
            return self._frames.run(token, job)
        except SessionExpired as error:
            return messages.message("gone", sentence=str(error))
        except VisagistError:
            return None
        except Exception as error:
            raise toast(error) from None

    @toasted
    def settle(self, token: str, request: EditRequest, face: object = None) -> Message | None:
        """The hand rests: one entry in the history, and the picture at full quality.

        face: that was in hand, if not the one that is: what was done to it was told when it was left."""
        with self._frames.alone(token):
            if face not in (None, self.visits.get(token).portrait.face):
                return None
            return self._show(token, lambda visit: visit.with_edit(visit.possible(request)), request)

    @toasted
    def jump(self, token: str, current: EditRequest, index: object) -> Answer:
        """Go to an entry of the history; the view (face or whole photo) stays as it is."""
        entry = chosen(index, len(self.visits.get(token).history))
        self._runs.drop(token)
        return self._go(token, lambda visit: visit.at(entry), current)

    def undo(self, token: str, current: EditRequest, unsettled: bool = True) -> Answer:
        """One entry back; unsettled: whether `current` may be a change that is no entry yet."""
        return self._step(token, current, -1, unsettled)

    def redo(self, token: str, current: EditRequest, unsettled: bool = True) -> Answer:
        """One entry forward; unsettled as for `undo`."""
        return self._step(token, current, 1, unsettled)

    @toasted
    def _step(self, token: str, current: EditRequest, by: int, unsettled: bool) -> Answer:
        if self._runs.drop(token) and by < 0:
            by = 0  # the refinement under way is the last thing that was done

        def stepped(visit: Visit) -> Visit:
            # A change that has not yet settled is what "undo" means to undo, so it becomes an entry first.
            if unsettled:
                visit = visit.with_edit(visit.possible(current))
            return visit.at(visit.cursor + by)

        return self._go(token, stepped, current)

    def _go(self, token: str, change: Change, current: EditRequest) -> Answer:
        # Nothing in between: of two quick undos the second starts where the first ends.
        with self._frames.alone(token):
            request = change(self.visits.get(token)).request.seen(output=current.view.output)
            return self._show(token, change, request, refining=False), request

    @toasted
    def reset(self, token: str, current: EditRequest) -> Answer:
        """All sliders to zero and nothing taken, as a new entry of the history."""
        request = dataclasses.replace(current, sliders={}, takes=())
        return self._show(token, lambda visit: visit.with_edit(visit.possible(request)), request), request

    def improve(self, token: str) -> Iterator[Message]:
        """The face as it gets better, until it does no more; a slider in hand is never jumped."""
        with contextlib.suppress(SessionExpired):  # then the visitor has left
            improvement = self._improver.begin(token)
            try:
                yield from self._bettered(token, improvement)
            finally:
                wanted = self._improver.end(token, improvement)
            if wanted:
                yield messages.improving(None)

    def _bettered(self, token: str, improvement: Improvement) -> Iterator[Message]:
        best = self.visits.get(token).portrait
        yield messages.improving(best)
        for _ in improvement.watch():
            if self._improver.get(token) is not improvement:
                return
            if improvement.reached not in (None, best):
                best = improvement.reached
                yield messages.improving(best)
            # Nothing is locked at a yield: what comes after it may run in another thread, or never.
            frame = self._taken_over(token)
            if frame is not None:
                yield frame

    def _taken_over(self, token: str) -> Message | None:
        """The picture of a better portrait, where there is one, no slider is in hand, and it differs."""
        with self._frames.alone(token):
            better = None if self._hands.busy(token) else self._improver.settled(token)
            # The photo itself, untouched, is the same whatever is known of the face in it.
            if better is None or better.untouched:
                return None
            return self._show(token, lambda visit: visit, better.request, better=True)

    def _at_work(self, token: str) -> bool:
        return bool(self._runs.get(token) or self._improver.get(token))

    def _leave(self, token: str) -> None:
        """Whatever runs for this visitor has had its time."""
        self._runs.drop(token)
        self._improver.drop(token)
        self._openings.drop(token)

    def _seen(
        self, token: str, visit: Visit, request: EditRequest, asked: Refine, live: bool = False
    ) -> tuple[Portrait, EditRequest]:
        """What to edit; while the refinement that is asked for is being computed, what it has reached."""
        portrait, run = visit.preview if live else visit.portrait, self._runs.get(token)
        if run is not None and run.reached is not None and run.mode == asked:
            portrait = previewed(self.engine, run.reached) if live else run.reached
            return portrait, dataclasses.replace(request, refine=asked)
        return portrait, portrait.shown(request)

    def _update(self, token: str, change: Change) -> Visit:
        with self._writing:
            visit = change(self.visits.get(token))
            self.visits.put(token, visit)
        return visit

    def _show(self, token: str, change: Change, asked: EditRequest, **more: Any) -> Message:
        # One at a time, so that the newest picture is of the entry at which the history stands.
        with self._frames.alone(token):
            self._hands.rest(token)
            self._improver.settled(token)
            number, visit = messages.next_number(), self.visits.get(token)
            request = visit.possible(asked)
            portrait, seen = self._seen(token, visit, request, asked.refine)
            with self._stills:
                picture = self.engine.edit(at_rest(visit, portrait, seen), seen)
                shown = messages.frame(visit.together(picture, request), request, live=False)
            # Only now: an edit that fails must leave the history as it was.
            visit = self._update(token, change)
        self.meters.note(token, Untold(number, portrait, seen, picture))
        return messages.message("frame", number, frame=shown, **self._past.state(visit, request), **more)

    def forget(self, token: str) -> None:
        """The visitor left: nothing of the photos stays in memory."""
        self._leave(token)  # first, so that nothing which runs puts anything back
        with self._writing:
            visit = self.visits.peek(token)  # one at rest is in nobody else's memory
            self.visits.drop(token)
            self._beside.drop(token)
            self._hands.rest(token)
        if isinstance(visit, Visit):
            self.engine.forget(visit.portrait)
        self.meters.drop(token)
        self._frames.forget(token)
