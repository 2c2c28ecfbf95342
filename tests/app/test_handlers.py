"""Gestures, without a browser: what the stage is told, and what the server remembers."""

import base64
import contextlib
import functools
import io
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from picture_files import DISPLAY_P3, matrix_profile, png16, png_chunk, saved
from PIL import Image

from app import messages, visits
from app.handlers import Handlers
from app.likeness import likeness
from app.messages import Answer, Message
from app.starts import find_starts
from app.toasts import GONE
from app.wiring import Wiring
from core.engine import Engine
from core.images import encode_png, open_image, open_photo
from core.pictures.limits import Limits
from core.placing import reduced, shrink
from core.session import EditRequest, SessionStore, View

SMILE = EditRequest({"smile": 1.5})


class CountingEngine:
    """The engine, counting what it is asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.opened = 0

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def open_portrait(self, *args, **wishes):
        self.opened += 1
        return self._engine.open_portrait(*args, **wishes)


@pytest.fixture
def handlers(tiny_engine: Engine) -> Handlers:
    return Handlers(CountingEngine(tiny_engine))


@pytest.fixture
def upload(tmp_path: Path, photo: np.ndarray) -> Path:
    path = tmp_path / "astronaut.png"
    path.write_bytes(encode_png(photo))
    return path


def opened(handlers: Handlers, upload: Path, token: str = "me", asked: EditRequest | None = None) -> Message:
    message, _ = list(handlers.open_file(token, asked or EditRequest(), str(upload)))[-1]
    return message


def pixels(url: str) -> np.ndarray:
    head, data = url.split(",")
    assert head == "data:image/jpeg;base64"
    return open_image(base64.b64decode(data))


def meter(handlers: Handlers, message: Message) -> Any:
    """What the page is told of the message's picture once it has it."""
    return handlers.meters.tell({"token": "me", "number": message["number"]})["likeness"]


def drain(answers: Iterator[Answer], into: list[Answer]) -> None:
    for answer in answers:
        into.append(answer)


def test_a_photo_is_called_as_its_visitor_called_it(handlers: Handlers, upload: Path) -> None:
    """The page puts a mark before the name of what it sends."""
    opened(handlers, upload.rename(upload.with_name(f"0123456789ab-{upload.name}")))
    assert handlers.visits.get("me").stem == "astronaut"


def test_opening_shows_photo_then_faces_then_inversion(handlers: Handlers, upload: Path) -> None:
    handlers.engine.close()  # whoever opened the photo before
    answers = list(handlers.open_file("me", EditRequest(), str(upload)))
    messages = [message for message, _ in answers]
    assert [m["kind"] for m in messages] == ["opening"] * (len(messages) - 1) + ["opened"]
    assert pixels(messages[0]["photo"]).shape == (512, 512, 3)
    assert messages[0]["faces"] == []
    assert "Inverting" in [m.get("step") for m in messages]
    left, top, right, bottom = messages[-2]["faces"][0]["box"]
    assert 0.3 < left < right < 0.6
    assert 0.1 < top < bottom < 0.5
    numbers = [m["number"] for m in messages]
    assert numbers == sorted(set(numbers))
    assert answers[-1][1] == EditRequest()
    assert messages[-1]["history"] == {"length": 1, "cursor": 0}


def test_each_step_of_opening_may_run_in_another_thread(
    handlers: Handlers, upload: Path, wandering: Callable
) -> None:
    handlers.engine.close()
    *_, (message, _) = wandering(handlers.open_file("me", EditRequest(), str(upload)))
    assert message["kind"] == "opened"
    assert handlers.preview("me", SMILE) is not None


def test_the_upload_is_erased_from_disk(handlers: Handlers, upload: Path, tmp_path: Path) -> None:
    opened(handlers, upload)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    with pytest.raises(gr.Error):
        list(handlers.open_file("me", EditRequest(), str(broken)))
    assert list(tmp_path.iterdir()) == []


def test_a_slider_moves_the_picture_and_opens_nothing_again(handlers: Handlers, upload: Path) -> None:
    message = opened(handlers, upload)
    moved = handlers.preview("me", SMILE)
    assert moved is not None
    assert handlers.engine.opened == 1
    assert moved["number"] > message["number"]
    assert moved["request"]["sliders"] == {"smile": 1.5}
    before, after = pixels(message["frame"]), pixels(moved["frame"])
    assert before.shape == after.shape == (512, 512, 3)
    assert np.abs(before.astype(int) - after).mean() > 1
    back = handlers.preview("me", EditRequest())
    # Quality differs between moving and resting, the picture does not.
    assert np.abs(pixels(back["frame"]).astype(int) - before).mean() < 2


def test_one_history_entry_for_a_pause(handlers: Handlers, upload: Path) -> None:
    opened(handlers, upload)
    for value in np.linspace(0.1, 1.4, 5):
        handlers.preview("me", EditRequest({"smile": value}))
    settled = handlers.settle("me", SMILE)
    assert settled["history"] == {"length": 2, "cursor": 1}
    assert 0 <= meter(handlers, settled)["value"] <= 1
    assert handlers.settle("me", SMILE)["history"] == {"length": 2, "cursor": 1}


def test_undo_redo_reset_and_jump_return_the_sliders(handlers: Handlers, upload: Path) -> None:
    opened(handlers, upload)
    older = EditRequest({"smile": 1.5, "young": -1})
    handlers.settle("me", SMILE)
    handlers.settle("me", older)
    assert handlers.undo("me", older)[1] == SMILE
    assert handlers.redo("me", SMILE)[1] == older
    assert handlers.reset("me", older)[1] == EditRequest()
    assert handlers.undo("me", EditRequest())[1] == older
    assert handlers.jump("me", older, 0)[1] == EditRequest()


def test_undo_takes_back_a_move_that_has_not_settled(handlers: Handlers, upload: Path) -> None:
    opened(handlers, upload)
    handlers.settle("me", SMILE)
    later = EditRequest({"smile": 2.5})
    assert handlers.undo("me", later)[1] == SMILE
    assert handlers.redo("me", SMILE)[1] == later


def test_two_quick_undos_go_back_two_entries(handlers: Handlers, upload: Path) -> None:
    """The second carries the widgets of before the first, which are no change of the visitor's."""
    opened(handlers, upload)
    last = EditRequest({"smile": 2.5})
    handlers.settle("me", SMILE)
    handlers.settle("me", last)
    assert handlers.undo("me", last, False)[1] == SMILE
    message, request = handlers.undo("me", last, False)
    assert (request, message["history"]) == (EditRequest(), {"length": 3, "cursor": 0})
    assert handlers.redo("me", last, False)[1] == SMILE


def test_undos_at_the_same_time_show_the_entry_where_the_history_stands(
    handlers: Handlers, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(handlers, upload)
    requests = [EditRequest({"smile": value}) for value in (0, 1, 2, 3)]
    for request in requests[1:]:
        handlers.settle("me", request)
    both, edit = threading.Barrier(2), handlers.engine.edit

    def slow(*args):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # the other one, if it is let in
        return edit(*args)

    monkeypatch.setattr(handlers.engine, "edit", slow, raising=False)
    answers: list[Answer] = []
    undo = [
        threading.Thread(target=lambda: answers.append(handlers.undo("me", requests[3], False)))
        for _ in range(2)
    ]
    for thread in undo:
        thread.start()
    for thread in undo:
        thread.join(60)
    message, request = max(answers, key=lambda answer: answer[0]["number"])
    assert message["history"]["cursor"] == 1
    assert request == requests[1]


def test_undo_keeps_the_view(handlers: Handlers, upload: Path) -> None:
    opened(handlers, upload)
    handlers.settle("me", SMILE)
    message, request = handlers.undo("me", EditRequest({"smile": 1.5}, view=View(output="photo")))
    assert request == EditRequest(view=View(output="photo"))
    assert pixels(message["frame"]).shape == (512, 512, 3)


def test_a_pause_on_the_whole_photo_renders_once(
    handlers: Handlers, upload: Path, tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(handlers, upload)
    edits: list[EditRequest] = []
    monkeypatch.setattr(
        handlers.engine, "edit", lambda p, r: edits.append(r) or tiny_engine.edit(p, r), raising=False
    )
    for output in ("photo", "face"):
        request = EditRequest({"smile": 2.5}, view=View("photo", output))
        assert 0 <= meter(handlers, handlers.settle("me", request))["value"] < 1
        assert edits.pop() == request
        assert not edits
    untouched = handlers.settle("me", EditRequest(view=View("photo", "photo")))
    assert meter(handlers, untouched) is None


def test_at_rest_a_large_photo_is_edited_at_the_size_that_is_shown(
    handlers: Handlers, upload: Path, tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "STILL_SIDE", 320)
    monkeypatch.setattr(messages, "STILL_SIDE", 320)
    opened(handlers, upload)
    whole = EditRequest({"smile": 2.5}, view=View("photo", "photo"))
    settled = handlers.settle("me", whole)
    portrait = handlers.visits.get("me").portrait
    expected = tiny_engine.edit(reduced(portrait, 320), whole)
    assert settled["frame"] == messages.data_url(expected, messages.STILL_QUALITY)
    # As it would be made at full size and then shown: nothing jumps where that is looked at.
    full = shrink(tiny_engine.edit(portrait, whole), 320)
    assert np.abs(expected.astype(int) - full).mean() < 0.5
    assert settled["width"] == portrait.photo.shape[1]
    again = tiny_engine.edit(portrait, whole)
    assert meter(handlers, settled)["value"] == pytest.approx(
        likeness(tiny_engine, portrait, whole, again), abs=0.05
    )


def test_download_is_the_whole_photo_however_much_is_shown(
    handlers: Handlers, upload: Path, tiny_engine: Engine, photo: np.ndarray
) -> None:
    message = opened(handlers, upload)
    for output in ("face", "photo"):
        wanted = {"sliders": {"smile": 1.5}, "order": "first", "start": "photo", "output": output}
        answer = handlers.export({"token": message["token"], "format": "png", "request": wanted})
        request = EditRequest({"smile": 1.5}, view=View("photo", "photo"))
        expected = tiny_engine.edit(tiny_engine.open_portrait(photo), request)
        assert answer["name"].endswith(".png")
        np.testing.assert_array_equal(open_image(base64.b64decode(answer["data"])), expected)
    jpeg = handlers.export({"token": message["token"], "format": "jpeg", "request": wanted})
    assert base64.b64decode(jpeg["data"]).startswith(b"\xff\xd8")


SMILING = {"sliders": {"smile": 1.5}, "order": "first", "start": "photo", "output": "photo"}


def downloaded(handlers: Handlers, data: bytes, path: Path, **more: object) -> tuple[Message, bytes]:
    """What opening this file, and then downloading an edit of it, comes to."""
    path.write_bytes(data)
    message = opened(handlers, path)
    answer = handlers.export({"token": message["token"], "request": SMILING, "format": "png", **more})
    return answer, base64.b64decode(answer["data"])


def test_a_download_has_the_photo_s_own_size_bits_and_colours(
    handlers: Handlers, photo: np.ndarray, tmp_path: Path
) -> None:
    profile = matrix_profile(DISPLAY_P3, None, "Display P3")
    chunk = png_chunk(b"iCCP", b"P3\0\0" + zlib.compress(profile))
    deep = png16(photo.astype(np.uint16) * 257, extra=chunk)
    answer, data = downloaded(handlers, deep, tmp_path / "deep.png")
    assert answer["said"] == "Kept: 16 bits a channel, its colours, Display P3."
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[:, :, ::-1]
    assert found.dtype == np.uint16
    same = (found == photo.astype(np.uint16) * 257).all(2)
    assert 0.3 < same.mean() < 0.98  # what the edit left alone, and what it did not


def test_a_photo_larger_than_the_screen_of_work_is_downloaded_whole(
    handlers: Handlers, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.handlers.open_photo", functools.partial(open_photo, working=256 * 256))
    _, data = downloaded(handlers, encode_png(photo), tmp_path / "large.png")
    assert handlers.visits.get("me").portrait.photo.shape == (256, 256, 3)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (512, 512)


def test_another_face_of_the_photo_is_downloaded_in_it_as_well(
    handlers: Handlers, photo: np.ndarray, tmp_path: Path
) -> None:
    cut_out = np.dstack([photo, np.full((512, 512), 200, np.uint8)])
    downloaded(handlers, saved(Image.fromarray(cut_out), "PNG"), tmp_path / "cut.png")
    list(handlers.choose_face("me", EditRequest(), 0))
    answer = handlers.export({"token": "me", "request": SMILING, "format": "png"})
    assert answer["said"] == "Kept: transparency."


@pytest.mark.parametrize(
    ("notes", "said"), [(True, "Kept: rights; left out: place."), (False, "Left out: rights, place.")]
)
def test_a_visitor_may_leave_out_what_the_file_says(
    handlers: Handlers, photo: np.ndarray, tmp_path: Path, notes: bool, said: str
) -> None:
    exif = Image.Exif()
    exif[0x8298] = "Mine"
    exif.get_ifd(0x8825)[29] = "2024:05:01"
    data = saved(Image.fromarray(photo), "JPEG", exif=exif, quality=95)
    answer, found = downloaded(handlers, data, tmp_path / "a.jpg", format="jpeg", notes=notes)
    assert (b"Mine" in found) == notes
    assert b"2024:05:01" not in found
    assert answer["said"] == said


def test_a_picture_too_large_for_a_browser_is_one_sentence(
    handlers: Handlers, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.downloads.MAX_BYTES", 1000)
    token = opened(handlers, upload)["token"]
    answer = handlers.export({"token": token, "request": SMILING, "format": "png"})
    assert answer == {"error": "This picture is too large a file for a browser; export it as JPEG."}


@pytest.mark.parametrize(
    ("picture", "size"), [("photo", (512, 512)), ("both", (1027, 512)), ("face", (32, 32))]
)
def test_a_picture_comes_in_the_format_and_with_the_name_that_it_is_asked_for(
    handlers: Handlers, upload: Path, picture: str, size: tuple[int, int]
) -> None:
    message = opened(handlers, upload)
    assert message["own"] == "png"
    word = {"photo": "", "both": "-before-after", "face": "-face"}[picture]
    for name, suffix in (("webp", "webp"), ("jpeg", "jpg"), ("tiff", "tif"), ("png", "png")):
        payload = {"token": "me", "request": SMILING, "format": name, "picture": picture, "quality": 80}
        answer = handlers.export(payload)
        assert (answer["name"], answer["type"]) == (f"astronaut-visagist{word}.{suffix}", f"image/{name}")
        with Image.open(io.BytesIO(base64.b64decode(answer["data"]))) as image:
            assert (image.format.lower(), image.size) == (name, size)


def test_names_come_from_the_photo_from_the_project_or_from_the_sample(
    handlers: Handlers, upload: Path, tiny_engine: Engine, bare_engine: Engine, tmp_path: Path
) -> None:
    def named(of: Handlers, kind: str) -> str:
        answer = of.export({"token": "me", "request": SMILING if kind == "project" else {}, "format": kind})
        return answer["name"]

    called = upload.rename(tmp_path / ".. Ärger: 1? .png")
    opened(handlers, called)
    assert named(handlers, "png") == "Ärger- 1-visagist.png"
    list(handlers.choose_face("me", EditRequest(), 0))
    assert named(handlers, "jpeg") == "Ärger- 1-visagist.jpg"
    assert named(handlers, "project") == "Ärger- 1.visagist"

    data = handlers.export({"token": "me", "request": {}, "format": "project"})["data"]
    project = tmp_path / "taken up.visagist"
    project.write_bytes(base64.b64decode(data))
    assert opened(handlers, project)["own"] == "png"
    assert named(handlers, "png") == "taken up-visagist.png"

    made = Handlers(bare_engine, find_starts(bare_engine, tmp_path))
    *_, (message, _) = made.open_example("me", EditRequest(), 1)
    assert message["own"] is None
    assert named(made, "png") == f"sampled-face-{made.examples[1].seed}-visagist.png"


def test_whoever_serves_says_how_large_a_photo_may_be(tiny_engine: Engine, upload: Path) -> None:
    small = Handlers(CountingEngine(tiny_engine), limits=Limits(200_000))
    with pytest.raises(gr.Error, match=r"512 x 512 px; reduce it to at most 0\.2 megapixels"):
        opened(small, upload)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {"request": {}},
        {"format": "svg", "request": {}},
        {"format": ["png"], "request": {}},
        {"format": "png", "request": SMILING, "picture": "everything"},
        {"format": "jpeg", "request": SMILING, "quality": 20},
        {"format": "jpeg", "request": SMILING, "quality": None},
        {"format": "jpeg", "request": SMILING, "notes": "no"},
        {"token": "me", "format": "png", "request": {"sliders": {"smile": 1e9}}},
        {
            "token": "me",
            "format": "png",
            "request": {"order": ["second"], "start": "photo", "output": "face"},
        },
        {"token": "x", "format": "png", "request": {"order": "second", "start": "photo", "output": "face"}},
    ],
)
def test_a_download_that_cannot_be_is_one_sentence(handlers: Handlers, payload: object) -> None:
    answer = handlers.export(payload)
    assert set(answer) == {"error"}
    assert answer["error"].endswith(".")


def test_a_photo_without_a_face_changes_nothing(handlers: Handlers, upload: Path, tmp_path: Path) -> None:
    opened(handlers, upload)
    handlers.settle("me", SMILE)
    empty = tmp_path / "wall.png"
    empty.write_bytes(encode_png(np.full((200, 200, 3), 128, np.uint8)))
    answers: list[Answer] = []
    with pytest.raises(gr.Error, match="No face"):
        drain(handlers.open_file("me", SMILE, str(empty)), answers)
    assert answers[-1][0]["kind"] == "failed"
    assert all(request is None for _, request in answers)
    assert handlers.settle("me", SMILE)["history"] == {"length": 2, "cursor": 1}


def test_an_expired_session_says_so_and_keeps_the_sliders(
    handlers: Handlers, upload: Path, photo: np.ndarray
) -> None:
    opened(handlers, upload)
    handlers.forget("me")
    assert len(handlers.visits) == 0
    message = handlers.preview("me", SMILE)
    assert message["kind"] == "gone"
    assert message["sentence"].endswith("open the photo again.")
    for gesture in (handlers.settle, handlers.undo, handlers.reset):
        with pytest.raises(gr.Error, match="open the photo again") as failure:
            gesture("me", SMILE)
        assert failure.value.title == GONE  # by which the page knows
    upload.write_bytes(encode_png(photo))
    answers = list(handlers.open_file("me", SMILE, str(upload)))
    assert answers[-1][1] == SMILE
    assert handlers.undo("me", SMILE)[1] == EditRequest()


def test_another_photo_starts_from_zero(handlers: Handlers, upload: Path, photo: np.ndarray) -> None:
    opened(handlers, upload)
    upload.write_bytes(encode_png(photo[:, ::-1]))
    *_, (_, request) = handlers.open_file(
        "me", EditRequest({"smile": 1}, view=View(output="photo")), str(upload)
    )
    assert request == EditRequest(view=View(output="photo"))


def test_faces_can_be_chosen(handlers: Handlers, upload: Path, photo: np.ndarray) -> None:
    upload.write_bytes(encode_png(np.hstack([photo, photo[:, ::-1]])))
    message = opened(handlers, upload)
    assert len(message["faces"]) == 2
    *_, (chosen, _) = handlers.choose_face("me", EditRequest(), 1)
    assert (chosen["kind"], chosen["face"]) == ("opened", 1)
    for index in (2, -1, "1", None, True):
        with pytest.raises(gr.Error, match="pick another"):
            list(handlers.choose_face("me", EditRequest(), index))


def test_a_photo_is_turned_and_its_edit_and_export_with_it(
    handlers: Handlers, upload: Path, photo: np.ndarray
) -> None:
    whole = EditRequest({"smile": 1.5}, view=View("photo", "photo"))
    opened(handlers, upload, asked=whole)
    handlers.settle("me", whole)
    *_, (turned, shown) = handlers.turn("me", whole, 1)
    assert shown == whole
    assert (turned["kind"], turned["history"]) == ("opened", {"length": 2, "cursor": 1})
    visit = handlers.visits.get("me")
    assert np.array_equal(visit.portrait.photo, np.rot90(photo, -1))
    payload = {"token": "me", "request": turned["request"], "format": "png"}
    found = open_image(base64.b64decode(handlers.export(payload)["data"]))
    assert np.array_equal(found, handlers.engine.edit(visit.portrait, visit.request))
    assert not np.array_equal(found, visit.portrait.photo)
    list(handlers.turn("me", whole, 3))
    assert np.array_equal(handlers.visits.get("me").portrait.photo, photo)
    for turns in (4, -1, "1", None, True):
        with pytest.raises(gr.Error, match="pick another"):
            list(handlers.turn("me", whole, turns))


def test_visitors_share_nothing(handlers: Handlers, upload: Path, photo: np.ndarray) -> None:
    opened(handlers, upload, "one")
    upload.write_bytes(encode_png(photo))
    opened(handlers, upload, "two")
    handlers.settle("one", SMILE)
    assert handlers.undo("two", EditRequest())[0]["history"] == {"length": 1, "cursor": 0}
    handlers.forget("one")
    assert handlers.preview("two", SMILE) is not None


def test_visitors_are_bounded(tiny_engine: Engine, upload: Path, photo: np.ndarray) -> None:
    handlers = Handlers(tiny_engine, store=SessionStore(2, 2**30))
    for number in range(4):
        upload.write_bytes(encode_png(photo))
        opened(handlers, upload, str(number))
    assert len(handlers.visits) == 2


def test_an_unforeseen_failure_is_a_sentence_too(
    handlers: Handlers, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(handlers, upload)
    monkeypatch.setattr(handlers.engine, "edit", lambda *_: 1 / 0, raising=False)
    with pytest.raises(gr.Error, match="nothing you had is lost"):
        handlers.settle("me", SMILE)
    monkeypatch.undo()
    assert handlers.settle("me", SMILE)["history"] == {"length": 2, "cursor": 1}


def test_examples_open_like_photos_and_may_be_missing(
    tiny_engine: Engine, tmp_path: Path, photo: np.ndarray
) -> None:
    assert find_starts(tiny_engine, tmp_path / "nowhere") == ()
    example = tmp_path / "face.jpg"
    example.write_bytes(encode_png(photo))
    handlers = Handlers(tiny_engine, find_starts(tiny_engine, tmp_path))
    *_, (message, _) = handlers.open_example("me", EditRequest(), 0)
    assert message["kind"] == "opened"
    assert example.exists()
    with pytest.raises(gr.Error):
        list(handlers.open_example("me", EditRequest(), 1))


def test_tokens_are_stable_and_cannot_be_made_elsewhere(handlers: Handlers) -> None:
    one, other = Wiring(handlers), Wiring(handlers)
    request = gr.Request(session_hash="session")
    assert one.visitor(request) == one.visitor(gr.Request(session_hash="session"))
    assert one.visitor(request) != other.visitor(request)
    assert one.visitor(request) != one.visitor(gr.Request(session_hash="another"))
    assert "session" not in one.visitor(request)
