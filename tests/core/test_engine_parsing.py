"""A model with a face parser: who is the person is told, not guessed, where edits are laid on the photo."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.engine import Engine
from core.faces.alignment import crop, crop_transform, to_crop
from core.faces.parsing import kinds_in
from core.images import to_tensor
from core.models.cover_finder import CoverFinder
from core.models.face_parser import CLASSES, SIDE, FaceParser
from core.paste import detail
from core.paste.scene import wider
from core.session import EditRequest, View


@pytest.fixture
def bundle(tiny_bundle: Bundle) -> Bundle:
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_bundle.config, parser=True)
    return dataclasses.replace(tiny_bundle, config=config, parser=FaceParser().eval().requires_grad_(False))


@pytest.fixture
def engine(bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(bundle)
    yield engine
    engine.close()


def no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "person", lambda *_: pytest.fail("it was guessed"))


@pytest.mark.parametrize("output", ["face", "photo"])
def test_edits_on_the_photo_use_the_parser(
    engine: Engine, photo: np.ndarray, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait = engine.open_portrait(photo)
    assert portrait.scene is not None
    assert portrait.scene.kinds.shape == (SIDE, SIDE)
    assert not any(array.flags.writeable for array in portrait.scene.arrays)
    # Of a mouth that may be hidden the model's face is looked at, too.
    portrait = dataclasses.replace(portrait, scene=dataclasses.replace(portrait.scene, covers=None))
    asked = []
    parsing = engine._parsing
    classes = parsing.classes
    monkeypatch.setattr(parsing, "classes", lambda picture: asked.append(picture) or classes(picture))
    no_guess(monkeypatch)

    request = EditRequest({"smile": 2.0}, view=View(start="photo", output=output))
    first = engine.edit(portrait, request)

    assert len(asked) == 1
    rendered = engine.rendered(portrait, request)
    assert torch.equal(asked[0], rendered.edited)
    assert np.array_equal(first, engine.edit(portrait, request))


def test_what_it_says_reaches_the_photo(engine: Engine, photo: np.ndarray) -> None:
    """Where nobody is, nothing changes."""
    portrait = engine.open_portrait(photo)
    request = EditRequest({"smile": 3.0}, view=View(start="photo", output="photo"))
    nobody, everybody = (
        np.full((SIDE, SIDE), CLASSES.index(name), np.uint8) for name in ("background", "skin")
    )
    changed = []
    for classes in (nobody, everybody):
        engine._parsing.classes = lambda _, classes=classes: classes  # type: ignore[union-attr]
        scene = dataclasses.replace(portrait.scene, kinds=kinds_in(classes))
        edited = engine.edit(dataclasses.replace(portrait, scene=scene), request)
        changed.append(np.abs(edited.astype(int) - photo).sum())
    assert changed[0] == 0
    assert changed[1] > 0


def test_crop_and_surroundings_are_seen_once_when_a_photo_is_opened(
    engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsing, asked = engine._parsing, []
    classes = parsing.classes
    monkeypatch.setattr(parsing, "classes", lambda picture: asked.append(picture) or classes(picture))
    portrait = engine.open_portrait(photo)
    assert [picture.shape for picture in asked] == 2 * [(1, 3, SIDE, SIDE)]
    wide = crop(photo, wider(portrait.transform), SIDE)
    assert torch.equal(asked[1], to_tensor(wide))
    assert np.array_equal(portrait.scene.around, kinds_in(classes(asked[1])))


def test_the_inversion_alone_needs_no_parser(
    engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    portrait = engine.open_portrait(photo)
    monkeypatch.setattr(engine._parsing, "classes", lambda _: pytest.fail("nobody asked"))
    engine.edit(portrait, EditRequest({"smile": 1.0}))
    engine.edit(portrait, EditRequest(view=View(start="photo", output="photo")))


def test_a_bundle_keeps_its_parser(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path, bundle, torch.float32)
    found = load_bundle(tmp_path)
    assert found.config.parser
    assert found.parser is not None
    for name, tensor in bundle.parser.state_dict().items():
        assert torch.equal(found.parser.state_dict()[name], tensor), name
    with pytest.raises(ValueError, match="face parser"):
        save_bundle(tmp_path, dataclasses.replace(bundle, parser=None))


def test_a_bundle_keeps_what_finds_things_and_it_needs_a_parser(bundle: Bundle, tmp_path: Path) -> None:
    finder = CoverFinder().eval().requires_grad_(False)
    config = dataclasses.replace(bundle.config, covers=True)
    save_bundle(tmp_path, dataclasses.replace(bundle, config=config, covers=finder), torch.float32)
    found = load_bundle(tmp_path)
    assert found.covers is not None
    for name, tensor in finder.state_dict().items():
        assert torch.equal(found.covers.state_dict()[name], tensor), name
    save_bundle(tmp_path / "without", bundle, torch.float32)
    assert found.fingerprint == load_bundle(tmp_path / "without").fingerprint, "no code depends on it"
    with pytest.raises(ValueError, match="no parser"):
        dataclasses.replace(config, parser=False)


def test_what_the_finder_sees_keeps_its_pixels(bundle: Bundle, photo: np.ndarray) -> None:
    """It sees things everywhere, or nowhere."""
    request = EditRequest({"smile": 3.0}, view=View(start="photo", output="photo"))
    changed = []
    for bias in (50.0, -50.0):
        finder = CoverFinder().eval().requires_grad_(False)
        torch.nn.init.zeros_(finder.score.weight)
        torch.nn.init.constant_(finder.score.bias, bias)
        config = dataclasses.replace(bundle.config, covers=True)
        engine = Engine(dataclasses.replace(bundle, config=config, covers=finder))
        # Classes of an untrained parser are chance: everything is skin.
        skin = np.full((SIDE, SIDE), CLASSES.index("skin"), np.uint8)
        engine._parsing.classes = lambda _, skin=skin: skin  # type: ignore[union-attr]
        portrait = engine.open_portrait(photo)
        assert portrait.scene.covers.seen.all() == (bias > 0)
        changed.append(np.abs(engine.edit(portrait, request).astype(int) - photo).sum())
        engine.close()
    assert changed[0] == 0
    assert changed[1] > 0


def test_the_built_in_model_sees_a_hand_of_the_face_s_own_colour_and_nothing_on_a_bare_face(
    builtin_engine: Engine, photo: np.ndarray
) -> None:
    faces = builtin_engine.find_faces(photo)
    transform = crop_transform(faces[0].landmarks, builtin_engine.config.template)
    picture, hand = crop(photo, transform, SIDE), np.zeros((SIDE, SIDE), np.uint8)
    jaw = to_crop(faces[0].landmarks, transform, SIDE)[13]
    cv2.circle(hand, (int(jaw[0]) + 6, int(jaw[1]) + 20), 22, 1, -1)
    for i in range(4):
        x = int(jaw[0]) - 12 + 12 * i
        cv2.line(hand, (x, int(jaw[1]) + 15), (x + 3, int(jaw[1]) - 25), 1, 10)
    skin = np.median(picture[130:150, 110:125].reshape(-1, 3), axis=0)
    covered = np.where(hand[:, :, None] > 0, 0.9 * skin, picture).astype(np.uint8)
    things = builtin_engine._parsing.things  # type: ignore[union-attr]
    bare, found = (builtin_engine.run(lambda p=p: things(to_tensor(p))) for p in (picture, covered))
    assert (bare > 0.5).sum() < 50
    assert (found > 0.5)[hand > 0].mean() > 0.8
