"""Taking the picture home, in headless Chromium: one button, its dialog, and what arrives."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import SAID, Page
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from core.exporting import export
from core.refinement.running import Progress

pytestmark = pytest.mark.browser

BUTTON = "[data-action=export]"
# The whole button, and nothing over it, without any scrolling.
SEEN = """
const button = document.querySelector('[data-action=export]'), r = button.getBoundingClientRect();
const inside = r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight && r.right <= innerWidth;
const corners = [[r.left + 4, r.top + 4], [r.right - 4, r.bottom - 4]];
return r.width > 0 && inside && corners.every(([x, y]) => button.contains(document.elementFromPoint(x, y)));
"""
OPEN = "return document.querySelector('.v-export').open"
FOCUS = "return document.activeElement.dataset.action || document.activeElement.value"
CHOSEN = "return document.querySelector(`[name=v-export-${arguments[0]}]:checked`).value"
SHOWN = "return document.querySelector(arguments[0]).checkVisibility()"
IDLE = "return document.querySelector('[data-action=export]').getAttribute('aria-disabled') === 'false'"


@pytest.fixture(scope="module")
def photo_file(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "Tante Käthe 1.jpg"
    Image.fromarray(photo).save(path, quality=95)
    return path


@pytest.fixture
def desk(browser: webdriver.Chrome, address: str, photo_file: Path) -> Page:
    """A photo is open, as whoever opens one has it."""
    return Page(browser, address).open(photo_file)


@pytest.fixture
def downloads(browser: webdriver.Chrome, tmp_path: Path) -> Path:
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    return tmp_path


def choose(page: Page, name: str, value: str) -> None:
    page.find(f"[name=v-export-{name}][value={value}]").click()


def arrived(page: Page, path: Path) -> Image.Image:
    """The file, once the page says that it is there."""
    page.wait(lambda: page.js(SAID).startswith(f"Saved as {path.name}."))
    page.wait(path.exists)
    image = Image.open(path)
    image.load()
    return image


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844), (844, 390), (360, 640)])
def test_the_button_is_in_sight(
    browser: webdriver.Chrome, address: str, photo_file: Path, width: int, height: int
) -> None:
    page = Page(browser, address, width, height)
    assert not page.js(SHOWN, BUTTON)  # there is nothing to take home yet
    page.js("document.querySelector(arguments[0]).click()", BUTTON)
    assert not page.js(OPEN)
    page.open(photo_file)
    page.wait(lambda: page.js(IDLE))
    assert page.js("return scrollY") == 0
    assert page.js(SEEN)
    page.find(BUTTON).click()
    save = page.find("[data-action=export-save]").rect
    assert min(save["x"], save["y"]) >= 0
    assert save["x"] + save["width"] <= width
    assert save["y"] + save["height"] <= height


def test_the_picture_arrives_under_the_photo_s_name(desk: Page, downloads: Path) -> None:
    desk.drag("smile")
    desk.wait(lambda: desk.entries == ["0", "1"])
    desk.find(BUTTON).click()
    assert desk.js(CHOSEN, "format") == "jpeg"  # the photo's own
    desk.find("[data-action=export-save]").click()
    assert not desk.js(OPEN)
    image = arrived(desk, downloads / "Tante Käthe 1-visagist.jpg")
    assert (image.format, image.size) == ("JPEG", (512, 512))
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
    assert np.abs(np.asarray(image).astype(int) - desk.picture).mean() < 3  # what the stage shows, a JPEG too


def test_what_is_chosen_is_what_arrives(desk: Page, downloads: Path) -> None:
    desk.drag("smile")
    desk.wait(lambda: desk.entries == ["0", "1"])
    desk.find(BUTTON).click()
    choose(desk, "picture", "both")
    choose(desk, "format", "webp")
    assert not desk.js(SHOWN, ".v-quality")
    desk.find("[data-action=export-save]").click()
    image = arrived(desk, downloads / "Tante Käthe 1-visagist-before-after.webp")
    assert (image.format, image.size) == ("WEBP", (512 + 3 + 512, 512))

    desk.find(BUTTON).click()
    choose(desk, "picture", "face")
    choose(desk, "format", "png")
    desk.find("[data-action=export-save]").click()
    image = arrived(desk, downloads / "Tante Käthe 1-visagist-face.png")
    assert (image.format, image.size) == ("PNG", (32, 32))

    desk.find(BUTTON).click()
    desk.find("[data-action=export-project]").click()
    desk.wait((downloads / "Tante Käthe 1.visagist").exists)


def test_each_photo_s_own_format_is_offered_first(
    browser: webdriver.Chrome, address: str, photo: np.ndarray, tmp_path: Path
) -> None:
    page, tiff = Page(browser, address), "[name=v-export-format][value=tiff]"
    own = "return document.querySelector('.v-own').checkVisibility()"
    for suffix, first, told in ((".tif", "tiff", True), (".webp", "webp", True), (".bmp", "png", False)):
        path = tmp_path / f"photo{suffix}"
        Image.fromarray(photo).save(path)
        painted = page.painted
        page.open(path)
        page.wait(lambda: page.painted > painted and page.js(IDLE))  # noqa: B023
        page.find(BUTTON).click()
        page.wait(lambda: page.js(CHOSEN, "format") == first)  # noqa: B023
        assert page.js(SHOWN, tiff) == (first == "tiff")
        assert page.js(own) == told
        page.press(Keys.ESCAPE)


def test_the_dialog_works_by_keyboard(desk: Page, downloads: Path) -> None:
    desk.js("document.querySelector(arguments[0]).focus()", BUTTON)
    desk.press(Keys.ENTER)
    assert desk.js(OPEN)
    assert desk.js(FOCUS) == "picture"
    desk.press(Keys.ESCAPE)
    assert not desk.js(OPEN)
    desk.wait(lambda: desk.js(FOCUS) == "export")

    desk.press(Keys.SPACE)
    for stop in ("photo", "jpeg"):  # one a group
        desk.press(Keys.TAB)
        assert desk.js(FOCUS) == stop
    desk.press(Keys.TAB)
    desk.press(Keys.ARROW_LEFT)
    assert desk.js("return document.querySelector('.v-quality output').textContent") == "91"
    desk.press(Keys.ENTER)
    arrived(desk, downloads / "Tante Käthe 1-visagist.jpg")
    desk.wait(lambda: desk.js(FOCUS) == "export")


def test_a_click_outside_closes_it_and_does_nothing_else(desk: Page) -> None:
    desk.find(BUTTON).click()
    painted = desk.painted
    hand = ActionChains(desk.driver)
    hand.move_to_element_with_offset(desk.find("body"), 0, 0).move_by_offset(-600, 0).click().perform()
    assert not desk.js(OPEN)
    desk.wait(lambda: desk.js(FOCUS) == "export")
    assert (desk.painted, desk.js(SAID)) == (painted, "")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Exports wait for this."""
    go = threading.Event()

    def wait(*args):
        assert go.wait(100)
        return export(*args)

    monkeypatch.setattr("app.downloads.export", wait)
    yield go
    go.set()


def test_while_the_server_works_the_button_says_so(
    desk: Page, downloads: Path, held: threading.Event
) -> None:
    desk.find(BUTTON).click()
    desk.find("[data-action=export-save]").click()
    assert desk.find(BUTTON).text == "Exporting"
    assert desk.find(BUTTON).get_attribute("aria-busy") == "true"
    desk.find(BUTTON).click()
    assert not desk.js(OPEN)  # one at a time
    assert list(downloads.iterdir()) == []
    held.set()
    arrived(desk, downloads / "Tante Käthe 1-visagist.jpg")
    assert desk.find(BUTTON).text == "Export"
    assert desk.find(BUTTON).get_attribute("aria-busy") == "false"
    assert desk.js(IDLE)


def test_what_fails_is_said_and_the_button_works_again(
    desk: Page, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("app.downloads.export", lambda *_: 1 / 0)
        desk.find(BUTTON).click()
        desk.find("[data-action=export-save]").click()
        desk.wait(lambda: desk.js(SAID).startswith("Something failed on our side"))
    desk.wait(lambda: desk.js(IDLE))
    desk.find(BUTTON).click()
    desk.find("[data-action=export-save]").click()
    arrived(desk, downloads / "Tante Käthe 1-visagist.jpg")


COPIED = """
const [item] = await navigator.clipboard.read(), blob = await item.getType('image/png');
const image = await createImageBitmap(blob);
return [item.types.join(), image.width, image.height];
"""


def test_a_picture_is_copied_or_the_page_says_why_not(desk: Page) -> None:
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    desk.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    desk.find(BUTTON).click()
    choose(desk, "picture", "both")
    desk.find("[data-action=export-copy]").click()
    desk.wait(lambda: desk.js(SAID) == "Copied.")
    assert desk.js(COPIED) == ["image/png", 1027, 512]

    desk.js("navigator.clipboard.write = async () => { throw new DOMException('', 'NotAllowedError'); }")
    desk.find(BUTTON).click()
    desk.find("[data-action=export-copy]").click()
    desk.wait(lambda: "does not let this page use the clipboard" in desk.js(SAID))
    desk.wait(lambda: desk.js(IDLE))

    desk.js("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over http
    desk.find(BUTTON).click()
    assert not desk.js(SHOWN, "[data-action=export-copy]")


# ---- clips ----------------------------------------------------------------------------------------

MOVES = "return [...document.querySelectorAll('.v-moves option')].map((e) => [e.value, e.textContent])"


def test_a_slider_s_sweep_arrives_as_a_clip(desk: Page, downloads: Path) -> None:
    desk.find(BUTTON).click()
    choose(desk, "as", "clip")
    assert [name for name, _ in desk.js(MOVES)] == ["smile", "young", "male"]  # nothing to fade into yet
    desk.press(Keys.ESCAPE)
    desk.drag("young")
    desk.wait(lambda: desk.entries == ["0", "1"])
    desk.find(BUTTON).click()
    assert desk.js(MOVES)[:3] == [["young", "Youth, as moved"], ["", "Before to after"], ["smile", "Smile"]]
    assert desk.js(CHOSEN, "as") == "clip"  # as it was left
    assert not desk.js(SHOWN, "[data-action=export-copy]")
    assert not desk.js(SHOWN, "[name=v-export-format][value=png]")
    choose(desk, "clip", "GIF")
    desk.find("[data-action=export-save]").click()
    image = arrived(desk, downloads / "Tante Käthe 1-visagist-young.gif")
    assert (image.format, image.is_animated, image.size) == ("GIF", True, (400, 400))
    assert not desk.js(SHOWN, ".v-clipping")


def test_a_clip_says_how_far_it_is_and_is_cancelled(desk: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(engine, portraits, request, order, watcher, others):
        watcher.progress(Progress("Making the clip", 0.4))
        while True:
            watcher.check()
            threading.Event().wait(0.02)

    monkeypatch.setattr("app.clips.clip", wait)
    desk.find(BUTTON).click()
    choose(desk, "as", "clip")
    desk.find("[data-action=export-save]").click()
    bar = "return document.querySelector('.v-clipping [role=progressbar]').getAttribute('aria-valuenow')"
    desk.wait(lambda: desk.js(bar) == "40")
    desk.find("[data-action=clip-cancel]").click()
    desk.wait(lambda: desk.js(SAID) == "The clip was cancelled; the picture is as it was.")
    assert not desk.js(SHOWN, ".v-clipping")
    desk.wait(lambda: desk.js(IDLE))
