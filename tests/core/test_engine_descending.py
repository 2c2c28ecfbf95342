"""A model that finds codes by descent: opening a photo, and improving what that gave."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from descending import Beginner

from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadImage, BadRequest, Cancelled, NoFaceFound
from core.images import to_tensor
from core.inversion import seeker
from core.paste import compositing
from core.projects.project import Project, open_project, save_project
from core.projects.restoring import restore
from core.session import EditRequest, Portrait, View

SMILE = EditRequest({"smile": 2.0})
WHOLE = SMILE.seen(start="photo", output="photo")


@pytest.fixture
def begin(tiny_bundle: Bundle) -> Beginner:
    return Beginner(tiny_bundle.generator)


@pytest.fixture
def engine(tiny_bundle: Bundle, begin: Beginner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Without an encoder; a better portrait is told at every step that gains enough."""
    monkeypatch.setattr(seeker, "TOLD_SECONDS", 0.0)
    config = dataclasses.replace(tiny_bundle.config, inverter=None)
    engine = Engine(dataclasses.replace(tiny_bundle, config=config, inverter=None), descent=begin)
    engine._precedence._quiet = 0.0
    yield engine
    engine.close()


@pytest.fixture
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    """The start, as nothing was descended for it."""
    return engine.open_portrait(photo, seconds=0)


def error(portrait: Portrait) -> float:
    return float((portrait.rendered - to_tensor(portrait.crop)).square().mean())


def after(begin: Beginner, steps: int):
    """Whether the last descent has made so many steps; to cancel by."""
    return lambda: bool(begin.begun) and begin.begun[-1].steps >= steps


def remembered(engine: Engine) -> tuple[int, int, int]:
    """How many portraits, photos whose faces are known, and descents."""
    opener = engine._opener
    return len(engine._memory._portraits), len(opener._detections), len(opener._seeker._pursuits)


def test_a_photo_opens_without_an_encoder(
    engine: Engine, begin: Beginner, portrait: Portrait, tiny_bundle: Bundle
) -> None:
    assert (engine.opens_photos, engine.improves) == (True, True)
    assert torch.equal(portrait.w_plus, tiny_bundle.generator.w_mean)
    assert begin.given == [None]
    assert begin.begun[0].steps == 0


def test_what_is_shown_meanwhile_can_be_edited(
    engine: Engine, begin: Beginner, photo: np.ndarray, tiny_bundle: Bundle
) -> None:
    shown: list[Portrait] = []
    edits: list[np.ndarray] = []

    def show(portrait: Portrait) -> None:
        shown.append(portrait)
        edits.append(engine.edit(portrait, WHOLE))

    opened = engine.open_portrait(photo, seconds=1e6, shown=show, cancelled=None)
    assert not torch.equal(shown[0].w_plus, tiny_bundle.generator.w_mean)  # the start itself is nobody
    assert [error(p) for p in shown] == sorted((error(p) for p in shown), reverse=True)
    assert error(opened) < 0.9 * error(shown[0])
    assert {p.key for p in (*shown, opened)} == {opened.key}
    assert all(p.identity is opened.identity for p in shown)
    assert len({edit.tobytes() for edit in edits}) == len(edits) > 2


def test_opening_again_is_free(
    engine: Engine, begin: Beginner, portrait: Portrait, photo: np.ndarray
) -> None:
    assert engine.open_portrait(photo.copy(), seconds=1e6) is portrait
    assert begin.begun[0].steps == 0


def test_a_cancelled_opening_is_forgotten(engine: Engine, begin: Beginner, photo: np.ndarray) -> None:
    with pytest.raises(Cancelled, match="opening was cancelled"):
        engine.open_portrait(photo, seconds=1e6, cancelled=after(begin, 2))
    assert begin.begun[0].steps == 2
    assert remembered(engine) == (0, 0, 0)
    engine.open_portrait(photo, seconds=0)
    assert len(begin.begun) == 2


def test_a_better_portrait_takes_the_old_ones_place(
    engine: Engine, begin: Beginner, portrait: Portrait, photo: np.ndarray
) -> None:
    before = {request: engine.edit(portrait, request) for request in (SMILE, WHOLE)}
    found: list[Portrait] = []
    last = engine.improve(portrait, 1e6, found.append)
    assert len(begin.begun) == 1  # what opening had begun went on
    assert last is found[-1] is engine.open_portrait(photo)
    assert error(last) < error(found[0]) < error(portrait) + 1e-6
    for better in found:
        assert better.key == portrait.key
        assert better.crop is portrait.crop
        assert better.identity is portrait.identity
    for request, picture in before.items():
        assert np.array_equal(engine.edit(portrait, request), picture)
        assert not np.array_equal(engine.edit(last, request), picture)
    untouched = EditRequest(view=View("photo", "photo"))
    assert np.array_equal(engine.edit(last, untouched), photo)


def test_improving_ends_where_nothing_is_gained(engine: Engine, portrait: Portrait) -> None:
    arrived = engine.improve(portrait, 1e6)
    assert engine.improve(arrived, 1e6) is arrived


def test_what_has_best_or_was_forgotten_stays_as_it_is(
    engine: Engine, begin: Beginner, portrait: Portrait, photo: np.ndarray
) -> None:
    base = portrait.rendered
    refined = portrait.refined({"best": None}, {"best": base})
    assert engine.improve(refined, 1e6) is refined
    engine.forget(portrait)
    assert engine.improve(
        portrait, 1e6, cancelled=lambda: after(begin, 3)() and len(begin.begun) == 2
    ) is not (portrait)
    assert torch.equal(begin.given[-1], portrait.w_plus)  # from where the portrait is
    assert remembered(engine) == (0, 0, 0)


def test_an_encoder_gives_the_start(tiny_bundle: Bundle, tiny_engine: Engine, photo: np.ndarray) -> None:
    begin = Beginner(tiny_bundle.generator)
    engine = Engine(tiny_bundle, descent=begin)
    wanted = tiny_engine.open_portrait(photo).w_plus
    assert torch.equal(begin_given(engine, begin, photo), wanted)
    assert not tiny_engine.improves
    opened = tiny_engine.open_portrait(photo)
    assert tiny_engine.improve(opened, 1e6) is opened


def begin_given(engine: Engine, begin: Beginner, photo: np.ndarray) -> torch.Tensor:
    engine.open_portrait(photo, seconds=0)
    (given,) = begin.given
    assert given is not None
    return given


@pytest.mark.parametrize("size", [20, 32, 70])
def test_a_face_that_is_cut_out_already_opens_as_it_is(
    engine: Engine, portrait: Portrait, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    landmarks = (portrait.landmarks + 0.5) * size / 32 - 0.5
    found = engine.open_crop(crop, landmarks, seconds=0)
    np.testing.assert_allclose(found.landmarks, portrait.landmarks, atol=1e-3)
    assert np.array_equal(found.photo, crop)
    assert found.crop.shape == (32, 32, 3)
    assert np.array_equal(found.crop, crop) == (size == 32)
    with monkeypatch.context() as patch:
        patch.setattr(compositing, "face_mask", lambda *_: pytest.fail("is cut out again"))
        assert engine.open_crop(crop, landmarks) is found
    assert engine.open_crop(crop, landmarks + 1, seconds=0) is not found
    assert engine.edit(found, WHOLE).shape == crop.shape


def test_what_is_no_crop(engine: Engine, tiny_bundle: Bundle, photo: np.ndarray) -> None:
    points = np.zeros((68, 2), np.float32)
    for crop, landmarks in ((photo[1:], points), (photo, points[1:]), (photo[..., 0], points)):
        with pytest.raises(BadImage):
            engine.open_crop(crop, landmarks)
    config = dataclasses.replace(tiny_bundle.config, inverter=None)
    bare = Engine(dataclasses.replace(tiny_bundle, config=config, inverter=None))
    with pytest.raises(BadRequest, match="cannot open photos"):
        bare.open_crop(photo, points)


def test_a_reference_needs_a_face_to_look_at(engine: Engine, begin: Beginner, photo: np.ndarray) -> None:
    with pytest.raises(NoFaceFound, match="No face is seen in this reference"):
        engine.invert_picture(np.full((64, 64, 3), 128, np.uint8))
    begin.begun.clear()
    reference = engine.invert_picture(photo[:400, 50:450])
    assert reference.picture.shape == (32, 32, 3)
    assert begin.begun[0].steps > 0
    with pytest.raises(BadImage, match="reference face must be square"):
        engine.invert_picture(photo[:400])


def test_of_a_reference_nothing_is_remembered(engine: Engine, begin: Beginner, photo: np.ndarray) -> None:
    face = photo[:400, 50:450]
    assert engine.invert_picture(face, seconds=0).picture.shape == (32, 32, 3)
    assert begin.begun[0].steps == 0
    assert remembered(engine) == (0, 0, 0)
    with pytest.raises(Cancelled):
        engine.invert_picture(face, 1e6, after(begin, 3))
    assert begin.begun[1].steps == 3
    assert remembered(engine) == (0, 0, 0)


def test_another_models_project_takes_the_time_it_may_and_loses_what_shows_no_face(
    engine: Engine, begin: Beginner, saved_project: bytes
) -> None:
    project = open_project(saved_project)
    with pytest.raises(Cancelled):
        restore(engine, project, seconds=1e6, cancelled=after(begin, 2))
    assert begin.begun[0].steps == 2
    restored = restore(engine, project, seconds=0)
    assert begin.begun[1].steps == 0
    # Two of the three are what random weights make.
    assert "2 reference faces were left out, as no face was seen in them" in str(restored.notice)
    assert len(restored.references) == 1
    assert remembered(engine) == (1, 1, 1)


def test_a_project_of_a_better_portrait_opens_with_the_same_pictures(
    engine: Engine, begin: Beginner, portrait: Portrait
) -> None:
    better = engine.improve(portrait, 1e6, cancelled=after(begin, 5))
    data = save_project(Project.of(engine, better, (SMILE, WHOLE), 1))
    begun = len(begin.begun)
    restored = restore(engine, open_project(data))
    assert len(begin.begun) == begun
    assert restored.notice is None
    for request in restored.history:
        assert np.array_equal(engine.edit(restored.portrait, request), engine.edit(better, request))
