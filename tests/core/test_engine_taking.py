"""Edits that take something from other faces, the gallery of such faces, and portraits that are resumed."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from core import opening
from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadImage, BadRequest, NoFaceFound
from core.faces import alignment
from core.generators.residual import LowRank, WeightShift
from core.images import to_array
from core.references import Reference, Take
from core.refinement.fade import fade
from core.session import EditRequest, Portrait, View

ALL = ("smile", "young", "coarse", "middle", "colour")
REFINES = ({}, {"refine": "fast"}, {"refine": "fast", "strength": 0.4})
VARIANTS = [
    {"view": View(start, output), **refine}
    for start, output, refine in itertools.product(("photo", "inversion"), ("face", "photo"), REFINES)
]


@pytest.fixture(scope="module")
def portrait(taking_engine: Engine, photo: np.ndarray) -> Portrait:
    return taking_engine.refine(taking_engine.open_portrait(photo), "fast")


@pytest.fixture
def fresh_engine(taking_bundle: Bundle) -> Iterator[Engine]:
    """An engine with empty caches."""
    engine = Engine(taking_bundle)
    yield engine
    engine.close()


def code(portrait: Portrait, take: Take, bundle: Bundle, attributes: tuple[str, ...]) -> torch.Tensor:
    """w + amount * (sum of the attributes' delta w), written out."""
    w, reference = portrait.w_plus, torch.tensor(take.reference.w_plus)
    steps = [bundle.reference_editors[name](w[None], reference[None])[0] for name in attributes]
    return w + take.amount * sum(steps)


def test_what_can_be_taken_is_listed_as_the_sliders_are(taking_engine: Engine, tiny_engine: Engine) -> None:
    # Eight codes end at 32 px, so there is nothing fine; gender has a slider, but no editor.
    assert taking_engine.takeable == ("smile", "young", "coarse", "middle", "colour")
    assert tiny_engine.takeable == ("coarse", "middle", "colour")


def test_groups_need_no_slider_and_keep_the_models_order(taking_bundle: Bundle, photo: np.ndarray) -> None:
    smile, young = (taking_bundle.reference_editors[name] for name in ("smile", "young"))
    described = dataclasses.replace(
        taking_bundle.config.reference_editor, attributes=("nose", "beard"), labels=("Nose", "Beard")
    )
    bundle = dataclasses.replace(
        taking_bundle,
        config=dataclasses.replace(taking_bundle.config, reference_editor=described),
        reference_editors={"beard": young, "nose": smile},
    )
    engine = Engine(bundle)
    assert engine.takeable[:2] == ("nose", "beard")
    portrait = engine.open_portrait(photo)
    face, other = engine.gallery[:2]
    taken = engine.edit(portrait, EditRequest(takes=(Take(face, ("nose",)),)))
    assert not np.array_equal(taken, portrait.inversion)
    with pytest.raises(BadRequest, match="cannot take smile"):
        engine.edit(portrait, EditRequest(takes=(Take(other, ("smile",)),)))
    engine.close()


def test_the_gallery_is_the_bundles(
    taking_engine: Engine, taking_bundle: Bundle, tiny_engine: Engine
) -> None:
    gallery = taking_engine.gallery
    assert len(gallery) == 3
    assert taking_engine.gallery is gallery
    pictures = to_array(taking_engine.renderer.render(taking_bundle.gallery))
    for face, w_plus, picture in zip(gallery, taking_bundle.gallery, pictures, strict=True):
        assert np.array_equal(face.w_plus, w_plus.numpy())
        assert np.array_equal(face.picture, picture)
    assert tiny_engine.gallery == ()
    assert taking_engine.fingerprint == taking_bundle.fingerprint


def test_a_take_renders_the_moved_code(
    taking_engine: Engine, taking_bundle: Bundle, portrait: Portrait
) -> None:
    take = Take(taking_engine.gallery[0], ("young", "smile"), 0.7)
    w = code(portrait, take, taking_bundle, ("smile", "young"))
    wanted = to_array(taking_engine.renderer.render(w[None]))[0].astype(int)
    found = taking_engine.edit(portrait, EditRequest(takes=(take,))).astype(int)
    assert np.abs(found - wanted).max() <= 2  # sums in another order
    assert np.abs(portrait.inversion.astype(int) - wanted).mean() > 2


def test_sliders_act_on_top(taking_engine: Engine, taking_bundle: Bundle, portrait: Portrait) -> None:
    take = Take(taking_engine.gallery[1], ("smile",), -1)
    step = 1.5 * 1.5 * portrait.directions["first"][3]  # young's unit is 1.5
    w = code(portrait, take, taking_bundle, ("smile",)) + step
    wanted = to_array(taking_engine.renderer.render(w[None]))[0].astype(int)
    request = EditRequest({"young": 1.5}, takes=(take,))
    found = taking_engine.edit(portrait, request)
    assert np.abs(found.astype(int) - wanted).max() <= 2
    for part in (EditRequest({"young": 1.5}), EditRequest(takes=(take,))):
        assert not np.array_equal(taking_engine.edit(portrait, part), found)


@pytest.mark.parametrize("what", [("coarse",), ("coarse", "colour")])
def test_a_refinement_fades_where_a_take_moves_the_face(
    taking_engine: Engine, portrait: Portrait, what: tuple[str, ...]
) -> None:
    face = taking_engine.gallery[2]
    take, reference = Take(face, what), torch.tensor(face.w_plus)
    w = portrait.w_plus.clone()
    w[:4] = reference[:4]
    rgb = (reference if "colour" in what else w)[None]
    render = taking_engine.renderer.render
    refined = render(w[None], portrait.residuals["fast"], 0.5, rgb)
    wanted = to_array(fade(render(w[None], w_rgb=rgb), refined, portrait.rendered))[0]
    found = taking_engine.edit(portrait, EditRequest(refine="fast", strength=0.5, takes=(take,)))
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("sliders", [{}, {"smile": 1.0}], ids=str)
def test_a_face_that_takes_from_itself_stays_as_it_is(
    taking_engine: Engine, portrait: Portrait, variant: dict, sliders: dict
) -> None:
    plain = EditRequest(sliders, **variant)
    own, other = portrait.reference, taking_engine.gallery[0]
    wanted = taking_engine.edit(portrait, plain)
    for takes in (
        (Take(own, ALL, 2.0), Take(own, ("smile",), -0.3)),
        (Take(other, ALL, 0.0),),
        (Take(other, ()), Take(own, ALL, 1.0)),
    ):
        assert np.array_equal(taking_engine.edit(portrait, dataclasses.replace(plain, takes=takes)), wanted)
    moved = dataclasses.replace(plain, takes=(Take(other, ALL),))
    assert not np.array_equal(taking_engine.edit(portrait, moved), wanted)


def test_where_nothing_moves_nothing_is_rendered(
    taking_engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_engine.renderer, "render", lambda *_, **__: pytest.fail("it was rendered"))
    variants = ({"view": View("photo"), "refine": "fast"}, {"refine": "fast"}, {"view": View(output="photo")})
    for variant in variants:
        taking_engine.edit(portrait, EditRequest(takes=(Take(portrait.reference, ALL, 2.0),), **variant))


@pytest.mark.parametrize("variant", VARIANTS[:3], ids=str)
def test_the_same_request_gives_the_same_bytes(
    taking_engine: Engine, fresh_engine: Engine, portrait: Portrait, photo: np.ndarray, variant: dict
) -> None:
    first, second, _ = taking_engine.gallery
    request = EditRequest({"male": 1.0}, **variant, takes=(Take(first, ("smile",)), Take(second, ALL, 0.4)))
    found = taking_engine.edit(portrait, request)
    taking_engine.edit(portrait, EditRequest(takes=(Take(first, ALL),)))
    assert np.array_equal(taking_engine.edit(portrait, request), found)
    other = fresh_engine.refine(fresh_engine.open_portrait(photo), "fast")
    again = dataclasses.replace(
        request,
        takes=tuple(
            Take(Reference(t.reference.w_plus, t.reference.picture), t.what, t.amount) for t in request.takes
        ),
    )
    assert np.array_equal(fresh_engine.edit(other, again), found)


def test_the_order_of_a_stack_counts(taking_engine: Engine, portrait: Portrait) -> None:
    takes = tuple(Take(face, ("smile",)) for face in taking_engine.gallery[:2])
    there, back = (taking_engine.edit(portrait, EditRequest(takes=t)) for t in (takes, takes[::-1]))
    assert not np.array_equal(there, back)


@pytest.mark.parametrize("name", ["male", "fine", "wings"])
def test_what_cannot_be_taken(taking_engine: Engine, portrait: Portrait, name: str) -> None:
    with pytest.raises(
        BadRequest,
        match=f"This model cannot take {name} from a reference; "
        r"it can take smile, young, coarse, middle, colour\.$",
    ):
        taking_engine.edit(portrait, EditRequest(takes=(Take(taking_engine.gallery[0], ("smile", name)),)))


def test_a_reference_of_another_model(taking_engine: Engine, portrait: Portrait) -> None:
    other = Reference(np.zeros((18, 512), np.float32), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(BadRequest, match="another model"):
        taking_engine.edit(portrait, EditRequest(takes=(Take(other, ("smile",)),)))


def test_a_picture_that_is_aligned_already_becomes_a_reference(
    taking_engine: Engine, portrait: Portrait
) -> None:
    face = taking_engine.invert_picture(portrait.crop)
    assert face == portrait.reference
    assert np.array_equal(face.picture, portrait.crop)
    twice = portrait.crop.repeat(2, 0).repeat(2, 1)
    assert np.array_equal(taking_engine.invert_picture(twice).picture, portrait.crop)
    assert taking_engine.invert_picture(twice[:20, :20]).picture.shape == (32, 32, 3)
    with pytest.raises(BadImage):
        taking_engine.invert_picture(portrait.crop[..., 0])


def resumed(engine: Engine, portrait: Portrait, **changes) -> Portrait:
    parts = {
        "photo": portrait.photo,
        "faces": portrait.faces,
        "face": portrait.face,
        "w_plus": portrait.w_plus.numpy(),
        "residuals": portrait.residuals,
    }
    return engine.resume(**{**parts, **changes})


def test_a_resumed_portrait_is_what_it_was(
    fresh_engine: Engine, portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((alignment, "find_faces"), (opening, "invert")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("it was known"))
    found = resumed(fresh_engine, portrait)
    for name in ("photo", "crop", "inversion", "mask"):
        assert np.array_equal(getattr(found, name), getattr(portrait, name)), name
    assert found.transform == portrait.transform
    assert np.array_equal(found.identity.descriptor, portrait.identity.descriptor)
    for mapping in ("directions", "bases"):
        known = getattr(portrait, mapping)
        assert {k: torch.equal(v, known[k]) for k, v in getattr(found, mapping).items()} == dict.fromkeys(
            known, True
        )
    for variant in VARIANTS:
        request = EditRequest({"smile": 1.0}, **variant)
        assert np.array_equal(fresh_engine.edit(found, request), fresh_engine.edit(portrait, request))


def test_a_resumed_portrait_keeps_its_code_and_gives_it_to_nobody_else(
    fresh_engine: Engine, portrait: Portrait, photo: np.ndarray
) -> None:
    told = portrait.w_plus.numpy() + 1
    found = resumed(fresh_engine, portrait, w_plus=told, residuals={})
    assert np.array_equal(found.w_plus.numpy(), told)
    opened = fresh_engine.open_portrait(photo)
    assert torch.equal(opened.w_plus, portrait.w_plus)
    # What is found out about it later is kept as for any other, until it is forgotten.
    refined = fresh_engine.refine(found, "fast")
    assert fresh_engine._memory.get(found.key).residuals == refined.residuals
    assert fresh_engine.open_portrait(photo) is opened
    fresh_engine.forget(found)
    assert fresh_engine._memory.get(found.key) is None


def test_what_cannot_be_resumed(fresh_engine: Engine, portrait: Portrait) -> None:
    low_rank = portrait.residuals["fast"]
    assert isinstance(low_rank, LowRank)
    kernels = fresh_engine.generator.kernels().values()
    fitting = WeightShift(tuple(torch.zeros_like(kernel) for kernel in kernels))
    assert set(resumed(fresh_engine, portrait, residuals={"best": fitting}).bases) == {"best"}
    p, q = low_rank.tokens[-1]
    for residual in (
        WeightShift(fitting.shifts[1:]),
        WeightShift((*fitting.shifts[:-1], fitting.shifts[-1][:, 1:])),
        LowRank(low_rank.tokens[1:]),
        LowRank((*low_rank.tokens[:-1], (p[:, 1:], q))),
        LowRank((*low_rank.tokens[:-1], (p[1:], q))),
    ):
        with pytest.raises(BadRequest, match="another model"):
            resumed(fresh_engine, portrait, residuals={"best": residual})
    with pytest.raises(BadRequest, match="another model"):
        resumed(fresh_engine, portrait, w_plus=np.zeros((18, 512), np.float32))
    with pytest.raises(NoFaceFound, match="no face number 2"):
        resumed(fresh_engine, portrait, face=1)
    with pytest.raises(BadImage):
        resumed(fresh_engine, portrait, photo=portrait.photo[..., 0])
