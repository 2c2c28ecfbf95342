"""Taking from other faces, without a browser: the gallery, photos brought for it, the stack, its history."""

import base64
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from app import references as module
from app import toasts
from app.handlers import Handlers
from app.improving import FIRST_SECONDS
from app.messages import Message, request_dict, stack
from app.panel import FIRST_TAKEN, SETS, UNASKED, choices
from app.ui import build
from app.visits import MAX_FACES, Visit
from app.wiring import Wiring
from core.checkpoints import DEFAULT_BUNDLE, find_bundle, read_config
from core.config import AttributeConfig
from core.engine import Engine
from core.errors import BadRequest, Cancelled, SessionExpired
from core.images import encode_png, open_image
from core.network_config import ReferenceEditorConfig
from core.references import MAX_TAKES, Reference, Take
from core.session import EditRequest

OFF = EditRequest()


@pytest.fixture
def handlers(taking_engine: Engine) -> Handlers:
    taking_engine.close()  # whoever opened photos before
    return Handlers(taking_engine)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sentences for the visitor that end no event."""
    sentences: list[str] = []
    monkeypatch.setattr(toasts.gr, "Info", lambda text, **_: sentences.append(text))
    return sentences


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[np.ndarray], str]:
    """Writes a picture as an upload, and says where."""

    def write(picture: np.ndarray) -> str:
        path = tmp_path / "upload.png"
        path.write_bytes(encode_png(picture))
        return str(path)

    return write


@pytest.fixture
def handlers_open(handlers: Handlers, saved: Callable, photo: np.ndarray) -> Handlers:
    """With the photo open for "me"."""
    list(handlers.open_file("me", OFF, saved(photo)))
    return handlers


def entry(reference: Reference | str, *what: str, amount: float = 1.0) -> dict:
    key = reference if isinstance(reference, str) else reference.key
    return {"reference": key, "what": list(what) or ["smile"], "amount": amount}


def added(handlers: Handlers, path: str, token: str = "me") -> Message:
    return list(handlers.references.add(token, path))[-1]


def keys(message: Message) -> list[str]:
    return [face["key"] for face in message["faces"]]


def pixels(message: Message) -> np.ndarray:
    return open_image(base64.b64decode(message["frame"].split(",")[1])).astype(int)


def test_a_gallery_face_changes_the_picture_as_the_engine_says(
    handlers_open: Handlers, photo: np.ndarray
) -> None:
    engine = handlers_open.engine
    face = engine.gallery[1]
    asked = handlers_open.request("me", {"smile": 1.0}, [entry(face, "young", "coarse", amount=1.5)])
    assert asked == EditRequest({"smile": 1.0}, takes=(Take(face, ("young", "coarse"), 1.5),))
    live = handlers_open.preview("me", asked)
    assert live is not None
    assert live["request"]["takes"] == [{"reference": face.key, "what": ["coarse", "young"], "amount": 1.5}]
    plain = handlers_open.settle("me", EditRequest({"smile": 1.0}))
    assert np.abs(pixels(live) - pixels(plain)).mean() > 1
    payload = {"token": "me", "format": "png", "request": live["request"]}
    picture = open_image(base64.b64decode(handlers_open.export(payload)["data"]))
    whole = asked.seen(output="photo")
    np.testing.assert_array_equal(picture, engine.edit(engine.open_portrait(photo), whole))


def test_the_page_gets_the_gallery_with_its_pictures(handlers: Handlers) -> None:
    gallery = handlers.references.gallery()
    assert [face["key"] for face in gallery] == [face.key for face in handlers.engine.gallery]
    assert len(gallery) == 3
    for face in gallery:
        assert face["origin"] == "gallery"
        assert face["picture"].startswith("data:image/jpeg;base64,")


def test_undo_redo_jump_and_reset_cover_the_stack(handlers_open: Handlers) -> None:
    one, two, _ = handlers_open.engine.gallery
    first = EditRequest(takes=(Take(one, ("smile",)),))
    second = EditRequest({"young": 1}, takes=(Take(one, ("smile",)), Take(two, ("young",), -0.5)))
    handlers_open.settle("me", first)
    assert handlers_open.settle("me", second)["history"] == {"length": 3, "cursor": 2}
    assert handlers_open.undo("me", second)[1] == first
    assert handlers_open.undo("me", first)[1] == OFF
    assert handlers_open.redo("me", OFF)[1] == first
    assert handlers_open.jump("me", first, 2)[1] == second
    assert handlers_open.reset("me", second)[1] == OFF
    assert handlers_open.undo("me", OFF)[1] == second
    # The same widgets again are no new edit.
    assert handlers_open.settle("me", second)["history"] == {"length": 4, "cursor": 2}


def test_the_widgets_say_what_is_taken_and_show_it_again(handlers_open: Handlers) -> None:
    wiring = Wiring(handlers_open)
    face = handlers_open.engine.gallery[0]
    sliders, settings = (0, 1.5, 0), ("first", "inversion", "off", 1.0, "face", True)
    asked = wiring._asked("me", (*sliders, [entry(face, amount=2)], {}, *settings))
    assert asked == EditRequest({"young": 1.5}, takes=(Take(face, ("smile",), 2),))
    _, *shown = wiring._shown(({}, asked))
    assert tuple(shown) == (*sliders, [entry(face, amount=2)], {}, *settings)


@pytest.mark.parametrize(
    "wrong",
    [
        "smile",
        {"reference": "x"},
        [None],
        [["smile"]],
        [{"reference": "KEY", "what": "smile"}],
        [{"reference": "KEY", "what": [["smile"]]}],
        [{"reference": "KEY", "what": ["smile"], "amount": "1"}],
        [{"reference": "KEY", "what": ["smile"], "amount": 2.1}],
        [{"reference": "KEY", "what": ["smile"], "amount": float("nan")}],
        [{"reference": ["KEY"], "what": ["smile"]}],
        [{"reference": "KEY", "what": ["smile"]}] * (MAX_TAKES + 1),
    ],
)
def test_a_stack_that_no_page_sends_is_one_sentence(handlers_open: Handlers, wrong: object) -> None:
    key = handlers_open.engine.gallery[0].key
    if isinstance(wrong, list):
        wrong = [
            {**e, "reference": key} if isinstance(e, dict) and e["reference"] == "KEY" else e for e in wrong
        ]
    with pytest.raises(gr.Error) as error:
        handlers_open.request("me", {}, wrong)
    assert error.value.message.endswith(".")


def test_a_face_that_is_not_known_is_one_sentence_and_loses_nothing(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    smile = EditRequest({"smile": 1})
    handlers_open.settle("me", smile)
    with pytest.raises(gr.Error, match=re.escape(module.GONE)):
        handlers_open.request("me", {}, [entry("0" * 64)])
    with pytest.raises(BadRequest, match="no longer here"):
        handlers_open.references.takes("me", [entry("0" * 64)])
    answer = handlers_open.export(
        {"token": "me", "format": "png", "request": {**request_dict(OFF), "takes": [entry("0" * 64)]}}
    )
    assert answer == {"error": module.GONE}
    assert handlers_open.visits.get("me").request == smile


def test_dragging_with_a_face_that_is_gone_stays_silent(handlers_open: Handlers) -> None:
    wiring = Wiring(handlers_open)
    request = gr.Request(session_hash="abc")
    values = (0, 0, 0, [entry("0" * 64)], "first", "inversion", "off", 1.0, "face", True)
    assert wiring._preview(request, *values) == gr.skip()
    with pytest.raises(gr.Error):
        wiring._settle(request, *values)


def test_without_a_portrait_own_faces_are_expired_and_the_gallery_is_not(handlers: Handlers) -> None:
    face = handlers.engine.gallery[0]
    assert handlers.references.takes("me", [entry(face)]) == (Take(face, ("smile",)),)
    with pytest.raises(SessionExpired):
        handlers.references.takes("me", [entry("0" * 64)])


def test_after_an_expired_session_the_gallery_part_of_the_edit_is_taken_up_again(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    face = handlers_open.engine.gallery[0]
    handlers_open.forget("me")
    asked = handlers_open.request("me", {"smile": 1}, [entry("0" * 64), entry(face)], lenient=True)
    *_, (_, request) = handlers_open.open_file("me", asked, saved(photo))
    assert request == EditRequest({"smile": 1}, takes=(Take(face, ("smile",)),))


def test_a_photo_adds_its_face_and_picks_it_and_stays_nowhere(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    engine, other = handlers_open.engine, np.ascontiguousarray(photo[:, ::-1])
    upload = saved(other)
    first, *steps, last = handlers_open.references.add("me", upload)
    assert [message["busy"] for message in (first, steps[-1])] == ["Finding faces", "Inverting"]
    assert last["busy"] is None
    assert not Path(upload).exists()
    wanted = engine._opener  # nothing of the photo: neither its portrait nor where its faces are
    assert set(engine._memory._portraits.tokens()) == {engine.open_portrait(photo).key}
    assert len(wanted._detections) == 1
    reference = engine.open_portrait(other).reference
    assert keys(last) == [last["picked"]] == [reference.key]
    assert last["faces"][0]["origin"] == "upload"
    asked = handlers_open.request("me", {}, [entry(last["picked"], "young")])
    assert asked.takes[0].reference == reference
    assert handlers_open.settle("me", asked)["history"]["length"] == 2


def test_all_faces_of_a_group_are_added_and_the_largest_is_picked(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.kron(photo[:256, 100:356, ::-1], np.ones((2, 2, 1), np.uint8))
    group = np.hstack([photo[:, ::-1], large])
    message = added(handlers_open, saved(group))
    faces = handlers_open.engine.find_faces(group)
    widths = [face.box[2] - face.box[0] for face in faces]
    assert len(keys(message)) == len(widths) == 2
    assert widths[0] > widths[1]
    assert message["picked"] == keys(message)[0] == handlers_open.engine.open_portrait(group, 0).reference.key
    monkeypatch.setattr(module, "MAX_FACES_ADDED", 1)
    handlers_open.references.remove("me", OFF, keys(message)[1])
    assert keys(added(handlers_open, saved(group))) == [message["picked"]]


def test_faces_of_a_group_are_opened_soon_and_each_is_told(
    handlers_open: Handlers,
    saved: Callable,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    wandering: Callable,
) -> None:
    engine, given = handlers_open.engine, []

    def open_portrait(photo, face, progress, seconds, cancelled):
        given.append((seconds, cancelled()))
        progress("Waiting")
        return opening(photo, face)

    opening = engine.open_portrait
    monkeypatch.setattr(engine, "open_portrait", open_portrait)
    group = np.hstack([photo[:, ::-1], photo[:, ::-1]])
    stream = wandering(handlers_open.references.add("me", saved(group)))  # its threads may be any
    steps = [message["busy"] for message in stream]
    assert steps == ["Finding faces", "Waiting (1 of 2)", "Waiting (2 of 2)", None]
    assert given == [(FIRST_SECONDS, False)] * 2


def test_who_leaves_ends_the_opening_of_references_too(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, asked = handlers_open.engine, []

    def open_portrait(photo, face, progress, seconds, cancelled):
        if face == 1:
            handlers_open.forget("me")
        asked.append(cancelled())
        if asked[-1]:
            raise Cancelled("The opening was cancelled; the picture is as it was.")
        return opening(photo, face)

    opening = engine.open_portrait
    monkeypatch.setattr(engine, "open_portrait", open_portrait)
    failing(handlers_open, saved(np.hstack([photo[:, ::-1], photo[:, ::-1]])), "opening was cancelled")
    assert asked == [False, True]
    assert len(engine._memory._portraits) == len(engine._opener._detections) == 0


def test_the_open_face_is_not_offered_to_itself(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    last = failing(handlers_open, saved(photo), "shows the face that is open")[-1]
    assert (last["busy"], "faces" in last) == (None, False)
    # Its own photo stays open, and open in the engine.
    assert handlers_open.engine.open_portrait(photo) is handlers_open.visits.get("me").portrait
    assert handlers_open.references.listed("me")["faces"] == []


def failing(handlers: Handlers, path: str, sentence: str) -> list[Message]:
    """The messages of adding a photo that ends in this sentence."""
    messages: list[Message] = []

    def read() -> None:
        for message in handlers.references.add("me", path):
            messages.append(message)

    with pytest.raises(gr.Error, match=sentence):
        read()
    return messages


def test_a_photo_without_a_face_or_no_photo_changes_nothing(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray, tmp_path: Path
) -> None:
    face = handlers_open.engine.gallery[0]
    handlers_open.settle("me", EditRequest(takes=(Take(face, ("smile",)),)))
    before = handlers_open.visits.get("me")
    assert failing(handlers_open, saved(np.full((200, 200, 3), 128, np.uint8)), "No face")[-1]["busy"] is None
    text = tmp_path / "text.png"
    text.write_bytes(b"nothing")
    assert failing(handlers_open, str(text), "not a picture")[-1]["busy"] is None
    assert not text.exists()
    assert handlers_open.visits.get("me") is before


def test_a_removed_face_leaves_the_list_and_stays_in_the_edit(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray, told: list[str]
) -> None:
    picked = added(handlers_open, saved(photo[:, ::-1]))["picked"]
    asked = handlers_open.request("me", {}, [entry(picked)])
    # The hand has not rested since: no entry of the history names the face yet.
    assert keys(handlers_open.references.remove("me", asked, picked)) == []
    assert told == ["The face has left the list; the edit that takes from it stays."]
    again = handlers_open.request("me", {"smile": 1}, [entry(picked)])
    assert handlers_open.settle("me", again)["history"] == {"length": 3, "cursor": 2}
    assert handlers_open.undo("me", again)[1] == asked


def test_a_removed_face_that_nothing_takes_from_is_forgotten(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray, told: list[str]
) -> None:
    picked = added(handlers_open, saved(photo[:, ::-1]))["picked"]
    handlers_open.references.remove("me", OFF, picked)
    assert told == []
    assert handlers_open.visits.get("me").history == (OFF,)
    with pytest.raises(BadRequest, match="no longer here"):
        handlers_open.references.takes("me", [entry(picked)])
    assert keys(handlers_open.references.remove("me", OFF, None)) == []


def test_another_photo_keeps_the_faces_and_adds_the_one_just_left(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    engine = handlers_open.engine
    face = added(handlers_open, saved(photo[:, ::-1]))["picked"]
    left = handlers_open.visits.get("me").portrait
    asked = handlers_open.request("me", {"smile": 1}, [entry(face)])
    handlers_open.settle("me", asked)
    other = np.ascontiguousarray(photo[8:, 8:])
    *_, (opened, request) = handlers_open.open_file("me", asked, saved(other))
    assert (request, opened["request"]["takes"]) == (OFF, [])
    listed = handlers_open.references.listed("me")
    assert keys(listed) == [left.reference.key, face]
    assert [f["origin"] for f in listed["faces"]] == ["earlier", "upload"]
    # Back to the first: it is open now, so it is not listed, and nothing is there twice.
    list(handlers_open.open_file("me", OFF, saved(photo)))
    assert keys(handlers_open.references.listed("me")) == [engine.open_portrait(other).reference.key, face]


def test_nobody_takes_from_another_visitors_face(
    handlers_open: Handlers, saved: Callable, photo: np.ndarray
) -> None:
    key = added(handlers_open, saved(photo[:, ::-1]))["picked"]
    list(handlers_open.open_file("you", OFF, saved(photo)))
    assert handlers_open.references.listed("you")["faces"] == []
    with pytest.raises(gr.Error, match="no longer here"):
        handlers_open.request("you", {}, [entry(key)])
    payload = {"token": "you", "format": "project", "request": {**request_dict(OFF), "takes": [entry(key)]}}
    assert handlers_open.export(payload) == {"error": module.GONE}


def test_who_leaves_leaves_nothing(handlers_open: Handlers, saved: Callable, photo: np.ndarray) -> None:
    engine = handlers_open.engine
    group = np.hstack([photo, photo[:, ::-1]])
    list(handlers_open.open_file("me", OFF, saved(group)))
    list(handlers_open.choose_face("me", OFF, 1))
    added(handlers_open, saved(photo[16:]))
    list(handlers_open.open_file("me", OFF, saved(photo[:, 16:])))
    handlers_open.forget("me")
    assert len(handlers_open.visits) == len(engine._memory._portraits) == len(engine._opener._detections) == 0
    with pytest.raises(gr.Error, match="open the photo again"):
        list(handlers_open.references.add("me", saved(photo)))


def faces(count: int, taking_engine: Engine) -> list[Reference]:
    shape = taking_engine.gallery[0].w_plus.shape
    picture = np.zeros((4, 4, 3), np.uint8)
    return [Reference(np.full(shape, number, np.float32), picture) for number in range(count)]


def test_faces_are_counted_and_bounded(handlers_open: Handlers) -> None:
    visit = handlers_open.visits.get("me")
    many = faces(MAX_FACES + 3, handlers_open.engine)
    full = visit.with_faces(many[:3], "earlier").with_faces(many[3:], "upload")
    assert [face.reference for face in full.faces] == many[3:]
    one = visit.with_faces(many[:1], "upload")
    assert one.nbytes - visit.nbytes == many[0].nbytes
    # A face that an edit takes from is held once, and still when it has left the list.
    taking = one.with_edit(EditRequest(takes=(Take(many[0], ("smile",)), Take(many[0], ("young",)))))
    assert taking.nbytes == taking.without_face(many[0].key).nbytes == one.nbytes
    assert taking.without_face(many[0].key).reference(many[0].key) == many[0]
    assert taking.reference("x") is None


def test_a_new_visit_takes_the_faces_along_newest_first(handlers_open: Handlers) -> None:
    before = handlers_open.visits.get("me")
    many = faces(MAX_FACES, handlers_open.engine)
    before = before.with_faces(many, "upload")
    other = dataclasses.replace(before.portrait, w_plus=before.portrait.w_plus + 1)
    fresh = Visit.begin(other, before.preview, OFF).with_faces([many[5]], "upload")
    kept = [face.reference for face in fresh.after(before).faces]
    assert len(kept) == MAX_FACES
    assert kept[:3] == [many[5], before.portrait.reference, many[0]]
    assert kept.count(many[5]) == 1
    # Of a crop of the same photo it may be the face in hand, which nothing is taken from.
    same = Visit.begin(before.portrait, before.preview, OFF).after(before)
    assert [face.reference for face in same.faces] == many


def test_what_can_be_taken_comes_from_the_model(taking_engine: Engine, tiny_engine: Engine) -> None:
    found = choices(taking_engine)
    assert [choice["name"] for choice in found["attributes"]] == ["smile", "young"]
    assert found["attributes"][1]["label"] == "Youth"
    assert [*(c["name"] for c in found["attributes"]), *(c["name"] for c in found["mixes"])] == list(
        taking_engine.takeable
    )
    assert found["first"] == ["smile", "young"][:FIRST_TAKEN]
    # Without editors there is mixing alone, and one of it to begin with.
    plain = choices(tiny_engine)
    assert plain["attributes"] == []
    assert len(plain["first"]) == 1
    assert plain["first"][0] in tiny_engine.takeable


def test_groups_have_a_models_own_words_and_come_in_sets() -> None:
    names = ("hair_style", "hair_colour", "smile", "gender", "age")
    labels = ("Hair style", "Hair colour", "Smile", "Gender", "Age")
    editor = ReferenceEditorConfig(8, names, 32, 16, 4, labels)
    smile = AttributeConfig("smile", "Smiling slider")
    engine = SimpleNamespace(
        config=SimpleNamespace(attributes=(smile,), reference_editor=editor), takeable=(*names, "middle")
    )
    found = choices(engine)  # type: ignore[arg-type]
    assert [choice["label"] for choice in found["attributes"]] == list(labels)
    # Sets are shown whole or not at all, and a first click takes the first of them.
    assert found["sets"] == [{"label": "Hair", "what": ["hair_colour", "hair_style"]}]
    assert found["first"] == ["hair_style", "hair_colour"]
    # Without sets it takes what comes first, but nobody's gender.
    engine.takeable = ("gender", "smile", "hair_style", "age", "middle")
    found = choices(engine)  # type: ignore[arg-type]
    assert (found["sets"], found["first"]) == ([], ["smile", "hair_style", "age"])


def test_the_built_in_model_takes_hair_first_and_never_gender() -> None:
    config = read_config(find_bundle(DEFAULT_BUNDLE))
    editor = config.reference_editor
    assert editor is not None
    assert {name for what in SETS.values() for name in what} <= set(editor.attributes)
    assert not {*UNASKED} & {*editor.attributes}
    assert config.gallery == 24


def test_a_refinement_and_its_toggle_keep_the_stack(handlers_open: Handlers) -> None:
    face = handlers_open.engine.gallery[2]
    asked = EditRequest(takes=(Take(face, ("smile",)),))
    handlers_open.settle("me", asked)
    fast = dataclasses.replace(asked, refine="fast")
    *_, (message, _) = handlers_open.refine("me", fast)
    assert message["request"]["takes"] == stack(asked)
    assert handlers_open.visits.get("me").request == fast


class UntakingEngine:
    """An engine whose model takes nothing from a reference."""

    takeable, gallery = (), ()

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str):
        return getattr(self._engine, name)


def test_where_nothing_can_be_taken_there_is_no_tab(tiny_engine: Engine, taking_engine: Engine) -> None:
    def tabs(engine) -> tuple[list[str], bool]:
        blocks = {block.elem_id: block for block in build(engine).blocks.values()}
        return blocks["tabs"].props["tabs"], blocks["tab-reference"].visible

    assert tabs(taking_engine) == (["attributes", "looks", "reference", "explore", "history"], True)
    assert tabs(UntakingEngine(tiny_engine)) == (["attributes", "looks", "explore", "history"], False)
