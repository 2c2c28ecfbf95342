"""Pictures at rest of several visitors who let go at once."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.handlers import STILLS_AT_ONCE, Handlers
from core.engine import Engine
from core.images import encode_png
from core.session import EditRequest

SMILE = EditRequest({"smile": 1.5})


def test_so_many_are_made_at_a_time_and_all_in_the_end(
    tiny_engine: Engine, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers, tokens = Handlers(tiny_engine), [f"visitor {i}" for i in range(STILLS_AT_ONCE + 3)]
    for token in tokens:
        (tmp_path / "photo.png").write_bytes(encode_png(photo))
        list(handlers.open_file(token, EditRequest(), str(tmp_path / "photo.png")))
    edit, making, most, full, told = tiny_engine.edit, [], [], threading.Event(), []

    def slow(*given: Any) -> np.ndarray:
        making.append(True)
        most.append(len(making))
        if len(making) >= STILLS_AT_ONCE:
            full.set()
        assert full.wait(60)
        time.sleep(0.05)  # in which one more would come in, if it could
        picture = edit(*given)
        making.pop()
        return picture

    monkeypatch.setattr(tiny_engine, "edit", slow)
    hands = [
        threading.Thread(target=lambda token=token: told.append(handlers.settle(token, SMILE)))
        for token in tokens
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
    assert max(most) == STILLS_AT_ONCE
    assert [message["kind"] for message in told] == ["frame"] * len(tokens)
    for token in tokens:
        handlers.forget(token)
