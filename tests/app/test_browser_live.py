"""The picture follows a slider in headless Chromium: by the socket, and by Gradio's events where none is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Page
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

from app import sockets
from app.messages import face_frame
from core.engine import Engine
from core.session import EditRequest

pytestmark = pytest.mark.browser

# Watched from before the page's own scripts on: what goes up, and by which way.
WATCH = """
window.lines = []; window.said = []; window.asked = [];
const own = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (!lines.includes(this)) lines.push(this);
  said.push(JSON.parse(data));
  return own.call(this, data);
};
const fetched = window.fetch;
window.fetch = (target, options) => {
  if (options?.method === "POST") asked.push(String(target.url ?? target));
  return fetched(target, options);
};
"""
KINDS = "return said.map(({ kind }) => kind)"
# What was said last when the button goes up, after the page's own listeners have run.
TOLD = "document.addEventListener('pointerup', () => { window.told = said.at(-1).kind; })"
COVERED = "return !document.querySelector('.v-live').hidden"
KEYS = "return Number(document.querySelector('.v-canvas').dataset.keys || 0)"
DIRECT = "return asked.filter((address) => address.includes('/run/')).length"
PIXELS = """
const sheet = document.querySelector(".v-live canvas");
const { data } = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height);
return [...data].filter((_, i) => i % 97 === 0);
"""
# What of the picture at rest the canvas covers, as many pixels.
RESTING = """
const sheet = document.querySelector(".v-live canvas"), image = document.querySelector(".v-after img");
const whole = new OffscreenCanvas(sheet.width, sheet.height), pen = whole.getContext("2d");
pen.imageSmoothingQuality = "high";
pen.drawImage(image, 0, 0, sheet.width, sheet.height);
const { data } = pen.getImageData(0, 0, sheet.width, sheet.height);
return [...data].filter((_, i) => i % 97 === 0);
"""
SLIDE = """
const range = document.querySelector("#slider-smile input[type=range]");
range.value = arguments[0];
range.dispatchEvent(new Event("input", { bubbles: true }));
"""


@pytest.fixture
def watched(browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    made = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield browser
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)


@pytest.fixture
def page(watched: webdriver.Chrome, address: str, portrait: Path) -> Page:
    page = Page(watched, address).showing_the_model().open(portrait)
    page.wait(lambda: "hello" in page.js(KINDS))
    return page


def held(page: Page) -> ActionChains:
    """A hand that has dragged the smile, and holds it."""
    hand = (
        ActionChains(page.driver)
        .move_to_element(page.find("#slider-smile input[type=range]"))
        .click_and_hold()
    )
    for _ in range(6):
        hand.move_by_offset(12, 0).pause(0.05)
    hand.perform()
    return ActionChains(page.driver)


def test_a_drag_is_painted_over_the_socket_and_the_settled_picture_takes_its_place(
    page: Page, tiny_engine: Engine, photo: np.ndarray
) -> None:
    before, direct = page.picture, page.js(DIRECT)
    hand = held(page)
    page.wait(lambda: page.js(COVERED) and page.js(KEYS) >= 3)
    assert {"take", "at", "got"} <= {*page.js(KINDS)}
    assert page.js(DIRECT) == direct  # nothing of it by Gradio's events
    assert np.array_equal(page.picture, before)  # which the canvas covers
    page.js(TOLD)
    hand.release().perform()
    assert page.js("return told") == "rest"  # at once: no more keys, for which the picture at rest would wait
    page.wait(lambda: not page.js(COVERED))
    assert page.js(KINDS)[-1] in ("rest", "got")
    value = float(page.find("#slider-smile input[type=range]").get_attribute("value"))
    wanted = face_frame(tiny_engine.edit(tiny_engine.open_portrait(photo), EditRequest({"smile": value})))
    assert np.abs(page.picture - wanted).mean() < 2  # a JPEG's loss
    page.wait(lambda: page.entries == ["0", "1"])


def test_between_two_keys_the_canvas_shows_their_blend(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.axis.LEAST", 1000)  # coarse keys alone, so that their number is known
    hand = held(page)  # so that nothing settles
    page.wait(lambda: page.js(COVERED))

    def canvas(value: float) -> np.ndarray:
        painted = page.painted
        page.js(SLIDE, value)
        page.wait(lambda: page.painted > painted)
        return np.array(page.js(PIXELS), float)

    page.js(SLIDE, 1.9)
    page.wait(lambda: page.js(KEYS) >= 6)  # beside the picture at rest
    keys = 0
    while keys != page.js(KEYS):  # of a hand that was quick the first is one more, and may come in between
        keys = page.js(KEYS)
        low, middle, high = canvas(1.0), canvas(1.05), canvas(1.1)
    assert np.abs(high - low).mean() > 0
    assert np.abs(middle - (low + high) / 2).max() <= 2  # rounded, twice
    hand.release().perform()


def test_the_picture_at_rest_is_the_first_key(page: Page) -> None:
    """As it is: nothing jumps when a hand takes a slider up."""
    hand = held(page)
    page.wait(lambda: page.js(COVERED))
    page.js(SLIDE, 0)
    wanted = np.array(page.js(RESTING), float)
    page.wait(lambda: np.abs(np.array(page.js(PIXELS), float) - wanted).max() <= 1)
    hand.release().perform()


def test_a_tick_that_changes_nothing_costs_nothing(page: Page) -> None:
    page.js(SLIDE, 0.5)
    page.wait(lambda: page.entries == ["0", "1"])
    page.wait(lambda: not page.js(COVERED))
    ats, direct = page.js(KINDS).count("at"), page.js(DIRECT)
    page.js(SLIDE, 0.5)
    page.js(SLIDE, 0.6)
    page.wait(lambda: page.entries == ["0", "1", "2"])
    assert page.js(KINDS).count("at") == ats + 1
    assert page.js(DIRECT) == direct + 1  # the pause after the one that changed something


def test_a_broken_connection_comes_back_and_the_visit_goes_on(page: Page) -> None:
    page.js("lines.at(-1).close()")
    page.wait(lambda: page.js(KINDS).count("hello") == 2)
    keys = page.js(KEYS)
    hand = held(page)
    page.wait(lambda: page.js(KEYS) > keys)
    hand.release().perform()
    page.wait(lambda: page.entries == ["0", "1"])


def test_where_no_socket_comes_through_the_picture_follows_by_gradios_events(
    watched: webdriver.Chrome, address: str, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_SOCKETS", 0)
    page = Page(watched, address).showing_the_model().open(portrait)
    untouched, direct = page.picture, page.js(DIRECT)
    hand = held(page)
    page.wait(lambda: page.js(DIRECT) > direct)
    page.wait(lambda: not np.array_equal(page.picture, untouched))
    assert not page.js(COVERED)
    assert page.js(KEYS) == 0
    assert page.js(KINDS) == []
    hand.release().perform()
    page.wait(lambda: page.entries == ["0", "1"])
