"""The websocket by which pictures follow a finger: `/live`, beside Gradio's own routes.

Up, as JSON: {"kind": "hello", "token"} first; then {"kind": "take", "take", "name", "request", "at", "shown",
"held", "near", "side"}, {"kind": "at", "at"}, {"kind": "got", "sequence"} and {"kind": "rest"}. Down: frames
(app/frames.py), and as JSON {"kind": "ready"}, {"kind": "taken", "take", "axis"}, {"kind": "failed", "take"}
where an edit is none of this model's, and {"kind": "gone", "sentence"}, the last. A newer position replaces
an older one, a key that nobody waits for any more is dropped between its steps, and at most IN_FLIGHT frames
are on their way. Whatever else comes ends the connection.
"""

import functools
import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio import CapacityLimiter, Semaphore, to_thread
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app import axis
from app.following import Axis, Following
from app.frames import Frame
from core.errors import BadProject, BadRequest, Cancelled, SessionExpired, VisagistError
from core.projects.strict_json import fields, flag, index, number, parse, text

logger = logging.getLogger(__name__)

PATH = "/live"
MAX_SOCKETS = 128
# An edit of all sliders and a full stack of references is a tenth of it.
MAX_MESSAGE = 64 * 1024
HELLO_SECONDS = 10.0
IN_FLIGHT = 3
# Axes kept for a slider that is taken up again, there as here (app/following.js).
KEPT = 2
# Keys that are made at a time, for all visitors: while one is pasted the device renders another. A line that
# waits for its turn chooses its key when that comes, and pictures at rest wait for no more than these.
KEYS_AT_ONCE = 2
# Of a slider that is only pointed at: where it is, and a coarse key on either side.
POINTED = 3
# Of a finger the speed is that of so many seconds; the next key is of where it is after so many times as long
# as one takes, at first so many seconds.
SPEED_SECONDS, BEFORE, FIRST_SECONDS = 0.15, 1.5, 0.1
# Codes that end a connection: no business here, a message that is none of ours.
FORBIDDEN, REFUSED, TOO_BIG = 1008, 1007, 1009
NUMBERS = 2**32 - 1


class Refusal(Exception):
    """The connection ends, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Sockets:
    """All visitors' connections; of one visitor's, the newest alone. Lives in the server's event loop."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._lines: dict[str, Line] = {}
        self._shared: tuple[CapacityLimiter, Semaphore] | None = None
        self._open = 0

    @property
    def route(self) -> WebSocketRoute:
        """For the app that carries the page."""
        return WebSocketRoute(PATH, self._serve)

    async def _serve(self, socket: WebSocket) -> None:
        if self._open >= MAX_SOCKETS or not (from_here(socket) and known(socket)):
            await socket.close(FORBIDDEN)
            return
        self._open += 1
        try:
            await socket.accept()
            await self._talk(socket)
        except WebSocketDisconnect:
            pass
        except Refusal as refusal:
            await _end(socket, refusal.code)
        finally:
            self._open -= 1

    async def _talk(self, socket: WebSocket) -> None:
        try:
            with anyio.fail_after(HELLO_SECONDS):
                hello = _fields(await _read(socket), "hello", "token")
        except TimeoutError:
            raise Refusal(FORBIDDEN) from None
        token = _strict(lambda: text(hello["token"], "the token"))
        if self._shared is None:  # made here, as it belongs to the event loop
            self._shared = CapacityLimiter(MAX_SOCKETS), Semaphore(KEYS_AT_ONCE)
        line = Line(socket, token, self._following, *self._shared)
        before = self._lines.pop(token, None)
        if before is not None:
            before.hang_up()
        self._lines[token] = line
        try:
            await line.run()
        finally:
            if self._lines.get(token) is line:
                del self._lines[token]


class Line:
    """One visitor's connection: a reader that notes the newest wish, and a maker that goes by it."""

    def __init__(
        self,
        socket: WebSocket,
        token: str,
        following: Following,
        threads: CapacityLimiter,
        turns: Semaphore,
    ) -> None:
        """threads, turns: of all lines; who makes a key holds a turn."""
        self._socket, self._token, self._following = socket, token, following
        self._threads, self._turns = threads, turns
        self._axes: OrderedDict[int, Axis] = OrderedDict()
        self._sent: dict[int, set[int]] = {}  # by axis, the places that the browser has
        self._axis: Axis | None = None  # the one in hand
        self._wish: dict[str, Any] | None = None  # to take up another
        self._at, self._most = 0, 0
        self._moves: deque[tuple[float, int]] = deque()  # of late: when, and where to
        self._took = FIRST_SECONDS  # a key, of late
        self._resting = True
        self._sequence, self._under_way = 0, set[int]()
        self._changed = anyio.Event()
        self._scope = anyio.CancelScope()

    def hang_up(self) -> None:
        """Another connection of the same visitor takes its place."""
        self._scope.cancel()

    async def run(self) -> None:
        """Until either side ends it. Raises: Refusal, WebSocketDisconnect."""
        ended: list[Exception] = []

        async def watch(work: Callable[[], Any]) -> None:
            try:
                await work()
            except (Refusal, WebSocketDisconnect) as end:
                ended.append(end)
            except SessionExpired as error:
                await self._tell(kind="gone", sentence=str(error))
                ended.append(Refusal(FORBIDDEN))
            self._scope.cancel()

        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch, self._listen)
                tasks.start_soon(watch, self._make)
        raise ended[0] if ended else Refusal(FORBIDDEN)

    async def _listen(self) -> None:
        await self._thread(self._following.moved, self._token)
        await self._tell(kind="ready")
        while True:
            message = await _read(self._socket)
            _strict(functools.partial(self._note, message))
            if message["kind"] in ("take", "at"):
                await self._thread(self._following.moved, self._token)
            self._changed.set()

    def _note(self, message: dict[str, Any]) -> None:
        kind = message.get("kind")
        if kind == "take":
            names = ("take", "name", "request", "at", "shown", "held", "near", "side")
            given = _fields(message, "take", *names)
            self._at = _place(given["at"])
            self._wish = {
                "take": index(given["take"], "the take", 0, NUMBERS),
                "name": text(given["name"], "the slider"),
                "request": given["request"],
                "shown": None if given["shown"] is None else _place(given["shown"]),
                "held": index(given["held"], "the axis", 0, NUMBERS),
                "near": flag(given["near"], "near"),
                "side": index(given["side"], "the side", 1, NUMBERS),
            }
        elif kind == "at":
            self._at = _place(_fields(message, "at", "at")["at"])
            self._move()
            self._most, self._resting = len(range(axis.LOW, axis.HIGH + 1)), False
        elif kind == "got":
            self._under_way.discard(index(_fields(message, "got", "sequence")["sequence"], "it", 0, NUMBERS))
        else:
            _fields(message, "rest")
            self._resting = True

    def _move(self) -> None:
        now = time.monotonic()
        self._moves.append((now, self._at))
        while self._moves[0][0] < now - SPEED_SECONDS:
            self._moves.popleft()

    def _soon(self) -> int:
        """Where the finger is likely to be when the browser has the next key."""
        return axis.reached(self._moves, BEFORE * self._took) if self._moves else self._at

    def _unwanted(self, taken: Axis) -> bool:
        """Whether nobody waits for keys of this axis any more; asked while one is made, from its thread."""
        wish = self._wish
        return self._resting or self._scope.cancel_called or (wish is not None and wish["name"] != taken.name)

    async def _make(self) -> None:
        while True:
            self._changed = anyio.Event()
            if self._wish is not None:
                await self._take(self._wish)
            elif not await self._step():
                await self._changed.wait()

    async def _take(self, wish: dict[str, Any]) -> None:
        self._wish = None
        # Of an axis that the browser holds no more, pictures of its own are lost.
        try:
            held = [axis for axis in self._axes.values() if axis.number == wish["held"] or not axis.borrowed]
            asked = self._token, wish["name"], wish["request"], self._at, held, wish["side"], wish["shown"]
            taken: Axis = await self._thread(self._following.take, *asked)
        except BadProject:
            raise Refusal(REFUSED) from None
        except BadRequest:  # told when the hand rests, as of any other edit
            self._axis = None
            await self._tell(kind="failed", take=wish["take"])
            return
        if wish["held"] != taken.number:
            self._sent[taken.number] = set()
        self._axes[taken.number] = self._axis = taken
        self._axes.move_to_end(taken.number)
        while len(self._axes) > KEPT:
            del self._sent[self._axes.popitem(last=False)[0]]
        self._most = POINTED if wish["near"] else len(range(axis.LOW, axis.HIGH + 1))
        self._resting = False
        self._moves.clear()
        await self._tell(kind="taken", take=wish["take"], axis=taken.number)

    async def _step(self) -> bool:
        """Send the key that is needed most; False: nothing can be done until something changes."""
        taken = self._axis
        if taken is None or self._resting or len(self._under_way) >= IN_FLIGHT:
            return False
        sent, took = self._sent[taken.number], 0
        place = min(taken.jpegs.keys() - sent, key=lambda place: abs(place - self._at), default=None)
        if place is None:
            if self._needed(taken) is None:
                return False
            async with self._turns:
                place = self._needed(taken)  # by now: the hand moves on while others have their turns
                if place is None or self._resting or self._wish is not None:
                    return True
                try:
                    unwanted = functools.partial(self._unwanted, taken)
                    taken, took = await self._thread(self._following.made, taken, place, unwanted)
                except Cancelled:
                    return True
            self._took = took / 1000
            self._axes[taken.number] = self._axis = taken
        sent.add(place)
        self._sequence += 1
        self._under_way.add(self._sequence)
        value, jpeg = place * axis.STEP, taken.jpegs[place]
        frame = Frame(self._sequence, taken.number, value, taken.size, taken.box, took, jpeg)
        await self._socket.send_bytes(frame.packed())
        return True

    def _needed(self, taken: Axis) -> int | None:
        """The key to make next; None: none."""
        return taken.keys.next(self._at, self._soon()) if len(taken.keys.made) < self._most else None

    async def _thread(self, work: Callable[..., Any], *given: Any) -> Any:
        return await to_thread.run_sync(work, *given, limiter=self._threads)

    async def _tell(self, **message: Any) -> None:
        await self._socket.send_text(json.dumps(message))


def from_here(socket: WebSocket) -> bool:
    """Whether the page that opens it came from this server; a program that is no browser need not say.

    Any page in the visitor's browser can open a socket to anywhere, cookies included; what it cannot do is
    to set a header.
    """
    origin = socket.headers.get("origin")
    hosts = {socket.headers.get(name) for name in ("host", "x-forwarded-host")}
    return origin is None or urlsplit(origin).netloc in hosts


def known(socket: WebSocket) -> bool:
    """Whether the visitor has signed in, where the app asks for it: by Gradio's own cookies."""
    app = socket.scope["app"]
    if getattr(app, "auth", None) is None:
        return True
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(socket.cookies.get(name) in app.tokens for name in names)


async def _read(socket: WebSocket) -> dict[str, Any]:
    """The next message. Raises: Refusal, WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    said = message.get("text")
    if not isinstance(said, str):
        raise Refusal(REFUSED)
    if len(said) > MAX_MESSAGE:
        raise Refusal(TOO_BIG)
    return _strict(lambda: parse(said.encode("utf-8", "replace")))


def _strict(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except SessionExpired:
        raise
    except VisagistError:
        raise Refusal(REFUSED) from None


def _fields(message: dict[str, Any], kind: str, *names: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        given = fields(message, "a message", ("kind", *names))
        if given["kind"] != kind:
            raise Refusal(REFUSED)
        return given

    found: dict[str, Any] = _strict(read)
    return found


def _place(value: object) -> int:
    """Of a slider's value, in steps."""
    return max(axis.LOW, min(axis.HIGH, round(number(value, "the value") / axis.STEP)))


async def _end(socket: WebSocket, code: int) -> None:
    if socket.application_state == WebSocketState.CONNECTED:
        await socket.close(code)
