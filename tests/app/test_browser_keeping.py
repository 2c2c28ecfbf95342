"""What a browser keeps of a visit, in headless Chromium: offered, taken up, forgotten, one undo away."""

import socket
from pathlib import Path

import numpy as np
import pytest
from browsing import LASTING, SAID, Page, launched, served
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from app import handlers, keeping, resting
from core.engine import Engine

pytestmark = pytest.mark.browser

SMILE = "#slider-smile input[type=range]"
SMILES = f"return Number(document.querySelector('{SMILE}').value)"
WORDS = "return document.querySelector('#shelf .v-kept-words').textContent"
KEPT = "This visit is kept in this browser."
NOTHING = "Nothing of this visit is in this browser."
# A pointer that goes down on the slider, and stays there.
HOLD = f"document.querySelector('{SMILE}').dispatchEvent(new PointerEvent('pointerdown', {{bubbles: true}}))"
# Puts a value in a place of the store, or takes it out.
PUT = """
const [store, place, value, done] = arguments, asked = indexedDB.open("visagist", 1);
asked.onsuccess = () => {
  const deal = asked.result.transaction([store], "readwrite"), shelf = deal.objectStore(store);
  if (value === null) shelf.delete(place); else shelf.put(value, place);
  deal.oncomplete = () => { asked.result.close(); done(); };
};
"""


def put(page: Page, place: str, value: object, name: str = "visits") -> None:
    page.driver.execute_async_script(PUT, name, place, value)


def kept(page: Page) -> bool:
    return page.js(WORDS) == KEPT


def smile(page: Page, value: float, then: list[str] | None = None) -> None:
    page.js(
        "const slider = document.querySelector(arguments[0]); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))",
        SMILE,
        value,
    )
    if then is not None:
        page.wait(lambda: page.entries == then)


def again(page: Page) -> Page:
    """The same window after a reload; the browser offers what it keeps."""
    page = Page(page.driver, page.driver.current_url)
    page.wait(lambda: page.find(".v-offer").is_displayed())
    return page


def gone_on(page: Page) -> Page:
    page.go_on()
    return page


@pytest.fixture
def edited(page: Page) -> Page:
    """A visit of three entries, the second on the screen."""
    page.until_kept(lambda: smile(page, 0.5, ["0", "1"]))
    page.until_kept(lambda: smile(page, 1.5, ["0", "1", "2"]))
    page.until_kept(lambda: page.press(Keys.CONTROL, "z"))
    page.wait(lambda: page.js(SMILES) == 0.5)
    return page


def test_a_face_that_gets_no_closer_is_not_sought_again_when_it_comes_back(
    browser: webdriver.Chrome, tiny_engine: Engine, address: str, portrait: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    begun: list[float] = []

    def improve(portrait, seconds, better, cancelled, refined):
        begun.append(seconds)
        return portrait

    monkeypatch.setattr(Engine, "improves", True)
    monkeypatch.setattr(tiny_engine, "improve", improve)
    page = Page(browser, address).open(portrait)
    page.wait(lambda: page.store["visits"].get("now", {}).get("near") == [0])
    assert len(begun) == 1
    page = gone_on(again(page))
    page.until_kept(lambda: smile(page, 0.5, ["0", "1"]))
    assert page.store["visits"]["now"]["near"] == [0]
    assert len(begun) == 1


# ---- after a reload -------------------------------------------------------------------------------


def test_after_a_reload_it_is_offered_and_comes_back_as_it_was(edited: Page, portrait: Path) -> None:
    picture = edited.picture
    page = again(edited)
    assert page.find("#v-offer-title").text == f"Go on with {portrait.stem}?"
    page.wait(lambda: page.js("return document.querySelector('.v-offer img').naturalWidth") > 0)
    gone_on(page)
    np.testing.assert_array_equal(page.picture, picture)
    assert page.js(SMILES) == 0.5
    assert page.entries == ["0", "1", "2"]
    assert not page.find(".v-offer").is_displayed()
    page.press(Keys.CONTROL, Keys.SHIFT, "z")
    page.wait(lambda: page.js(SMILES) == 1.5)
    page.wait(lambda: kept(page))


def test_what_was_moved_since_the_last_pause_comes_back_too(edited: Page) -> None:
    edited.js(HOLD)
    edited.driver.execute_cdp_cmd("Network.enable", {})
    edited.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/run/*"]})  # no pause is ever told
    smile(edited, 2)
    edited.wait(lambda: "wish" in edited.store["visits"])
    edited.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page = gone_on(again(edited))
    page.wait(lambda: page.js(SMILES) == 2)
    page.wait(lambda: page.entries == ["0", "1", "2"])  # what was undone, a new move drops
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(SMILES) == 0.5)
    page.wait(lambda: "wish" not in page.store["visits"])


def test_one_click_forgets_it(edited: Page) -> None:
    edited.find(".v-keeping [data-action=forget]").click()
    edited.wait(lambda: edited.js(WORDS) == NOTHING)
    edited.wait(lambda: edited.store == {"visits": {}, "parts": []})
    smile(edited, 1, ["0", "1", "2"])  # it goes on, and is not kept
    edited.js("return new Promise((done) => setTimeout(done, 300))")
    assert edited.store == {"visits": {}, "parts": []}
    page = Page(edited.driver, edited.driver.current_url)
    assert not page.find(".v-offer").is_displayed()


def test_the_offer_can_be_forgotten(edited: Page) -> None:
    page = again(edited)
    page.find(".v-offer [data-action=forget]").click()
    page.wait(lambda: page.store == {"visits": {}, "parts": []})
    assert not page.find(".v-offer").is_displayed()
    assert page.find(".v-empty h2").is_displayed()


def test_where_the_visitor_said_no_nothing_is_kept(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address)
    page.find(".v-empty [data-keep]").click()
    page.open(portrait)
    smile(page, 0.5, ["0", "1"])
    assert page.js(WORDS) == NOTHING
    assert not page.find(".v-keeping [data-keep]").is_selected()
    assert page.store == {"visits": {}, "parts": []}
    page = Page(browser, address).open(portrait)  # remembered
    assert page.js(WORDS) == NOTHING
    page.find(".v-keeping [data-keep]").click()
    page.wait(lambda: kept(page))
    page.find(".v-keeping [data-keep]").click()
    page.wait(lambda: page.store == {"visits": {}, "parts": []})
    page.js("localStorage.clear()")


# ---- one undo away --------------------------------------------------------------------------------


def open_example(page: Page) -> None:
    page.js("document.querySelector('.v-shelf-example-row button').click()")
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.phase == "editing")


def over(page: Page, *keys: str) -> None:
    page.press(*keys)
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.phase == "editing")


BACK, FORWARD = (Keys.CONTROL, "z"), (Keys.CONTROL, Keys.SHIFT, "z")


@pytest.mark.parametrize("server", ["remembers", "has forgotten"])
def test_undo_after_an_opening_brings_back_what_was_there(
    edited: Page, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    if server == "has forgotten":
        monkeypatch.setattr(handlers.Beside, "get", lambda *_: None)
    first = edited.picture
    open_example(edited)
    edited.wait(lambda: kept(edited))
    second = edited.picture
    assert edited.entries == []
    over(edited, *BACK)
    np.testing.assert_array_equal(edited.picture, first)
    assert edited.js(SMILES) == 0.5
    assert edited.entries == ["0", "1", "2"]
    edited.press(*BACK)  # an undo as ever
    edited.wait(lambda: edited.js(SMILES) == 0)
    edited.press(*FORWARD)
    edited.wait(lambda: edited.js(SMILES) == 0.5)
    edited.press(*FORWARD)
    edited.wait(lambda: edited.js(SMILES) == 1.5)
    over(edited, *FORWARD)
    np.testing.assert_array_equal(edited.picture, second)
    assert edited.find("[data-action=redo]").get_attribute("aria-disabled") == "true"
    over(edited, *BACK)
    assert edited.js(SMILES) == 1.5


def test_nothing_is_lost_by_opening_something_else_than_what_is_offered(edited: Page) -> None:
    page = again(edited)
    page.js("document.querySelector('.v-example-row button').click()")
    page.wait(lambda: page.phase == "editing")
    page.wait(lambda: kept(page))
    assert sorted(page.store["visits"]) == ["now", "other"]
    over(page, *BACK)
    assert page.js(SMILES) == 0.5
    assert page.entries == ["0", "1", "2"]


def test_of_the_visits_before_one_is_kept(edited: Page) -> None:
    for _ in range(3):
        open_example(edited)
        edited.wait(lambda: kept(edited))
    found = edited.store
    assert sorted(found["visits"]) == ["now", "other"]
    named = {part["key"] for visit in found["visits"].values() for part in visit["parts"]}
    assert len(found["parts"]) == len(named)  # of the photo that was open first, nothing is left


# ---- a server that has the portrait no more -------------------------------------------------------


def test_who_was_pushed_out_goes_on_without_a_question(
    browser: webdriver.Chrome, tiny_engine: Engine, portrait: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(resting, "MAX_VISITORS", 1)
    with served(tiny_engine, tmp_path) as address:
        page = Page(browser, address).showing_the_model().open(portrait)
        page.until_kept(lambda: smile(page, 0.5, ["0", "1"]))
        first = browser.current_window_handle
        browser.switch_to.new_window("tab")
        Page(browser, address).open(portrait)
        browser.close()
        browser.switch_to.window(first)
        smile(page, 1)
        page.wait(lambda: page.entries == ["0", "1", "2"])
        assert page.js(SMILES) == 1
        assert page.js(LASTING) == ""


def test_a_server_that_is_killed_while_a_slider_moves(
    browser: webdriver.Chrome, tiny_bundle_dir: Path, portrait: Path
) -> None:
    """The page stays open, and later is loaded anew: the same edit both times."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with launched(tiny_bundle_dir, port):
        page = Page(browser, f"http://127.0.0.1:{port}").showing_the_model().open(portrait)
        page.until_kept(lambda: smile(page, 0.5, ["0", "1"]))
        settled, painted = page.picture, page.painted
        page.js(HOLD)
        smile(page, 1)
        page.wait(lambda: page.painted > painted)
    page.wait(lambda: page.js(LASTING).startswith("The server is away"))
    page.js("document.dispatchEvent(new PointerEvent('pointerup'))")
    with launched(tiny_bundle_dir, port):
        page.wait(lambda: page.phase == "editing" and page.entries == ["0", "1", "2"])
        assert page.js(SMILES) == 1
        told = page.picture
        page.wait(lambda: kept(page))
        page = gone_on(again(page))
        assert page.js(SMILES) == 1
        np.testing.assert_array_equal(page.picture, told)
        page.press(*BACK)
        page.wait(lambda: page.js(SMILES) == 0.5)
        page.wait(lambda: np.array_equal(page.picture, settled))


# ---- what cannot be kept --------------------------------------------------------------------------

LEAVING = """
const event = new Event("beforeunload", {cancelable: true});
window.dispatchEvent(event);
return event.defaultPrevented;
"""
REFUSED = """
const refuse = () => { throw new DOMException("", "SecurityError"); };
Object.defineProperty(window, "indexedDB", {value: {open: refuse}});
"""
FULL = """
const put = IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (...given) {
  if (this.name === "parts") throw new DOMException("", "QuotaExceededError");
  return put.apply(this, given);
};
"""
FAILURES = {"refused": (REFUSED, "keeps nothing for this page"), "full": (FULL, "has no room left")}


@pytest.mark.parametrize("sort", FAILURES)
def test_where_it_cannot_be_kept_it_says_so_and_warns_before_leaving(
    browser: webdriver.Chrome, address: str, portrait: Path, sort: str
) -> None:
    script, sentence = FAILURES[sort]
    # Before the page's own scripts: the store is opened once.
    new = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    page = Page(browser, address)
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", new)
    page.open(portrait)
    page.wait(lambda: sentence in page.js(SAID))
    assert sentence in page.js(WORDS)
    assert page.phase == "editing"
    assert not page.js(LEAVING)  # nothing was done yet
    smile(page, 0.5, ["0", "1"])
    assert page.js(LEAVING)


def test_what_is_kept_is_left_without_a_question(edited: Page) -> None:
    assert not edited.js(LEAVING)


def test_what_is_too_large_to_be_kept_says_so(
    browser: webdriver.Chrome, address: str, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_BYTES", 1000)
    page = Page(browser, address).open(portrait)
    page.wait(lambda: page.js(WORDS) == keeping.TOO_LARGE)


def test_two_windows_each_keep_their_own(edited: Page, address: str) -> None:
    browser, first = edited.driver, edited.driver.current_window_handle
    browser.switch_to.new_window("tab")
    other = Page(browser, address)
    open_from_the_start(other)
    other.wait(lambda: kept(other))
    for _ in range(2):
        open_example(other)
        other.wait(lambda: kept(other))
    second = browser.current_window_handle
    browser.switch_to.window(first)
    edited.wait(lambda: edited.js(WORDS).startswith("Other windows keep"))
    edited.until_kept(lambda: smile(edited, 1))
    assert edited.js("return document.body.dataset.visagist") == "editing"
    page = gone_on(again(edited))
    assert page.entries == ["0", "1", "2"]
    assert page.js(SMILES) == 1
    browser.switch_to.window(second)
    browser.close()
    browser.switch_to.window(first)


def open_from_the_start(page: Page) -> None:
    page.js("document.querySelector('.v-example-row button').click()")
    page.wait(lambda: page.phase == "editing")


# ---- what lies there is a stranger's --------------------------------------------------------------


def test_what_is_no_visit_is_not_offered(edited: Page) -> None:
    put(edited, "now", "a visit")
    page = Page(edited.driver, edited.driver.current_url)
    open_from_the_start(page)
    page.wait(lambda: kept(page))
    assert not page.find(".v-offer").is_displayed()
    assert [*page.store["visits"]] == ["now"]


def test_a_stranger_s_words_are_words(edited: Page) -> None:
    visit = edited.store["visits"]["now"]
    put(
        edited, "now", {**visit, "name": "<img src=x onerror=alert(1)>", "picture": "https://elsewhere/p.jpg"}
    )
    page = again(edited)
    assert "<img src=x" in page.find("#v-offer-title").text
    assert not page.find(".v-offer img").is_displayed()


@pytest.mark.parametrize("harm", ["lost", "another"])
def test_parts_that_are_not_whole_are_one_sentence_and_the_start_stays(edited: Page, harm: str) -> None:
    visit = edited.store["visits"]["now"]
    key = next(part["key"] for part in visit["parts"] if part["name"] == "tensors.safetensors")
    page = again(edited)
    if harm == "lost":
        put(page, key, None, "parts")
    else:
        page.driver.execute_async_script(
            PUT.replace("shelf.put(value, place)", "shelf.put({crc: 7, data: new Blob(['x'])}, place)"),
            "parts",
            key,
            1,
        )
    page.find("[data-action=go-on]").click()
    page.wait(lambda: page.js(SAID))
    assert page.js(SAID).startswith(
        "What this browser kept" if harm == "lost" else "This project file is damaged"
    )
    page.wait(lambda: page.phase == "empty")
    assert page.find(".v-offer").is_displayed()
