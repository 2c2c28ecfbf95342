"""The first page, the photo turned and cropped, and a phone on its side, in headless Chromium."""

from pathlib import Path

import numpy as np
import pytest
from browsing import SAID, Page
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app.markup import script

pytestmark = pytest.mark.browser

SEEN = "return document.querySelector(arguments[0])?.checkVisibility() ?? false"
FITS = """const { scrollWidth, scrollHeight } = document.documentElement;
return [scrollWidth <= innerWidth, scrollHeight <= innerHeight]"""
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
    assert page.js(FITS) == [True, True]
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


HANDLES = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
DRAG = f"{script('cropframe.js')} return draggedFrame(...arguments)"


def crop_size(page: Page) -> tuple[int, int]:
    """As the tool says it."""
    across, down = page.find(".v-crop-size").text.split(" \N{MULTIPLICATION SIGN} ")
    return int(across), int(down)


def pull(page: Page, handle: str, across: int, down: int) -> None:
    part = page.find(f"[data-crop='{handle}']")
    ActionChains(page.driver).drag_and_drop_by_offset(part, across, down).perform()


def test_the_photo_is_cropped_by_dragging_and_undo_brings_all_of_it_back(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address).open(portrait)
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    value = "return document.querySelector('#slider-smile input[type=range]').value"
    moved, edited = page.js(value), page.picture
    assert page.js(FITS) == [True, True]
    page.find("[data-action=crop]").click()
    assert page.waits
    assert page.js("return document.activeElement.dataset.crop") == "0 0"
    pull(page, "-1 0", 60, 40)  # an edge moves across alone
    width, height = crop_size(page)
    assert (width < 512, height) == (True, 512)
    pull(page, "1 1", 0, -60)
    width, height = crop_size(page)
    assert height < 512
    left = 512 - width
    painted = page.painted
    page.find("[data-action=crop-apply]").click()
    page.wait(lambda: page.phase == "editing" and page.painted > painted)
    assert (page.entries, page.waits) == ([], False)  # nothing to go back to but all of the photo
    assert page.js(value) == moved
    assert page.js("return document.activeElement.dataset.action") == "crop"
    found = page.picture
    assert found.shape == (height, width, 3)
    assert np.abs(found - edited[:height, left:]).mean() < 3  # two JPEGs of one picture
    page.find("[data-action=undo]").click()
    page.wait(lambda: page.phase == "editing" and page.entries == ["0", "1"])
    assert page.picture.shape == (512, 512, 3)
    assert page.js(value) == moved


def test_the_crop_s_frame_by_keys_and_what_is_refused_loses_nothing(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 1024, 768).open(portrait)
    picture = page.picture
    page.find("[data-action=crop]").click()
    page.find("[name=v-crop-ratio][value='4:5']").click()
    assert crop_size(page) == (410, 512)
    ends = "return document.querySelector(arguments[0]).getBoundingClientRect().right"
    assert page.js(ends, "[data-action=crop-apply]") <= page.js(ends, ".v-canvas")
    page.js("document.querySelector('[data-crop=\"1 1\"]').focus()")
    page.press(Keys.ARROW_LEFT)
    width, height = crop_size(page)
    assert (width < 410, abs(width - 0.8 * height) <= 1) == (True, True)
    page.find("[data-action=crop-swap]").click()
    assert crop_size(page) == (height, width)
    page.press(Keys.ESCAPE)
    assert not page.js(SEEN, ".v-crop")
    assert not page.waits
    assert np.array_equal(page.picture, picture)
    page.find("[data-action=crop]").click()
    pull(page, "1 0", -430, 0)
    assert crop_size(page) == (64, 512)  # to the left of the face
    page.press(Keys.ENTER)
    page.wait(lambda: "No face is whole in this crop" in page.js(SAID))
    page.wait(lambda: page.phase == "editing")
    assert np.array_equal(page.picture, picture)


@pytest.mark.parametrize("ratio", [None, 1.0, 0.8, 16 / 9])
def test_a_frame_stays_in_the_photo_and_in_its_ratio(browser: webdriver.Chrome, ratio: float | None) -> None:
    """Against what must hold of any frame, whatever is dragged how far."""
    photo, steps = (400, 300), [(0, 0), (25, 10), (-30, 40), (900, -900), (-900, 900)]
    frame = [100, 80, 260, 80 + 160 / (ratio or 1.6)]
    if ratio == 0.8:
        frame = [100, 60, 260, 260]
    for handle in HANDLES:
        for step in steps:
            found = browser.execute_script(DRAG, frame, handle, step, ratio, photo)
            left, top, right, bottom = found
            assert -1e-9 <= left < right <= photo[0] + 1e-9
            assert -1e-9 <= top < bottom <= photo[1] + 1e-9
            assert min(right - left, bottom - top) >= 64 - 1e-9
            if ratio is not None:
                assert (right - left) / (bottom - top) == pytest.approx(ratio)
            # What lies opposite the handle stays.
            for side, (low, high) in zip(handle, ((0, 2), (1, 3)), strict=True):
                if side and handle != (0, 0):
                    stays = low if side > 0 else high
                    assert found[stays] == pytest.approx(frame[stays])
            if handle == (0, 0):
                assert np.subtract([right, bottom], [left, top]) == pytest.approx(
                    np.subtract(frame[2:], frame[:2])
                )
            elif step == (25, 10) and ratio is None:
                sides = [across * max(0, -x) for across, x in zip(step, handle, strict=True)]
                sides += [across * max(0, x) for across, x in zip(step, handle, strict=True)]
                assert found == pytest.approx(np.add(frame, sides))


def test_a_drop_s_sign_hides_what_is_under_it(page: Page) -> None:
    page.js("document.querySelector('.v-canvas').classList.add('v-drop')")
    veil = page.js("return getComputedStyle(document.querySelector('.v-dropping')).backgroundColor")
    assert veil.startswith("rgb(")  # no part of a button shines through
