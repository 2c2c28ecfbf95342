"""The websocket's protocol on the server, spoken without a browser; strangers and their messages."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from app import sockets
from app.axis import HIGH, LOW, STEP
from app.following import LEAST_SIDE
from app.frames import Frame
from app.handlers import Handlers
from app.messages import LIVE_QUALITY
from app.sockets import IN_FLIGHT, MAX_MESSAGE, PATH, POINTED, Sockets
from core.engine import Engine
from core.errors import Cancelled
from core.images import encode_jpeg, encode_png, open_image
from core.placing import reduced
from core.projects.request_json import request_to_json
from core.session import EditRequest, View

WHOLE = EditRequest(view=View(start="photo", output="photo"))
YOUNG = EditRequest({"young": 1.0}, view=WHOLE.view)


# An edit that is none, else a message of ours.
TAKE = {
    "kind": "take",
    "take": 1,
    "name": "smile",
    "at": 0,
    "shown": None,
    "held": 0,
    "near": True,
    "side": 9,
}
TAKE |= {"request": {}}


@pytest.fixture
def upload(photo: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(photo))
    return path


@pytest.fixture(scope="module")
def handlers(tiny_engine: Engine, photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Handlers:
    """A photo is open for "me"."""
    handlers, upload = Handlers(tiny_engine), tmp_path_factory.mktemp("live") / "photo.png"
    upload.write_bytes(encode_png(photo))
    list(handlers.open_file("me", WHOLE, str(upload)))
    return handlers


@pytest.fixture
def app(handlers: Handlers) -> Starlette:
    return Starlette(routes=[Sockets(handlers.following).route])


@pytest.fixture
def client(app: Starlette) -> Iterator[TestClient]:
    with TestClient(app) as client:  # one event loop for all its connections
        yield client


def say(line: WebSocketTestSession, kind: str, **content: Any) -> None:
    line.send_text(json.dumps({"kind": kind, **content}))


def hello(line: WebSocketTestSession, token: str = "me") -> None:
    say(line, "hello", token=token)
    assert line.receive_json() == {"kind": "ready"}


def take(line: WebSocketTestSession, at: float = 0.0, **other: Any) -> int:
    """Takes the smile up, and returns its axis' number; frames that were on their way are let pass."""
    wish = {"take": 5, "name": "smile", "request": request_to_json(WHOLE), "at": at, "held": 0, "near": True}
    wish |= {"side": 1000, "shown": None}
    say(line, "take", **(wish | other))
    while (message := line.receive()).get("text") is None:
        assert message["type"] == "websocket.send"
    taken = json.loads(message["text"])
    assert taken["kind"] == "taken"
    assert taken["take"] == wish["take"]
    return taken["axis"]


def frame(line: WebSocketTestSession, acknowledge: bool = True) -> Frame:
    got = Frame.unpacked(line.receive_bytes())
    if acknowledge:
        say(line, "got", sequence=got.sequence)
    return got


def ended(line: WebSocketTestSession) -> int:
    """With what code the server ends the connection; whatever comes before is let pass."""
    while (message := line.receive())["type"] == "websocket.send":
        pass
    return message["code"]


def test_keys_of_a_slider_come_as_the_engine_edits(client: TestClient, handlers: Handlers) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        number = take(line, near=False, request=request_to_json(YOUNG))
        found = [frame(line) for _ in range(3)]
    assert [got.value for got in found] == [0, 1, -1]
    assert {got.axis for got in found} == {number}
    assert [got.sequence for got in found] == [1, 2, 3]
    preview = handlers.visits.get("me").preview
    for got in found:
        wanted = handlers.engine.edit(
            preview, EditRequest({"young": 1.0, "smile": got.value}, view=WHOLE.view)
        )
        left, top, width, height = got.box
        assert got.size == wanted.shape[1::-1]
        inside = open_image(encode_jpeg(wanted[top : top + height, left : left + width], LIVE_QUALITY))
        assert np.abs(open_image(got.jpeg).astype(int) - inside).mean() < 0.2
        outside = np.abs(wanted.astype(int) - preview.photo).max(2)
        outside[top : top + height, left : left + width] = 0
        assert outside.max() == 0


def test_a_photo_has_no_more_pixels_than_the_page_shows_of_it(client: TestClient, handlers: Handlers) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        axis = take(line, side=300)
        got = frame(line)
        assert got.size == (300, 300)
        preview = handlers.visits.get("me").preview
        expected = handlers.engine.edit(reduced(preview, 300), WHOLE)
        left, top, width, height = got.box
        assert got.jpeg == encode_jpeg(expected[top : top + height, left : left + width], LIVE_QUALITY)
        assert take(line, side=300, held=axis) == axis
        assert take(line, side=400, held=axis) != axis  # the window has grown
        assert take(line, side=1) == take(line, side=2)
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line, side=2)
        assert frame(line).size == (LEAST_SIDE, LEAST_SIDE)


def test_of_a_face_alone_all_of_it_comes(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line, request=request_to_json(EditRequest()))
        got = frame(line)
    assert got.box == (0, 0, *got.size)
    assert open_image(got.jpeg).shape == (512, 512, 3)


def test_a_slider_that_is_pointed_at_has_few_keys_and_one_in_hand_has_all(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line)
        values = [frame(line).value for _ in range(POINTED)]
        assert values == [0, 1, -1]
        say(line, "at", at=2.9)  # in hand now
        assert frame(line).value == 3
        ends = {3.0}
        while not {-3.0, 3.0} <= ends:
            ends.add(frame(line).value)


def test_the_newest_place_of_the_finger_is_the_one_that_counts(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line)
        held = [frame(line, acknowledge=False) for _ in range(IN_FLIGHT)]
        for value in (0.5, 1.5, 2.5, -2.9):  # none of them is answered: three are on their way
            say(line, "at", at=value)
        say(line, "got", sequence=held[0].sequence)
        assert frame(line, acknowledge=False).value == -3


def test_no_more_than_three_frames_are_on_their_way(
    client: TestClient, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, enough = [], threading.Event()
    whole = handlers.following.made

    def counted(*given: Any) -> Any:
        made.append(given[1])
        return whole(*given)

    monkeypatch.setattr(handlers.following, "made", counted)
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line, near=False)
        held = [frame(line, acknowledge=False) for _ in range(IN_FLIGHT)]
        assert not enough.wait(0.3)  # nothing that we could wait for: it does not come
        assert len(made) == IN_FLIGHT
        say(line, "got", sequence=held[1].sequence)
        frame(line, acknowledge=False)
        assert len(made) == IN_FLIGHT + 1


def test_a_hand_that_rests_gets_nothing_and_one_that_comes_back_goes_on(
    client: TestClient, handlers: Handlers
) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        number = take(line)
        seen = {frame(line).value for _ in range(POINTED)}
        say(line, "rest")
        # The browser has these keys: the same axis, and others of it.
        assert take(line, held=number, near=False) == number
        seen_later = {frame(line).value for _ in range(4)}
        assert not seen & seen_later
        # It has lost them: they come again, first the nearest.
        assert take(line, held=0) == number
        assert frame(line).value == 0
        # Another edit is another axis.
        assert take(line, request=request_to_json(YOUNG)) != number


def test_a_key_under_way_is_dropped_when_nobody_waits_for_it(
    client: TestClient, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, resting, dropped = threading.Event(), threading.Event(), []
    edit = handlers.engine.edit

    def slow(portrait: Any, request: EditRequest, cancelled: Callable[[], bool] | None = None) -> Any:
        if not resting.is_set():
            asked.set()
            while cancelled is not None and not cancelled():
                resting.wait(0.01)
            resting.set()
        try:
            return edit(portrait, request, cancelled)
        except Cancelled:
            dropped.append(request)
            raise

    monkeypatch.setattr(handlers.engine, "edit", slow)
    with client.websocket_connect(PATH) as line:
        hello(line)
        axis = take(line)
        assert asked.wait(60)
        say(line, "rest")
        assert resting.wait(60)
        assert take(line) == axis
        assert [frame(line).value for _ in range(POINTED)] == [0, 1, -1]
    assert dropped == [WHOLE]


def test_what_the_page_shows_at_rest_is_a_key_that_nobody_makes(
    client: TestClient, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.axis.LEAST", 1000)  # coarse keys alone
    with client.websocket_connect(PATH) as line:
        hello(line)
        number = take(line, at=0.5, shown=0.0, near=False)  # a hand that was quick
        assert [frame(line).value for _ in range(6)] == [1, 2, -1, 3, -2, -3]
        # The same axis, as long as the browser has it; else the picture at rest would be missing.
        assert take(line, held=number, shown=1.0) == number
        again = take(line, held=0, shown=None)
        assert again != number
        assert frame(line).value == 0


def test_a_blend_with_the_picture_at_rest_is_not_judged(handlers: Handlers) -> None:
    following, keys = handlers.following, []
    taken = following.take("me", "smile", request_to_json(WHOLE), 0, shown=0)
    for place in (20, 10, 15):
        taken, _ = following.made(taken, place)
        keys.append(taken.keys)
    assert taken.keys.made == (0, 10, 15, 20)
    assert keys[1].even == frozenset()  # between 0, which is not here, and 20
    assert taken.borrowed


def test_who_waits_for_a_turn_has_the_key_of_where_the_finger_is_then(
    client: TestClient, handlers: Handlers, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "KEYS_AT_ONCE", 1)
    list(handlers.open_file("you", WHOLE, str(upload)))
    whole, holds, begun = handlers.following.made, threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        if not begun.is_set():  # yours
            begun.set()
            assert holds.wait(60)
        return whole(*given)

    monkeypatch.setattr(handlers.following, "made", slow)
    with client.websocket_connect(PATH) as yours, client.websocket_connect(PATH) as mine:
        hello(yours, "you")
        take(yours)
        assert begun.wait(60)
        hello(mine)
        number = take(mine)
        for value in (0.5, 2.0):
            say(mine, "at", at=value)
        wish = {"take": 6, "held": number, "at": 2.0, "request": request_to_json(YOUNG)}
        say(mine, **(TAKE | wish))
        holds.set()
        frame(yours)
        message = mine.receive()
        assert json.loads(message["text"])["kind"] == "taken"  # nobody wants the first axis any more
        assert frame(mine).value == 2
    handlers.forget("you")


def test_after_a_broken_connection_the_visit_goes_on(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line)
        frame(line)
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line)
        assert frame(line).sequence == 1


def test_of_two_connections_of_a_visitor_the_newer_one_stays(client: TestClient) -> None:
    with client.websocket_connect(PATH) as first, client.websocket_connect(PATH) as second:
        hello(first)
        hello(second)
        assert ended(first) == sockets.FORBIDDEN
        take(second)
        frame(second)


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "null", "http://testserver.elsewhere.example"]
)
def test_another_sites_page_is_refused(client: TestClient, origin: str) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(PATH, headers={"origin": origin}):
        pass


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://testserver"}, {"origin": "https://out.example", "x-forwarded-host": "out.example"}],
)
def test_the_page_itself_is_welcome(client: TestClient, headers: dict[str, str]) -> None:
    with client.websocket_connect(PATH, headers=headers) as line:
        hello(line)


def test_where_the_app_asks_for_a_password_it_is_asked_here_too(app: Starlette, client: TestClient) -> None:
    app.auth, app.cookie_id, app.tokens = {"ann": "secret"}, "c", {"good": "ann"}
    for cookie in ("", "access-token-c=bad", "access-token-d=good"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(PATH, headers={"cookie": cookie}):
            pass
    for name in ("access-token-c", "access-token-unsecure-c"):
        with client.websocket_connect(PATH, headers={"cookie": f"{name}=good"}) as line:
            hello(line)


def test_an_unknown_visitor_is_told_once(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        say(line, "hello", token="somebody")
        assert line.receive_json()["kind"] == "gone"
        assert ended(line) == sockets.FORBIDDEN


def test_who_says_nothing_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "HELLO_SECONDS", 0.05)
    with client.websocket_connect(PATH) as line:
        assert ended(line) == sockets.FORBIDDEN


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[" * 60000,
        "[]",
        "{}",
        '{"kind": "at", "at": NaN}',
        '{"kind": "at", "at": "2"}',
        '{"kind": "at", "at": true}',
        '{"kind": "at"}',
        '{"kind": "got", "sequence": -1}',
        '{"kind": "got", "sequence": 1.5}',
        '{"kind": "rest", "more": 1}',
        '{"kind": "other"}',
        '{"kind": "hello", "token": "me"}',
        json.dumps(TAKE),
        json.dumps(TAKE | {"name": ["smile"]}),
        json.dumps(TAKE | {"request": request_to_json(WHOLE), "side": 0}),
        json.dumps(TAKE | {"request": request_to_json(WHOLE), "side": "9"}),
    ],
)
def test_what_is_no_message_of_ours_ends_the_connection(client: TestClient, message: str) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        line.send_text(message)
        assert ended(line) == sockets.REFUSED


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: request | {"sliders": {"smile": 99}},
        lambda request: request | {"order": "third"},
        lambda request: request | {"more": 1},
        lambda request: request | {"takes": 3},
        lambda request: {"sliders": {}},
    ],
)
def test_an_edit_that_is_none_ends_it_or_is_refused(
    client: TestClient, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        wish = {"take": 5, "name": "young", "request": spoil(request_to_json(WHOLE)), "at": 0, "held": 0}
        say(line, "take", near=True, side=1000, **wish)
        first = line.receive()
        assert first["type"] == "websocket.close" or json.loads(first["text"]) == {
            "kind": "failed",
            "take": 5,
        }


def test_a_slider_that_the_model_has_not_is_refused_and_the_line_stays(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        say(line, **(TAKE | {"take": 9, "name": "wings", "request": request_to_json(WHOLE)}))
        assert line.receive_json() == {"kind": "failed", "take": 9}
        take(line)
        frame(line)


def test_what_is_too_large_ends_the_connection(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        line.send_text(" " * (MAX_MESSAGE + 1))
        assert ended(line) == sockets.TOO_BIG
    with client.websocket_connect(PATH) as line:
        hello(line)
        line.send_bytes(b"\x00")
        assert ended(line) == sockets.REFUSED


def test_beyond_so_many_connections_there_are_none(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_SOCKETS", 1)
    with client.websocket_connect(PATH) as line:
        hello(line)
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(PATH):
            pass
    with client.websocket_connect(PATH) as line:  # there is room again
        hello(line)


def test_a_place_beyond_the_slider_is_its_end(client: TestClient) -> None:
    with client.websocket_connect(PATH) as line:
        hello(line)
        take(line, at=77.0)
        assert frame(line).value == pytest.approx(HIGH * STEP)
        assert LOW * STEP == -3
