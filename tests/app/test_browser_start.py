"""The first page, the photo turned, and a phone on its side, in headless Chromium."""

from pathlib import Path

import numpy as np
import pytest
from browsing import Page
from selenium import webdriver

pytestmark = pytest.mark.browser

SEEN = "return document.querySelector(arguments[0])?.checkVisibility() ?? false"
HEIGHT = "return document.querySelector(arguments[0]).getBoundingClientRect().height"
SIZES = [(1440, 900), (1024, 768), (390, 844), (844, 390)]


def moving(page: Page) -> list[str]:
    """What the animations of the examples do."""
    return page.js(
        "return document.getAnimations().filter((one) => one.effect.target.closest('.v-demo'))"
        ".map((one) => one.playState)"
    )


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_first_page_shows_what_to_do_and_no_levers(
    browser: webdriver.Chrome, address: str, width: int, height: int
) -> None:
    page = Page(browser, address, width, height)
    assert [page.js(SEEN, part) for part in ("#panel", ".v-bar", "#shelf")] == [False] * 3
    opens = page.find(".v-empty [data-action=browse]").rect
    assert opens["y"] + opens["height"] < height
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.find(".v-canvas").rect["width"] > 0.9 * width
    # Nothing lies idle below: the stage goes on to the end of the page.
    assert page.js("return document.querySelector('.v-canvas').getBoundingClientRect().bottom") >= height - 40
    assert page.js(SEEN, ".v-empty .v-if-drops") == (width > 600)


def test_examples_move_until_they_are_paused_or_a_photo_is_open(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address)
    strips = page.js(
        "return [...document.querySelectorAll('.v-demo img')].map((e) => e.naturalWidth / e.naturalHeight)"
    )
    assert strips
    assert set(strips) == {17}
    assert set(moving(page)) == {"running"}
    pause = page.find("[data-action=demo-still]")
    pause.click()
    assert set(moving(page)) == {"paused"}
    assert pause.get_attribute("aria-label") == "Play the examples"
    pause.click()
    assert set(moving(page)) == {"running"}
    page.find(".v-demo").click()
    page.wait(lambda: page.phase == "editing")
    assert page.js(SEEN, "#panel")
    assert not page.js(SEEN, ".v-demo")


def test_who_wants_less_motion_sees_the_edit_at_rest(browser: webdriver.Chrome, address: str) -> None:
    wish = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    try:
        page = Page(browser, address)
        assert moving(page) == []
        left, right = page.js(
            "const at = (e) => document.querySelector(e).getBoundingClientRect();"
            "const [img, frame] = ['.v-demo img', '.v-demo-frame'].map(at);"
            "return [img.left + img.width * 16 / 17 - frame.left, img.right - frame.right]"
        )
        assert max(abs(left), abs(right)) < 1  # the last picture
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_on_its_side_leaves_the_face_its_height(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 844, 390).open(portrait)
    assert page.js(HEIGHT, ".v-picture") > 260
    picture, panel = page.find(".v-canvas").rect, page.find("#panel").rect
    assert picture["x"] + picture["width"] <= panel["x"]
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    slider = page.find("#slider-smile input[type=range]")
    page.js("arguments[0].scrollIntoView({block: 'center'})", slider)
    box = page.js(
        "const r = arguments[0].getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]",
        slider,
    )
    assert page.js("return document.elementFromPoint(...arguments[0]) === arguments[1]", box, slider)
    assert page.js("return document.querySelector('.v-picture').getBoundingClientRect().top") >= 0  # it stays


def test_on_a_phone_the_bar_covers_nothing_of_the_page_s_end(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("window.scrollTo(0, document.documentElement.scrollHeight)")
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    top = "return document.querySelector('.v-bar').getBoundingClientRect().top"
    page.wait(lambda: page.js(bottom, ".v-shelf") <= page.js(top))
    assert page.js("return document.querySelector('.v-canvas').getBoundingClientRect().left") == 12


def test_the_photo_turns_and_its_edit_stays(browser: webdriver.Chrome, address: str, portrait: Path) -> None:
    page = Page(browser, address).open(portrait)
    untouched = page.picture
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    value = "return document.querySelector('#slider-smile input[type=range]').value"
    moved, painted = page.js(value), page.painted
    page.find("[data-turn='1']").click()
    page.wait(lambda: page.phase == "editing" and page.painted > painted)
    page.wait(lambda: page.entries == ["0", "1"])
    assert page.js(value) == moved
    assert page.js("return document.activeElement.dataset.turn") == "1"
    corner = page.picture[:40, -40:]  # what was top left is top right; far from the face
    assert np.abs(corner - np.rot90(untouched, -1)[:40, -40:]).mean() < 4
    painted = page.painted
    page.find("[data-turn='3']").click()
    page.wait(lambda: page.phase == "editing" and page.painted > painted)
    assert np.abs(page.picture[:40, :40] - untouched[:40, :40]).mean() < 4


def test_a_drop_s_sign_hides_what_is_under_it(page: Page) -> None:
    page.js("document.querySelector('.v-canvas').classList.add('v-drop')")
    veil = page.js("return getComputedStyle(document.querySelector('.v-dropping')).backgroundColor")
    assert veil.startswith("rgb(")  # no part of a button shines through
