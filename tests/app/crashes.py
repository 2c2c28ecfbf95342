"""A server that is killed while a slider moves, again and again; no test (tests assert no time).

    python tests/app/crashes.py [PHOTO [MODEL [ROUNDS]]]

Each round, in headless Chromium: a pause is kept, a slider is dragged, the server gets SIGKILL, another one
starts, the page is loaded anew and its offer taken. Prints one line of JSON a round: seconds from the reload
to the picture; whether the slider is where it was; whether the picture of the pause, one undo back, is the
same to the bit; and the mean difference, of 255, between the frame that the kill cut off and the picture
that came back.
"""

import json
import socket
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from browsing import Page, chromium, launched
from selenium.webdriver.common.keys import Keys

from core.checkpoints import DEFAULT_BUNDLE
from core.images import save_image

ROUNDS = 20
SLIDER = "document.querySelector('#panel .v-slider input[type=range]')"
MOVE = f"{SLIDER}.value = arguments[0]; {SLIDER}.dispatchEvent(new Event('input', {{bubbles: true}}))"
HOLD = f"{SLIDER}.dispatchEvent(new PointerEvent('pointerdown', {{bubbles: true}}))"
VALUE = f"return Number({SLIDER}.value)"


def place(page: Page) -> int:
    """Of the history's entry on the screen; the strip shows no more than eight."""
    return int(page.js("return document.querySelector('.v-history [aria-current] span')?.textContent ?? 0"))


def cut_off(page: Page, value: float) -> tuple[np.ndarray, np.ndarray, int]:
    """A pause at this value, and then a drag; the two pictures, and the pause's place in the history."""
    at = place(page) + 1
    page.until_kept(lambda: page.js(MOVE, value))
    page.wait(lambda: place(page) == at)
    paused, painted = page.picture, page.painted
    page.js(HOLD)
    for step in range(1, 5):
        page.js(MOVE, round(value + 0.1 * step, 2))
        time.sleep(0.1)  # a hand's own time
    page.wait(lambda: page.painted > painted)
    return paused, page.picture, at


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean, of 255, of two pictures of one view that may differ in size."""
    small = [
        cv2.resize(picture.astype(np.uint8), (512, 512), interpolation=cv2.INTER_AREA)
        for picture in (one, other)
    ]
    return float(np.abs(small[0].astype(int) - small[1]).mean())


def come_back(
    page: Page, address: str, paused: np.ndarray, dragged: np.ndarray, at: int
) -> tuple[Page, dict]:
    """The page anew, its offer taken: what was on it is there, and the pause one undo back."""
    wanted, before, began = page.js(VALUE), page.kept, time.monotonic()
    page = Page(page.driver, address)
    page.go_on()
    page.wait(lambda: place(page) == at + 1)
    seconds, moved, back = time.monotonic() - began, page.js(VALUE), page.picture
    page.wait(lambda: page.kept != before)
    page.until_kept(lambda: page.press(Keys.CONTROL, "z"))
    page.wait(lambda: place(page) == at and page.js(VALUE) != moved)
    same = bool(np.array_equal(page.picture, paused))
    found = {"seconds": round(seconds, 2), "slider": moved == wanted, "to_the_bit": same}
    return page, {**found, "difference": round(difference(back, dragged), 2)}


def main() -> None:
    given = [*sys.argv[1:], *[""] * 3][:3]
    model, rounds = Path(given[1] or DEFAULT_BUNDLE), int(given[2] or ROUNDS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        photo = Path(given[0] or Path(folder) / "astronaut.png").resolve()
        if not given[0]:
            save_image(skimage.data.astronaut(), photo)
        with launched(model, port):
            page = Page(driver, address).open(photo)
            page.wait(lambda: not page.js("return document.querySelector('.v-finding:not([hidden])')"))
            page.wait(lambda: page.store["visits"].get("now", {}).get("near"))
            left = cut_off(page, 0.5)
        for round_ in range(rounds):
            with launched(model, port):
                page, found = come_back(page, address, *left)
                print(json.dumps({"round": round_ + 1, **found}), flush=True)
                left = cut_off(page, round(-2 + 0.2 * (round_ % 16), 2))


if __name__ == "__main__":
    main()
