"""core.clips: which pictures a clip has, and that they are edits."""

import dataclasses
import io
import math

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from core import clips
from core.clips import FADE, NATURAL, REST, SWEEP, ClipOrder, clip, sweep
from core.engine import Engine
from core.errors import BadRequest, Cancelled
from core.images import encode_png
from core.placing import reduced
from core.refinement.running import Watcher
from core.session import EditRequest, Portrait, View
from core.together import FaceEdits

WHOLE = View("photo", "photo")
SMILE = EditRequest({"smile": 1.5, "male": 1.0}, view=WHOLE)


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo: np.ndarray) -> Portrait:
    return tiny_engine.open_portrait(photo)


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What is written, in place of a file."""
    written: list[np.ndarray] = []

    def keep(pictures, kind):
        written.extend(pictures)
        return kind.encode()

    monkeypatch.setattr(clips, "write_moving", keep)
    return written


@pytest.mark.parametrize(("value", "low", "high"), [(0, -2, 2), (1.5, -2, 2), (-2.6, -2.6, 2), (3, -2, 3)])
def test_a_sweep_goes_from_end_to_end_and_changes_nothing_else(value: float, low: float, high: float) -> None:
    request = EditRequest({"smile": value, "male": 1.0}, view=WHOLE)
    found = sweep(request, "smile")
    middle, half = (low + high) / 2, (high - low) / 2
    wanted = [middle - half * math.cos(math.pi * i / SWEEP) for i in range(SWEEP + 1)]
    assert [one.sliders.get("smile", 0) for one in found] == pytest.approx(wanted, abs=1e-12)
    for one in found:
        assert dataclasses.replace(one, sliders=request.sliders) == request
        assert one.sliders["male"] == 1
    assert NATURAL == 2


def test_each_picture_is_an_edit_of_the_reduced_photo(
    tiny_engine: Engine, portrait: Portrait, frames: list[np.ndarray]
) -> None:
    made = clip(tiny_engine, (portrait,), SMILE, ClipOrder("GIF", "smile"), Watcher())
    assert len(frames) == 2 * SWEEP
    small = reduced(portrait, 400)
    for place, request in ((0, sweep(SMILE, "smile")[0]), (SWEEP, sweep(SMILE, "smile")[-1])):
        assert np.array_equal(frames[place], tiny_engine.edit(small, request))
    assert not np.array_equal(frames[0], frames[SWEEP])
    for step in range(1, SWEEP):  # back the way it came
        assert np.array_equal(frames[step], frames[2 * SWEEP - step])
    assert (made.data, made.size) == (b"GIF", (400, 400))
    assert made.said == "3.2 s, without end."


def test_a_fade_goes_from_the_photo_to_the_edit(
    tiny_engine: Engine, portrait: Portrait, frames: list[np.ndarray]
) -> None:
    clip(tiny_engine, (portrait,), SMILE, ClipOrder("MP4"), Watcher())
    assert len(frames) == 2 * FADE + 2 * REST
    before, after = portrait.photo, tiny_engine.edit(portrait, SMILE)
    for place in range(REST + 1):
        assert np.array_equal(frames[place], before)
    top = REST + FADE
    for place in range(top, top + REST + 1):
        assert np.array_equal(frames[place], after)
    halfway = (before.astype(float) + after) / 2
    assert np.abs(frames[REST + FADE // 2] - halfway).max() <= 1
    assert not np.array_equal(before, after)


def test_of_a_face_alone_the_fade_begins_with_the_photo_s_own(
    tiny_engine: Engine, portrait: Portrait, frames: list[np.ndarray]
) -> None:
    request = SMILE.seen(start="inversion")
    clip(tiny_engine, (portrait,), request, ClipOrder("MP4", picture="face"), Watcher())
    assert np.array_equal(frames[0], portrait.crop)
    assert np.array_equal(frames[REST + FADE], tiny_engine.edit(portrait, request.seen(output="face")))


def test_every_face_of_the_photo_is_edited(
    tiny_engine: Engine, photo: np.ndarray, frames: list[np.ndarray]
) -> None:
    two = np.concatenate([photo, photo[:, ::-1]], axis=1)
    portraits = [tiny_engine.open_portrait(two, face) for face in (0, 1)]
    clip(tiny_engine, portraits, SMILE, ClipOrder("MP4", "smile"), Watcher())
    changed = (frames[0] != reduced(portraits[0], 720).photo).any(axis=2)
    half = changed.shape[1] // 2
    assert changed[:, :half].any()
    assert changed[:, half:].any()


def test_other_faces_are_seen_with_their_own_edits_but_not_before(
    tiny_engine: Engine, photo: np.ndarray, frames: list[np.ndarray]
) -> None:
    two = np.concatenate([photo, photo[:, ::-1]], axis=1)
    one, other = (tiny_engine.open_portrait(two, face) for face in (0, 1))
    neutral, edits = SMILE.seen(start="photo"), FaceEdits(other, (SMILE.seen(start="photo"),))
    clip(tiny_engine, (one,), EditRequest(view=neutral.view), ClipOrder("MP4"), Watcher(), [edits])
    small = reduced(one, 720).photo
    assert np.array_equal(frames[0], small)
    changed = (frames[REST + FADE] != small).any(axis=2)
    half = changed.shape[1] // 2
    place = changed[:, half:] if other.faces[other.face].box[0] >= two.shape[1] // 2 else changed[:, :half]
    assert place.any()
    assert changed.sum() == place.sum()


def test_how_far_it_is_and_that_it_ends_when_nobody_wants_it(
    tiny_engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits: list[EditRequest] = []
    edit = tiny_engine.edit

    def counted(portrait, request):
        edits.append(request)
        return edit(portrait, request)

    monkeypatch.setattr(tiny_engine, "edit", counted)
    done: list[float] = []
    watcher = Watcher(lambda told: done.append(told.done), lambda: len(done) >= 5, what="clip")
    with pytest.raises(Cancelled, match="clip was cancelled"):
        clip(tiny_engine, (portrait,), SMILE, ClipOrder("MP4", "smile"), watcher)
    assert done == pytest.approx([i / (SWEEP + 1) for i in range(5)])
    assert len(edits) == 5


def test_what_cannot_be_made_is_said_before_anything_is(tiny_engine: Engine, portrait: Portrait) -> None:
    for order in ({"kind": "AVI"}, {"kind": ["MP4"]}, {"kind": "GIF", "picture": "both"}):
        with pytest.raises(BadRequest):
            ClipOrder(**order)
    with pytest.raises(BadRequest, match="one slider"):
        ClipOrder("MP4", slider=["smile"])  # type: ignore[arg-type]
    for name in ("nose", "../../x"):
        with pytest.raises(BadRequest, match=name.strip("./")):
            clip(tiny_engine, (portrait,), SMILE, ClipOrder("MP4", name), Watcher())


def test_the_file_is_named_after_the_photo() -> None:
    assert ClipOrder("MP4", "smile").file_name("Käthe") == "Käthe-visagist-smile.mp4"
    assert ClipOrder("WebP", None, "face").file_name("Käthe") == "Käthe-visagist-face-fade.webp"


@pytest.mark.parametrize("kind", ["MP4", "GIF", "WebP"])
def test_the_file_shows_it(tiny_engine: Engine, photo: np.ndarray, kind: str) -> None:
    """The whole way: what is read back is the edit, at both ends of the fade."""
    portrait = tiny_engine.open_portrait(photo[:, :401])  # odd, as photos are
    made = clip(tiny_engine, (portrait,), SMILE, ClipOrder(kind), Watcher())
    if kind == "MP4":
        with av.open(io.BytesIO(made.data)) as container:
            found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    else:
        image = Image.open(io.BytesIO(made.data))
        found = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    assert {frame.shape[1::-1] for frame in found} == {made.size}
    small = reduced(portrait, max(portrait.photo.shape) if kind == "MP4" else {"GIF": 400, "WebP": 480}[kind])
    # GIF and WebP may show one picture longer in place of several that are the same.
    wanted = (small.photo, tiny_engine.edit(small, SMILE))
    for place, picture in zip((0, len(found) // 2), wanted, strict=True):
        cut = picture[: made.size[1], : made.size[0]].astype(int)
        assert np.abs(found[place] - cut).mean() < (6 if kind == "GIF" else 4)
    assert encode_png(found[0]) != encode_png(found[len(found) // 2])
