import copy
import dataclasses
import functools
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core import opening
from core.checkpoints import Bundle
from core.editing import code_editor
from core.engine import Engine
from core.errors import BadCheckpoint, BadImage, BadRequest, Cancelled, NoFaceFound
from core.faces import alignment, identity
from core.images import to_array
from core.paste import compositing
from core.session import EditRequest, Portrait, View

SMILE = EditRequest({"smile": 2.0, "young": -1.5})
VARIANTS = [
    SMILE.seen(start=start, output=output) for start in ("photo", "inversion") for output in ("face", "photo")
]


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo: np.ndarray) -> Portrait:
    return tiny_engine.open_portrait(photo)


@pytest.fixture
def fresh_engine(tiny_bundle: Bundle) -> Engine:
    """An engine with empty caches."""
    return Engine(tiny_bundle)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the costly steps have run."""
    seen: dict[str, int] = {}

    def count(module: object, name: str) -> None:
        original = getattr(module, name)

        def counted(*args, **kwargs):
            seen[name] = seen.get(name, 0) + 1
            return original(*args, **kwargs)

        seen[name] = 0
        monkeypatch.setattr(module, name, counted)

    count(opening, "invert")
    count(code_editor, "directions")
    count(alignment, "find_faces")
    count(alignment, "crop")
    count(identity, "descriptor")
    return seen


def test_a_portrait_holds_what_an_edit_needs(portrait: Portrait, tiny_bundle: Bundle) -> None:
    assert portrait.crop.shape == portrait.inversion.shape == (32, 32, 3)
    assert portrait.w_plus.shape == (8, 32)
    assert {k: tuple(v.shape) for k, v in portrait.directions.items()} == dict.fromkeys(
        ("first", "second", "linear"), (4, 8, 32)
    )
    for directions in portrait.directions.values():
        torch.testing.assert_close(directions.norm(dim=-1), torch.ones(4, 8))
    assert np.array_equal(portrait.inversion, to_array(portrait.rendered)[0])
    assert portrait.nbytes > portrait.photo.nbytes


def test_the_code_is_the_inverters_and_the_inversion_the_generators(
    portrait: Portrait, tiny_bundle: Bundle
) -> None:
    image = torch.from_numpy(portrait.crop.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        w = tiny_bundle.generator.w_mean + tiny_bundle.inverter(image)[0]
        face = tiny_bundle.generator.synthesis(portrait.w_plus[None])[0]
    # The engine may compute in bfloat16.
    assert (portrait.w_plus - w).norm() < 0.03 * w.norm()
    assert (portrait.rendered[0] - face).norm() < 0.03 * face.norm()


def test_portraits_are_frozen(portrait: Portrait) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        portrait.crop = portrait.inversion
    arrays = (portrait.photo, portrait.crop, portrait.inversion, portrait.mask, portrait.identity.descriptor)
    for array in (*arrays, portrait.faces[0].landmarks):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        portrait.directions["first"] = portrait.w_plus


@pytest.mark.parametrize("request_", VARIANTS, ids=lambda r: f"{r.view.start}-{r.view.output}")
def test_editing_is_pure(tiny_engine: Engine, portrait: Portrait, request_: EditRequest) -> None:
    fields = [f.name for f in dataclasses.fields(portrait)]
    apart = ("directions", "residuals", "bases", "identity")
    before = {name: copy.deepcopy(getattr(portrait, name)) for name in fields if name not in apart}
    axes = {name: t.clone() for name, t in portrait.directions.items()}
    first = tiny_engine.edit(portrait, request_)
    again = first.copy()
    first[...] = 0  # what is handed out is the caller's own
    tiny_engine.edit(portrait, EditRequest({"smile": -3.0, "male": 3.0}, order="linear"))
    assert np.array_equal(tiny_engine.edit(portrait, request_), again)
    for name, value in before.items():
        now = getattr(portrait, name)
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, now), name
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, now), name
    assert all(torch.equal(t, portrait.directions[name]) for name, t in axes.items())


def test_another_process_would_give_the_same_bytes(
    fresh_engine: Engine, tiny_engine: Engine, portrait: Portrait, photo: np.ndarray
) -> None:
    other = fresh_engine.open_portrait(photo)
    assert other is not portrait
    for request in VARIANTS:
        assert np.array_equal(tiny_engine.edit(portrait, request), fresh_engine.edit(other, request))


def test_many_threads_get_what_one_gets(tiny_engine: Engine, portrait: Portrait) -> None:
    requests = [EditRequest({"smile": v / 4}, view=View("photo", "photo")) for v in range(-8, 8)]
    alone = [tiny_engine.edit(portrait, r) for r in requests]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda r: tiny_engine.edit(portrait, r), requests))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_directions_that_are_the_same_for_all_are_held_once(tiny_engine: Engine, photo: np.ndarray) -> None:
    one, other = (tiny_engine.open_portrait(picture) for picture in (photo, photo[:, ::-1].copy()))
    assert one.directions["linear"] is other.directions["linear"]
    assert one.directions["first"] is not other.directions["first"]


@pytest.mark.parametrize("order", ["first", "second", "linear"])
def test_sliders_add_up_to_unit_times_value_along_their_directions(
    tiny_engine: Engine, tiny_bundle: Bundle, portrait: Portrait, order: str
) -> None:
    axes = portrait.directions[order]
    # The classifier's branches are glasses, male, smile, young; the units are smile 2, young 1.5, male 1.
    w = portrait.w_plus + 2.0 * 2.0 * axes[2] - 1.5 * 1.5 * axes[3]
    with torch.no_grad():
        face = tiny_bundle.generator.synthesis(w[None])[0].permute(1, 2, 0).numpy()
    found = tiny_engine.edit(portrait, dataclasses.replace(SMILE, order=order)).astype(np.float32)
    wanted = np.clip((face + 1) * 127.5, 0, 255)
    assert np.abs(found - wanted).mean() < 2  # bfloat16's rounding
    assert np.abs(portrait.inversion - wanted).mean() > 6


def test_a_slider_moves_the_picture_both_ways(tiny_engine: Engine, portrait: Portrait) -> None:
    up, down = (tiny_engine.edit(portrait, EditRequest({"smile": v})) for v in (1.0, -1.0))
    assert not np.array_equal(up, portrait.inversion)
    assert not np.array_equal(down, portrait.inversion)
    assert not np.array_equal(up, down)


def test_zero_sliders_give_back_what_the_edit_starts_from(
    tiny_engine: Engine, portrait: Portrait, photo: np.ndarray
) -> None:
    for start, output, wanted in (
        ("photo", "photo", photo),
        ("photo", "face", portrait.crop),
        ("inversion", "face", portrait.inversion),
    ):
        found = tiny_engine.edit(portrait, EditRequest({"smile": 0.0}, view=View(start, output)))
        assert np.array_equal(found, wanted)
        found[...] = 0  # the caller's own, to write into


@pytest.mark.parametrize("keep_detail", [True, False])
def test_pasting_is_given_the_unrounded_renderings(
    tiny_engine: Engine, portrait: Portrait, keep_detail: bool
) -> None:
    w = portrait.w_plus + 0.5 * 2.0 * portrait.directions["first"][2]
    edited = tiny_engine.renderer.render(w[None])
    # Before clipping: where the generator overshoots white, the photo must not darken for it.
    before, after = (((t[0].permute(1, 2, 0) + 1) * 127.5).numpy() for t in (portrait.rendered, edited))
    assert after.max() > 255 or after.min() < 0

    def found(start: str, output: str) -> np.ndarray:
        request = EditRequest({"smile": 0.5}, view=View(start, output, keep_detail))
        return tiny_engine.edit(portrait, request)

    pictures = portrait.crop, before, after
    where = portrait.photo, portrait.transform, *pictures, portrait.mask
    assert np.array_equal(
        found("photo", "face"), compositing.change_face(*pictures, portrait.mask, keep_detail)
    )
    assert np.array_equal(found("photo", "photo"), compositing.paste_change(*where, keep_detail))
    assert np.array_equal(found("inversion", "photo"), compositing.paste_rendering(*where, keep_detail))
    assert np.array_equal(found("inversion", "face"), to_array(edited)[0])


@pytest.mark.parametrize("start", ["photo", "inversion"])
def test_the_whole_photo_changes_inside_the_mask_alone(
    tiny_engine: Engine, portrait: Portrait, photo: np.ndarray, start: str
) -> None:
    request = SMILE.seen(start=start, output="photo")
    edited = tiny_engine.edit(portrait, request)
    assert edited.shape == photo.shape
    changed = (edited != photo).any(-1)
    matrix = portrait.transform.matrix(32)
    mask = cv2.warpAffine(portrait.mask, matrix, (512, 512), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert changed[mask > 0.5].mean() > 0.5
    inside = np.zeros((512, 512), np.uint8)
    corners = (np.array([[-1, -1], [32, -1], [32, 32], [-1, 32]]) - matrix[:, 2]) @ np.linalg.inv(
        matrix[:, :2]
    ).T
    cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), 1)
    assert not changed[inside == 0].any()


def test_a_slider_move_renders_once_and_looks_at_no_face(
    tiny_engine: Engine, portrait: Portrait, counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = []
    original = tiny_engine.renderer.render
    monkeypatch.setattr(
        tiny_engine.renderer, "render", lambda w, **k: renders.append(len(w)) or original(w, **k)
    )
    for i, request in enumerate(VARIANTS, start=1):
        tiny_engine.edit(portrait, request)
        assert renders == [1] * i
    assert not any(counts.values())


@pytest.mark.parametrize("order", ["first", "linear"])
def test_pictures_before_rounding_are_those_of_every_view(
    tiny_engine: Engine, portrait: Portrait, order: str
) -> None:
    request = dataclasses.replace(SMILE, order=order)
    rendered = tiny_engine.rendered(portrait, request)
    assert torch.equal(rendered.base, portrait.rendered)
    for view in (View(), View("photo", "photo")):
        again = tiny_engine.rendered(portrait, dataclasses.replace(request, view=view))
        assert torch.equal(again.edited, rendered.edited)
    assert np.array_equal(to_array(rendered.edited)[0], tiny_engine.edit(portrait, request))
    unmoved = tiny_engine.rendered(portrait, EditRequest())
    assert unmoved.edited is unmoved.base is portrait.rendered


@pytest.mark.parametrize("order", ["first", "second", "linear"])
def test_codes_that_are_no_portraits_are_edited_on_the_same_path(
    tiny_engine: Engine, portrait: Portrait, order: str
) -> None:
    other = portrait.w_plus.flip(0)
    request = dataclasses.replace(SMILE, order=order)
    found = tiny_engine.rendered_codes(torch.stack([other, portrait.w_plus]), request)
    assert found.shape == (2, 3, 32, 32)
    assert torch.equal(found[1:], tiny_engine.rendered(portrait, request).edited)
    assert not torch.equal(found[:1], found[1:])
    plain = tiny_engine.rendered_codes(portrait.w_plus[None], EditRequest())
    assert torch.equal(plain, portrait.rendered)
    with pytest.raises(BadRequest, match="refine off"):
        tiny_engine.rendered_codes(portrait.w_plus[None], EditRequest(refine="fast"))


def test_opening_the_same_pixels_again_costs_nothing(
    fresh_engine: Engine, photo: np.ndarray, counts: dict[str, int]
) -> None:
    steps: list[str] = []
    opened = fresh_engine.open_portrait(photo, progress=steps.append)
    assert steps == ["Finding faces", "Aligning", "Inverting"]
    once = dict(counts)
    assert once == {"invert": 1, "directions": 2, "find_faces": 1, "crop": 1, "descriptor": 0}
    assert fresh_engine.open_portrait(photo.copy(), progress=steps.append) is opened
    assert len(fresh_engine.find_faces(photo)) == len(opened.faces)
    assert counts == once
    assert len(steps) == 3
    changed = photo.copy()
    changed[0, 0, 0] ^= 1
    assert fresh_engine.open_portrait(changed) is not opened
    assert counts["invert"] == 2


def test_thumbnails_then_a_choice_detect_once(
    fresh_engine: Engine, photo: np.ndarray, counts: dict[str, int]
) -> None:
    fresh_engine.find_faces(photo)
    fresh_engine.open_portrait(photo)
    assert counts["find_faces"] == 1


def test_the_callers_array_is_neither_kept_nor_locked(fresh_engine: Engine, photo: np.ndarray) -> None:
    mine = photo.copy()
    portrait = fresh_engine.open_portrait(mine)
    mine[...] = 0
    assert np.array_equal(portrait.photo, photo)


def test_two_faces_are_numbered_and_each_can_be_opened(fresh_engine: Engine, photo: np.ndarray) -> None:
    pair = np.concatenate([photo, photo[:, ::-1]], axis=1)
    assert len(fresh_engine.find_faces(pair)) == 2
    first, second = (fresh_engine.open_portrait(pair, face) for face in (0, 1))
    assert first.key != second.key
    assert abs(first.transform.center[0] - second.transform.center[0]) > 200


@pytest.mark.parametrize(
    ("level", "words"), [(180, ["turned", "covered", "cut off by the frame"]), (8, ["very dark"])]
)
def test_no_face(tiny_engine: Engine, level: int, words: list[str]) -> None:
    with pytest.raises(NoFaceFound, match="No face was found") as caught:
        tiny_engine.open_portrait(np.full((200, 300, 3), level, np.uint8))
    assert not [word for word in words if word not in str(caught.value)]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_turned_is_edited_as_it_lies(
    fresh_engine: Engine, photo: np.ndarray, turns: int
) -> None:
    request = EditRequest({"smile": 2.0}, view=View("photo", "photo"))
    upright, turned = (np.ascontiguousarray(p) for p in (photo[:, :400], np.rot90(photo[:, :400], turns)))
    portraits = [fresh_engine.open_portrait(picture) for picture in (upright, turned)]
    # The same face the same way up, though the second photo was turned to find it.
    assert np.abs(portraits[0].crop.astype(int) - portraits[1].crop).mean() < 12
    changes = [
        np.abs(fresh_engine.edit(portrait, request).astype(int) - portrait.photo).max(2) > 2
        for portrait in portraits
    ]
    there, back = changes[0], np.rot90(changes[1], -turns)
    assert there.any()
    assert (there & back).sum() > 0.8 * (there | back).sum()


@pytest.mark.parametrize("face", [1, -1, 99])
def test_a_face_number_that_does_not_exist(tiny_engine: Engine, photo: np.ndarray, face: int) -> None:
    with pytest.raises(NoFaceFound, match=f"no face number {face + 1}; this photo shows one face"):
        tiny_engine.open_portrait(photo, face)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_photo(tiny_engine: Engine, array: np.ndarray) -> None:
    with pytest.raises(BadImage):
        tiny_engine.open_portrait(array)


@pytest.mark.parametrize("name", ["wings", "glasses"])
def test_a_slider_that_does_not_exist(tiny_engine: Engine, portrait: Portrait, name: str) -> None:
    with pytest.raises(BadRequest, match=f"no slider {name}; it has smile, young, male"):
        tiny_engine.edit(portrait, EditRequest({name: 1.0}))


def test_samples_depend_on_the_seed_alone(tiny_engine: Engine) -> None:
    faces = tiny_engine.samples(10, seed=3)
    assert [f.shape for f in faces] == [(32, 32, 3)] * 10
    again = tiny_engine.samples(10, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(faces, again, strict=True))
    assert not np.array_equal(faces[0], faces[1])
    assert not np.array_equal(faces[0], tiny_engine.samples(1, seed=4)[0])
    mean = tiny_engine.samples(2, seed=3, psi=0.0)
    assert np.array_equal(mean[0], mean[1])


def test_load_by_path(tiny_bundle_dir: Path) -> None:
    loaded = Engine.load(tiny_bundle_dir, device="cpu")
    assert loaded.config.name == "tiny"
    assert loaded.device == torch.device("cpu")


def test_load_refuses_what_is_not_there(tiny_bundle_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no model 'nobody'"):
        Engine.load("nobody", device="cpu")
    for device in ("toaster", "cuda:99", "meta"):
        with pytest.raises(BadRequest, match=f"no device '{device}'"):
            Engine.load(tiny_bundle_dir, device=device)
    broken = Path(shutil.copytree(tiny_bundle_dir, tmp_path / "broken"))
    (broken / "inverter.safetensors").write_bytes(b"")
    with pytest.raises(BadCheckpoint, match=r"inverter\.safetensors is damaged"):
        Engine.load(broken, device="cpu")


def test_a_forgotten_portrait_still_edits_but_is_opened_anew(
    fresh_engine: Engine, photo: np.ndarray, counts: dict[str, int]
) -> None:
    portrait = fresh_engine.open_portrait(photo)
    fresh_engine.forget(portrait)
    assert fresh_engine.edit(portrait, EditRequest({"smile": 1.0})).shape == (32, 32, 3)
    fresh_engine.open_portrait(photo)
    assert (counts["invert"], counts["find_faces"]) == (2, 2)


def test_closing_forgets_the_photos(fresh_engine: Engine, photo: np.ndarray, counts: dict[str, int]) -> None:
    fresh_engine.open_portrait(photo)
    fresh_engine.close()
    fresh_engine.open_portrait(photo)
    assert counts["find_faces"] == counts["invert"] == 2


@pytest.mark.slow
def test_the_built_in_model_edits_a_real_photo(builtin_engine: Engine, photo: np.ndarray) -> None:
    shown: list[Portrait] = []
    portrait = builtin_engine.open_portrait(photo, seconds=60, steps=12, shown=shown.append)
    first, last = (
        np.square((p.inversion.astype(float) - p.crop) / 127.5).mean() for p in (shown[0], portrait)
    )
    assert last < 0.8 * first
    plus, minus = (builtin_engine.edit(portrait, EditRequest({"smile": v})).astype(int) for v in (2, -2))
    assert np.abs(plus - minus).mean() > 1


def test_an_edit_that_nobody_waits_for_ends_between_its_steps(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait, request = tiny_engine.open_portrait(photo), EditRequest({"smile": 2.0})
    for steps in (0, 1):  # before the picture, before it is looked at
        answers = iter([*steps * [False], True])
        with pytest.raises(Cancelled):
            tiny_engine.edit(portrait, request, functools.partial(next, answers))
    expected = tiny_engine.edit(portrait, request)
    assert np.array_equal(tiny_engine.edit(portrait, request, lambda: False), expected)
