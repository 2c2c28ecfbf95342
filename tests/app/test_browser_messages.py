"""Whatever fails is told where the visitor looks, in headless Chromium; and nothing is lost by it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browsing import DROP, LASTING, SAID, Page, launched, served
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from app import handlers, resting, ui
from core.engine import Engine
from core.images import encode_png

pytestmark = pytest.mark.browser

SMILE = "#slider-smile input[type=range]"
SMILES = f"return Number(document.querySelector('{SMILE}').value)"
GENERAL = "Something failed on our side; nothing you had is lost, so try once more."
CLOSE = ".v-passing [data-action=unsay]"


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A photo without a face."""
    path = tmp_path / "wall.png"
    path.write_bytes(encode_png(np.full((300, 200, 3), 128, np.uint8)))
    return path


def smile(page: Page, value: float) -> None:
    page.js(
        "const slider = document.querySelector(arguments[0]); slider.focus(); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))",
        SMILE,
        value,
    )


# ---- failures of direct events --------------------------------------------------------------------


def test_every_gesture_that_fails_says_so_and_says_it_again(
    page: Page, tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    smile(page, 0.5)
    page.wait(lambda: page.entries == ["0", "1"])
    picture = page.picture
    gestures = {
        "undo": lambda: page.press(Keys.CONTROL, "z"),
        "reset": lambda: page.press("r"),
        "jump": lambda: page.find(".v-history button").click(),
        "slider": lambda: smile(page, 1),
        "once more": lambda: smile(page, 1.5),
    }
    monkeypatch.setattr(tiny_engine, "edit", lambda *_: 1 / 0)
    for gesture in gestures.values():
        gesture()
        page.wait(lambda: page.js(SAID) == GENERAL)
        page.wait(lambda: not page.js("return document.querySelector('.v-passing').hidden"))
        page.find(CLOSE).click()
        assert page.js(SAID) == ""
    monkeypatch.undo()
    np.testing.assert_array_equal(page.picture, picture)
    page.press("r")
    page.wait(lambda: page.js(SMILES) == 0)


def test_while_it_is_said_the_same_sentence_is_news(page: Page) -> None:
    say = "document.dispatchEvent(new CustomEvent('visagist:said', {detail: {sentence: 'So.', gone: false}}))"
    page.js(
        "window.news = 0; new MutationObserver((records) => { window.news += records.length; })"
        ".observe(document.querySelector('.v-passing span'), {childList: true})"
    )
    page.js(say)
    page.wait(lambda: page.js(SAID) == "So.")
    before = page.js("return window.news")
    page.js(say)
    page.wait(lambda: page.js(SAID) == "So.")
    assert page.js("return window.news") > before  # by which a screen reader reads it out again


def test_two_failures_of_queued_events_are_both_told(page: Page, tmp_path: Path) -> None:
    for number in range(2):
        broken = tmp_path / f"broken{number}.png"
        broken.write_bytes(b"nothing")
        page.find("#upload input[type=file]").send_keys(str(broken))
        page.wait(lambda: page.js(SAID).startswith("This file is not a picture"))
        page.wait(lambda: page.phase == "editing")
        page.find(CLOSE).click()


@pytest.mark.parametrize("sort", ["too large", "no picture"])
def test_a_file_that_is_not_even_sent_is_told(
    browser: webdriver.Chrome, tiny_engine: Engine, portrait: Path, tmp_path: Path, sort: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if sort == "too large":
        monkeypatch.setitem(ui.LAUNCH, "max_file_size", 1000)
    else:
        portrait = tmp_path / "letter.txt"
        portrait.write_text("Dear reader")
    with served(tiny_engine, tmp_path / "gradio") as address:
        page = Page(browser, address)
        page.find("#upload input[type=file]").send_keys(str(portrait))
        page.wait(lambda: page.js(SAID))
        page.wait(lambda: page.phase == "empty")


def test_an_export_that_fails_is_told(page: Page) -> None:
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/component_server/*"]})
    page.find("[data-action=export]").click()
    page.find("[data-action=export-save]").click()
    page.wait(lambda: page.js(SAID) == "The server did not answer; try once more.")
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


NO_WEBCAM = {
    "missing": ("NotFoundError", "No webcam was found"),
    "refused": ("NotAllowedError", "does not let this page use the webcam"),
    "in use": ("NotReadableError", "perhaps because another program does"),
    "unforeseen": ("OverconstrainedError", "cannot be used"),
    "over http": (None, "over https or on this computer alone"),
}


@pytest.mark.parametrize("sort", NO_WEBCAM)
def test_a_webcam_that_cannot_be_used_says_why(browser: webdriver.Chrome, address: str, sort: str) -> None:
    page, (name, sentence) = Page(browser, address), NO_WEBCAM[sort]
    if name is None:
        page.js("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    else:
        page.js(
            "const [name] = arguments;"
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', name); }",
            name,
        )
    page.find(".v-empty [data-action=webcam]").click()
    page.wait(lambda: sentence in page.js(SAID))
    assert page.js(SAID).endswith("open a photo instead.")


# ---- a portrait that the server has no more, and a server that is away ----------------------------


KEEP_NOTHING = "localStorage.setItem('visagist-keep', 'false')"


def test_who_was_pushed_out_and_keeps_nothing_is_told_and_goes_on_where_they_were(
    browser: webdriver.Chrome, tiny_engine: Engine, portrait: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(resting, "MAX_VISITORS", 1)
    with served(tiny_engine, tmp_path) as address:
        Page(browser, address).js(KEEP_NOTHING)
        page = Page(browser, address).showing_the_model().open(portrait)
        smile(page, 0.5)
        page.wait(lambda: page.entries == ["0", "1"])
        smiling, first = page.picture, browser.current_window_handle
        browser.switch_to.new_window("tab")
        Page(browser, address).open(portrait)
        browser.close()
        browser.switch_to.window(first)
        smile(page, 0.55)
        page.wait(lambda: page.phase == "gone")
        assert page.js(LASTING) == "This portrait is no longer in memory; open the photo again."
        assert page.find(".v-lasting [data-action=browse]").is_displayed()
        assert page.waits  # nothing moves over a dead picture
        page.open(portrait)
        page.wait(lambda: page.js(LASTING) == "")
        assert not page.waits
        assert page.js(SMILES) == 0.55
        assert page.entries == ["0", "1"]
        assert np.abs(page.picture - smiling).mean() < 3


def away(page: Page) -> bool:
    return page.js(LASTING).startswith("The server is away")


@contextmanager
def offline(page: Page) -> Iterator[None]:
    page.driver.set_network_conditions(offline=True, latency=0, throughput=1)
    yield
    page.driver.delete_network_conditions()


def test_while_the_network_is_away_the_controls_wait_and_go_on_by_themselves(page: Page) -> None:
    page.js("window.stays = true")
    slider = page.find(SMILE)
    smile(page, 0.1)
    page.wait(lambda: page.entries == ["0", "1"])
    with offline(page):
        smile(page, 1)  # nobody hears it
        page.wait(lambda: away(page))
        assert page.waits
        assert page.find("[data-action=undo]").get_attribute("aria-disabled") == "true"
    page.wait(lambda: page.js(LASTING) == "")
    assert not page.waits
    assert page.js("return window.stays")  # it is the same page
    assert page.driver.switch_to.active_element == slider
    page.wait(lambda: page.entries == ["0", "1", "2"])  # the picture shows what the slider says
    assert page.js(SMILES) == 1
    smile(page, 2)
    page.wait(lambda: page.entries == ["0", "1", "2", "3"])


def test_what_broke_off_goes_on(
    browser: webdriver.Chrome, tiny_engine: Engine, address: str, portrait: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    begun: list[float] = []

    def improve(portrait, seconds, better, cancelled, refined):
        begun.append(seconds)
        while not cancelled():
            time.sleep(0.05)

    monkeypatch.setattr(Engine, "improves", True)
    monkeypatch.setattr(tiny_engine, "improve", improve)
    page = Page(browser, address).open(portrait)
    page.wait(lambda: page.find(".v-finding .v-found").is_displayed())
    with offline(page):
        page.wait(lambda: away(page))
    page.wait(lambda: len(begun) == 2)
    page.wait(lambda: page.find(".v-finding").is_displayed())


def test_a_server_that_is_killed_and_starts_again(
    browser: webdriver.Chrome, tiny_bundle_dir: Path, portrait: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with launched(tiny_bundle_dir, port):
        Page(browser, f"http://127.0.0.1:{port}").js(KEEP_NOTHING)
        page = Page(browser, f"http://127.0.0.1:{port}").showing_the_model().open(portrait)
        smile(page, 0.5)
        page.wait(lambda: page.entries == ["0", "1"])
        picture = page.picture
    page.wait(lambda: away(page))  # nobody touched anything
    assert page.waits
    with launched(tiny_bundle_dir, port):
        page.wait(
            lambda: page.phase == "gone"
        )  # it is another one, has no portrait, and the browser keeps none
        np.testing.assert_array_equal(page.picture, picture)
        page.open(portrait)
        page.wait(lambda: page.entries == ["0", "1"])
        assert page.js(SMILES) == 0.5


# ---- photos on their way in -----------------------------------------------------------------------


def test_who_waits_in_line_sees_that_they_wait(
    browser: webdriver.Chrome, address: str, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the choice of the photo on, however long the server takes to say anything."""
    begins, open_photo = threading.Event(), handlers.open_photo
    monkeypatch.setattr(handlers, "open_photo", lambda *given: begins.wait(60) and open_photo(*given))
    page = Page(browser, address)
    page.find("#upload input[type=file]").send_keys(str(portrait))
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.js("return document.querySelector('.v-after img')?.naturalWidth") == 512)
    assert page.find(".v-progress").text == "Sending the file"
    begins.set()
    page.wait(lambda: page.phase == "editing")


def test_a_failed_photo_never_stays_on_the_stage(page: Page, wall: Path) -> None:
    """Not even where its picture is decoded only after it has failed."""
    page.js(
        """
        const decode = HTMLImageElement.prototype.decode;
        window.decoded = 0;
        HTMLImageElement.prototype.decode = async function () {
          await decode.call(this);
          await new Promise((done) => document.addEventListener("go-on", done));
          window.decoded += 1;
        };
        """
    )
    before = page.picture
    page.find("#upload input[type=file]").send_keys(str(wall))
    page.wait(lambda: page.js(SAID).startswith("No face"))
    page.wait(lambda: page.phase == "editing")
    page.js("document.dispatchEvent(new Event('go-on'))")
    page.wait(lambda: page.js("return window.decoded") > 0)
    page.js("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    np.testing.assert_array_equal(page.picture, before)


def test_a_first_photo_that_fails_leaves_the_start(
    browser: webdriver.Chrome, address: str, wall: Path
) -> None:
    page = Page(browser, address)
    page.find("#upload input[type=file]").send_keys(str(wall))
    page.wait(lambda: page.js(SAID).startswith("No face"))
    page.wait(lambda: page.phase == "empty")
    assert page.find(".v-empty h2").is_displayed()
    assert not page.find(".v-picture").is_displayed()


# ---- where it is said -----------------------------------------------------------------------------

# Controls that could be clicked, or a corner of them, without what is said.
COVERED = """
const controls = [...document.querySelectorAll("button, input, a, [role=tab]")];
const notice = document.querySelector(".v-passing");
const reached = (covers) => controls.filter((one) => !one.closest(".v-notice")).flatMap((one) => {
  const { left, top, width, height } = one.getBoundingClientRect();
  return [[.5, .5], [.02, .02], [.98, .02], [.02, .98], [.98, .98]].filter(([x, y]) => {
    const over = document.elementFromPoint(left + x * width, top + y * height);
    return width && height && (covers ? over?.closest(".v-notice, .toast-wrap") : over === one);
  }).map((point) => [one.outerHTML.slice(0, 80), ...point].join(" "));
});
const covered = reached(true);
notice.hidden = true;
const free = new Set(reached(false));
notice.hidden = false;
return covered.filter((one) => free.has(one));
"""
SIZES = [(1440, 900), (1024, 768), (390, 844), (844, 390)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("phase", ["empty", "editing"])
def test_what_is_said_is_in_sight_and_covers_no_control(
    browser: webdriver.Chrome, address: str, portrait: Path, wall: Path, tmp_path: Path,
    width: int, height: int, phase: str,
) -> None:  # fmt: skip
    page = Page(browser, address, width, height)
    if phase == "editing":
        page.open(portrait)
    page.find("#upload input[type=file]").send_keys(str(wall))
    page.wait(lambda: page.js(SAID).startswith("No face"))
    page.wait(lambda: page.phase == phase)
    top, bottom = page.js(
        "const r = document.querySelector('.v-passing').getBoundingClientRect(); return [r.top, r.bottom]"
    )
    assert 0 <= top < bottom <= height
    assert page.js(COVERED) == []
    page.js("window.scrollTo(0, 10000)")
    assert page.js(COVERED) == []


def test_what_is_dropped_and_cannot_be_opened_is_told(page: Page) -> None:
    page.js(DROP, "AAAA", ".v-canvas")  # a PNG by name alone
    page.wait(lambda: page.js(SAID).startswith("This file is not a picture"))
    page.wait(lambda: page.phase == "editing")
