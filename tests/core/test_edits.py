"""core.edits: what is taken in a region of its own leaves the rest as it was, bit for bit."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.edits import at_size, mixed
from core.engine import Engine
from core.faces.regions import region_mask
from core.models.face_parser import CLASSES, SIDE, FaceParser
from core.paste.letting_go import Seen
from core.references import Take
from core.session import EditRequest, Portrait, View

PHOTO, FACE = View("photo", "photo"), View("photo", "face")


def parsed(top: int, bottom: int) -> np.ndarray:
    """Hair in these rows, skin elsewhere."""
    classes = np.full((SIDE, SIDE), CLASSES.index("skin"), np.uint8)
    classes[top:bottom] = CLASSES.index("hair")
    return classes


def with_regions(bundle: Bundle, *regions: str) -> Bundle:
    editor = dataclasses.replace(bundle.config.reference_editor, regions=regions)
    config = dataclasses.replace(bundle.config, reference_editor=editor, parser=True)
    torch.manual_seed(0)
    return dataclasses.replace(bundle, config=config, parser=FaceParser().eval().requires_grad_(False))


@pytest.fixture(scope="module")
def engine(taking_bundle: Bundle) -> Iterator[Engine]:
    """Whose "young" belongs to hair, and whose "smile" to nowhere in particular."""
    engine = Engine(with_regions(taking_bundle, "hair", ""))
    engine._parsing.classes = lambda _: parsed(0, 60)  # type: ignore[union-attr]
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def portrait(engine: Engine, photo: np.ndarray) -> Portrait:
    """Nothing lies before the face."""
    portrait = engine.refine(engine.open_portrait(photo), "fast")
    assert portrait.scene is not None
    return dataclasses.replace(portrait, scene=dataclasses.replace(portrait.scene, covers=None))


@pytest.fixture
def edited_hair(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What is seen in edits: hair in fewer rows; -> the mask that follows."""
    monkeypatch.setattr(engine._parsing, "classes", lambda _: parsed(0, 40))
    return region_mask(("hair",), (parsed(0, 60), parsed(0, 40)))


def everywhere(engine: Engine, bundle: Bundle, portrait: Portrait, request: EditRequest) -> torch.Tensor:
    """The edit of a model that knows no regions."""
    plain = Engine(dataclasses.replace(with_regions(bundle), config=bundle.config, parser=None))
    found = plain.rendered(portrait, request).edited
    plain.close()
    return found


def outside(mask: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool: where a pixel shows nothing of the mask (S, S)."""
    step = len(mask) // size
    return mask.reshape(size, step, size, step).max((1, 3)) == 0  # (S, S) in squares of a pixel each


@pytest.mark.parametrize("refine", ["off", "fast"])
def test_around_its_region_a_take_moves_nothing(
    engine: Engine, taking_bundle: Bundle, portrait: Portrait, edited_hair: np.ndarray, refine: str
) -> None:
    request = EditRequest(takes=(Take(engine.gallery[0], ("young",)),), refine=refine)
    rendered = engine.rendered(portrait, request)
    whole = everywhere(engine, taking_bundle, portrait, request)
    rest = torch.from_numpy(outside(edited_hair, 32))
    assert 5 < rest.float().mean() * 32 < 30
    assert torch.equal(rendered.edited[:, :, rest], rendered.base[:, :, rest])
    assert not torch.equal(whole[:, :, rest], rendered.base[:, :, rest])
    assert torch.allclose(rendered.edited[:, :, :6], whole[:, :, :6], atol=1e-5)
    assert np.array_equal(rendered.local, edited_hair)


def test_sliders_act_everywhere_beside_it(
    engine: Engine, portrait: Portrait, edited_hair: np.ndarray
) -> None:
    take = Take(engine.gallery[0], ("young", "smile"), 0.8)
    below = engine.rendered(
        portrait, EditRequest({"male": 1.5}, takes=(Take(take.reference, ("smile",), 0.8),))
    )
    found = engine.rendered(portrait, EditRequest({"male": 1.5}, takes=(take,)))
    mask = region_mask(("hair",), (parsed(0, 40), parsed(0, 40)))  # the unedited face's no longer counts
    rest = torch.from_numpy(outside(mask, 32))
    assert torch.equal(found.edited[:, :, rest], below.edited[:, :, rest])
    assert not torch.equal(found.edited, below.edited)
    assert found.local is None


@pytest.mark.parametrize("view", [PHOTO, FACE], ids=str)
def test_the_photo_stays_bit_for_bit_around_it(
    engine: Engine, portrait: Portrait, edited_hair: np.ndarray, view: View
) -> None:
    request = EditRequest(takes=(Take(engine.gallery[0], ("young",), 2.0),), view=view)
    found, photo = engine.edit(portrait, request), portrait.photo
    if view.output == "face":
        photo = portrait.crop
        rest = outside(edited_hair, 32)
        rest[:-1] &= rest[1:]  # what is enlarged with a kernel reaches a pixel farther
        rest[1:] &= rest[:-1]
        assert np.array_equal(found[rest], photo[rest])
    else:
        below = portrait.transform.matrix(SIDE)  # photo pixels -> the parser's
        y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
        rows = below[1, 0] * x + below[1, 1] * y + below[1, 2]
        rest = rows > np.flatnonzero(edited_hair.any(1))[-1] + 2 * SIDE / 32
        assert rest.mean() > 0.2
        assert np.array_equal(found[rest], photo[rest])
    assert not np.array_equal(found, photo)


def test_a_region_that_nobody_sees_leaves_the_face(
    engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = parsed(0, 0)
    monkeypatch.setattr(engine._parsing, "classes", lambda _: nobody)
    bald = dataclasses.replace(portrait, scene=dataclasses.replace(portrait.scene, classes=nobody))
    take = Take(engine.gallery[0], ("young",))
    rendered = engine.rendered(bald, EditRequest(takes=(take,)))
    assert rendered.edited is rendered.base
    slid = EditRequest({"male": 1.0})
    found = engine.rendered(bald, dataclasses.replace(slid, takes=(take,))).edited
    assert torch.equal(found, engine.rendered(bald, slid).edited)


@pytest.mark.parametrize("sliders", [{}, {"male": 1.0}], ids=str)
@pytest.mark.parametrize("view", [PHOTO, FACE, View()], ids=str)
@pytest.mark.parametrize("refine", ["off", "fast"])
def test_a_face_that_takes_from_itself_stays_as_it_is(
    engine: Engine, portrait: Portrait, sliders: dict, view: View, refine: str
) -> None:
    plain = EditRequest(sliders, view=view, refine=refine)
    taking = dataclasses.replace(plain, takes=(Take(portrait.reference, ("young", "smile", "coarse"), 2.0),))
    assert np.array_equal(engine.edit(portrait, taking), engine.edit(portrait, plain))


def test_the_parser_is_asked_once_more_only_beside_other_edits(
    engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.Tensor] = []
    monkeypatch.setattr(engine._parsing, "classes", lambda picture: asked.append(picture) or parsed(0, 40))
    take = Take(engine.gallery[0], ("young",))
    engine.edit(portrait, EditRequest(takes=(take,), view=PHOTO))
    assert len(asked) == 1
    engine.edit(portrait, EditRequest({"male": 1.0}, takes=(take,), view=PHOTO))
    assert len(asked) == 3


def test_pasting_is_told_what_is_shown(
    engine: Engine, portrait: Portrait, edited_hair: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside the region what the edit has, around it what the photo has."""
    request = EditRequest(takes=(Take(engine.gallery[0], ("young",)),), view=PHOTO)
    _, seen = engine._edits.pictures(portrait, request)
    assert isinstance(seen, Seen)
    assert np.array_equal(seen.local, edited_hair)
    theirs = dataclasses.replace(portrait.scene, classes=parsed(200, 256), kinds=seen.scene.kinds)
    monkeypatch.setattr(engine._parsing, "classes", lambda _: parsed(0, 100))
    _, seen = engine._edits.pictures(dataclasses.replace(portrait, scene=theirs), request)
    assert (seen.kinds[150] == seen.kinds[180]).all()
    assert seen.kinds[50, 0] != seen.kinds[150, 0]
    assert seen.kinds[250, 0] == seen.kinds[150, 0]  # where the photo's hair was, the edit has none


@pytest.mark.parametrize("size", [32, 256, 1024])
def test_two_pictures_are_one(size: int) -> None:
    random = torch.Generator().manual_seed(1)
    below, edited = (torch.randn(1, 3, size, size, generator=random) for _ in range(2))
    seen = parsed(0, 96), parsed(0, 40)
    found, mask = mixed(below, edited, ("hair",), seen)
    assert np.array_equal(mask, region_mask(("hair",), seen))
    scale = size / SIDE
    assert torch.equal(found[:, :, round(120 * scale) :], below[:, :, round(120 * scale) :])
    inside = slice(0, round(80 * scale))
    assert torch.allclose(found[:, :, inside], edited[:, :, inside], atol=1e-6)
    share = at_size(mask, below)
    assert torch.allclose(found, (1 - share) * below + share * edited, atol=1e-6)


def test_a_feature_comes_without_the_shade_around_it() -> None:
    """The edit darkens everything by .3 and the middle of the eye by another .5: that is what comes."""
    seen = np.full((SIDE, SIDE), CLASSES.index("skin"), np.uint8)
    seen[100:120, 60:90] = CLASSES.index("left eye")
    below = torch.full((1, 3, SIDE, SIDE), 0.4)
    edited = below - 0.3
    edited[:, :, 106:114, 68:82] -= 0.5
    found, mask = mixed(below, edited, ("eyes",), (seen, seen))
    assert torch.equal(found[:, :, mask == 0], below[:, :, mask == 0])
    change = (found - below)[0, 0]
    assert change[106:114, 68:82].mean() == pytest.approx(-0.5, abs=0.06)
    around = torch.from_numpy(mask > 0.3)
    around[104:116, 66:84] = False
    assert change[around].abs().max() < 0.1
    whole, _ = mixed(below, edited, ("skin",), (seen, seen))
    assert torch.allclose(whole, edited, atol=1e-6)  # skin is taken with its tone
