"""Zoom and pan on the stage, by wheel, hand, thumb and keyboard, in headless Chromium."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsing import Page
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from core.images import encode_png

pytestmark = pytest.mark.browser

BOX = """
const r = document.querySelector(arguments[0]).getBoundingClientRect();
return [r.left, r.top, r.right, r.bottom];
"""
LEVEL = "return document.querySelector('[data-zoom=toggle]').textContent"
WIDTH = "return document.querySelector('.v-after img').naturalWidth"
VISIBLE = "return getComputedStyle(document.querySelector(arguments[0])).visibility"
SCROLLED = "return scrollY"
SIDE = 2400  # more than the 2048 px that the stage is sent


@pytest.fixture(scope="module")
def large(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait of more pixels than the stage is sent."""
    path = tmp_path_factory.mktemp("photos") / "large.png"
    path.write_bytes(encode_png(cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)))
    return path


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, large: Path) -> Iterator[Page]:
    """A large photo is open, and nothing glides."""
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", still)
    yield Page(browser, address).open(large)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def box(page: Page, selector: str = ".v-layer") -> np.ndarray:
    """Left, top, right, bottom on the screen, in CSS pixels."""
    return np.array(page.js(BOX, selector))


def size(page: Page) -> float:
    left, _, right, _ = box(page)
    return right - left


def middle(page: Page, selector: str = ".v-canvas") -> tuple[float, float]:
    left, top, right, bottom = box(page, selector)
    return (left + right) / 2, (top + bottom) / 2


def wheel(page: Page, x: float, y: float, turn: float, ctrl: bool = False) -> None:
    """At a point of the screen; negative turns zoom in."""
    event = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": turn, "modifiers": 2 * ctrl}
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def within(page: Page, x: float, y: float) -> np.ndarray:
    """Where on the picture a point of the screen is: shares of its width and height."""
    left, top, right, bottom = box(page)
    return np.array([(x - left) / (right - left), (y - top) / (bottom - top)])


def covers(page: Page) -> bool:
    """Whether the picture leaves none of the stage bare."""
    picture, stage = box(page), box(page, ".v-canvas")
    return bool(np.all(picture[:2] <= stage[:2] + 0.6) and np.all(picture[2:] >= stage[2:] - 0.6))


def drag(page: Page, across: int, down: int, start: tuple[float, float] | None = None) -> None:
    x, y = start or middle(page)
    hand = ActionChains(page.driver, duration=20)
    mouse = hand.w3c_actions.pointer_action
    mouse.move_to_location(round(x), round(y)).pointer_down()
    for step in range(1, 5):
        mouse.move_to_location(round(x + across * step / 4), round(y + down * step / 4))
    mouse.pointer_up()
    hand.perform()


def zoom_in(page: Page, turns: int = 6) -> None:
    """In the stage's middle, to about four times what fits."""
    before = size(page)
    for _ in range(turns):
        wheel(page, *middle(page), -120)
    page.wait(lambda: np.isclose(size(page) / before, np.exp(0.24 * turns), rtol=1e-3))


def focus(page: Page) -> None:
    page.js("document.querySelector('.v-canvas').focus()")


def double_click(page: Page, x: float, y: float) -> None:
    hand = ActionChains(page.driver, duration=0)
    hand.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    for _ in range(2):
        hand.w3c_actions.pointer_action.pointer_down().pointer_up()
    hand.perform()


# ---- wheel and drag -------------------------------------------------------------------------------


@pytest.mark.parametrize("ctrl", [False, True], ids=["wheel", "trackpad"])
def test_the_wheel_zooms_where_the_pointer_is_and_moves_no_page(page: Page, ctrl: bool) -> None:
    page.js("document.body.style.minHeight = '3000px'")
    fit, scale = box(page), page.js("return visualViewport.scale * devicePixelRatio")
    x, y = fit[0] + 0.3 * (fit[2] - fit[0]), fit[1] + 0.4 * (fit[3] - fit[1])
    anchored = 0
    for _ in range(8):
        before, held, covered = size(page), within(page, x, y), covers(page)
        wheel(page, x, y, -120, ctrl)
        page.wait(lambda: size(page) > before)  # noqa: B023
        if covered:  # until then the picture stays in the stage's middle
            np.testing.assert_allclose(within(page, x, y), held, atol=1e-3)
            anchored += 1
    assert anchored >= 4
    assert size(page) > 3 * (fit[2] - fit[0])
    for _ in range(12):
        wheel(page, x, y, 120, ctrl)
    page.wait(lambda: np.allclose(box(page), fit, atol=0.1))
    assert page.js(SCROLLED) == 0
    assert page.js("return visualViewport.scale * devicePixelRatio") == scale
    wheel(page, *middle(page, "#shelf"), 120)  # the page could have scrolled
    page.wait(lambda: page.js(SCROLLED) > 0)


def test_a_drag_pans_and_the_picture_never_leaves_the_stage(page: Page) -> None:
    zoom_in(page)
    before = box(page)
    drag(page, -60, 40)
    np.testing.assert_allclose(box(page) - before, [-60, 40, -60, 40], atol=1)
    for across, down in ((250, 250), (-250, -250)):
        for _ in range(8):
            drag(page, across, down)
            assert covers(page)
    np.testing.assert_allclose(box(page)[2:], box(page, ".v-canvas")[2:], atol=0.6)  # at its corner
    for _ in range(8):
        wheel(page, *middle(page), 120)
    page.wait(lambda: np.allclose(box(page), box(page, ".v-picture"), atol=0.1))


def test_a_drag_that_rests_on_its_way_is_no_press(page: Page) -> None:
    zoom_in(page)
    before = box(page)
    hand = ActionChains(page.driver, duration=20)
    mouse = hand.w3c_actions.pointer_action
    x, y = map(round, middle(page))
    mouse.move_to_location(x, y).pointer_down().move_to_location(x - 60, y + 40)
    hand.perform()
    time.sleep(0.4)  # a press shows the photo before sooner
    assert page.js(VISIBLE, ".v-before") == "hidden"
    ActionChains(page.driver).release().perform()
    np.testing.assert_allclose(box(page) - before, [-60, 40, -60, 40], atol=1)


def test_a_press_that_stays_shows_the_photo_before_where_it_is_zoomed(page: Page) -> None:
    zoom_in(page)
    place = box(page)
    hand = ActionChains(page.driver, duration=20)
    hand.w3c_actions.pointer_action.move_to_location(*map(round, middle(page))).pointer_down()
    hand.perform()
    page.wait(lambda: page.js(VISIBLE, ".v-before") == "visible")
    assert page.js(VISIBLE, ".v-after") == "hidden"
    np.testing.assert_allclose(box(page, ".v-before"), place, atol=0.1)
    tag, stage = box(page, ".v-tag-before"), box(page, ".v-canvas")
    assert np.all(tag[:2] >= stage[:2])
    assert np.all(tag[2:] <= stage[2:])
    ActionChains(page.driver).release().perform()
    page.wait(lambda: page.js(VISIBLE, ".v-before") == "hidden")
    np.testing.assert_allclose(box(page), place, atol=0.1)


# ---- levels ---------------------------------------------------------------------------------------


def test_a_double_click_toggles_all_of_it_and_100_per_cent(page: Page) -> None:
    fit = box(page)
    assert page.js(LEVEL) == f"{round(100 * size(page) / SIDE)}%"
    x, y = fit[0] + 0.6 * (fit[2] - fit[0]), fit[1] + 0.3 * (fit[3] - fit[1])
    double_click(page, x, y)
    page.wait(lambda: page.js(LEVEL) == "100%")
    np.testing.assert_allclose(size(page), SIDE, atol=0.05)  # one of the device's pixels for each
    np.testing.assert_allclose(within(page, round(x), round(y)), (0.6, 0.3), atol=2e-3)
    double_click(page, x, y)
    page.wait(lambda: np.allclose(box(page), fit, atol=0.1))


def test_buttons_and_keys_zoom_and_say_so(page: Page) -> None:
    fit, levels = box(page), []
    out, toggle, closer = (page.find(f"[data-zoom={name}]") for name in ("out", "toggle", "in"))
    assert [button.get_attribute("aria-disabled") for button in (out, closer)] == ["true", "false"]
    while closer.get_attribute("aria-disabled") == "false" and len(levels) < 20:
        closer.click()
        levels.append(page.js(LEVEL))
    assert levels[-8:] == ["67%", "100%", "150%", "200%", "300%", "400%", "600%", "800%"]
    np.testing.assert_allclose(size(page), 8 * SIDE, rtol=1e-3)
    assert covers(page)
    toggle.click()
    np.testing.assert_allclose(box(page), fit, atol=0.1)
    assert toggle.get_attribute("aria-label") == f"{page.js(LEVEL)}, zoom to 100%"
    toggle.click()
    assert (page.js(LEVEL), toggle.get_attribute("aria-label")) == ("100%", "100%, zoom to fit")
    focus(page)
    page.press("+")
    assert page.js(LEVEL) == "150%"
    page.press("-")
    page.press("-")
    assert page.js(LEVEL) == "67%"
    before = box(page)
    page.press(Keys.ARROW_RIGHT)
    assert box(page)[0] < before[0]
    assert (box(page)[2] - box(page)[0], page.js(SCROLLED)) == (before[2] - before[0], 0)
    page.press("0")
    np.testing.assert_allclose(box(page), fit, atol=0.1)
    page.js("document.querySelector('#slider-smile input[type=range]').focus()")
    page.press("+")
    np.testing.assert_allclose(box(page), fit, atol=0.1)


def test_pixels_are_seen_as_such_from_300_per_cent(page: Page) -> None:
    drawn = "return getComputedStyle(document.querySelector('.v-after img')).imageRendering"
    seen = {}
    focus(page)
    while (level := page.js(LEVEL)) != "400%":
        page.press("+")
        seen[page.js(LEVEL)] = page.js(drawn)
        assert level != "800%"
    assert [seen[level] for level in ("100%", "200%", "300%", "400%")] == ["auto"] * 2 + ["pixelated"] * 2


def test_who_looks_closely_gets_all_the_pixels(page: Page) -> None:
    assert page.js(WIDTH) == 2048
    page.find("[data-zoom=toggle]").click()
    page.wait(lambda: page.js(WIDTH) == SIDE)
    page.wait(lambda: page.js("return document.querySelector('.v-before').naturalWidth") == SIDE)
    assert page.js(LEVEL) == "100%"


# ---- what stays, and what does not ----------------------------------------------------------------


def test_an_edit_and_its_undo_keep_the_place_and_another_photo_does_not(
    page: Page, large: Path, portrait: Path
) -> None:
    zoom_in(page)
    drag(page, -60, 40)
    place, painted = box(page), page.painted
    page.find("#slider-smile input[type=range]").send_keys(Keys.ARROW_RIGHT * 3)
    page.wait(lambda: page.entries == ["0", "1"] and page.painted > painted)
    np.testing.assert_allclose(box(page), place, atol=0.1)
    painted = page.painted
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.painted > painted)
    np.testing.assert_allclose(box(page), place, atol=0.1)
    page.open(portrait)
    page.wait(lambda: page.js(WIDTH) == 512)
    np.testing.assert_allclose(box(page), box(page, ".v-picture"), atol=0.1)
    page.find("[data-zoom=out]").click()  # it fits at more than 100%
    assert page.js(LEVEL) == "100%"
    np.testing.assert_allclose(size(page), 512, atol=0.5)
    np.testing.assert_allclose(middle(page, ".v-layer"), middle(page), atol=0.6)


def test_a_file_that_does_not_open_leaves_it_zoomed(page: Page, tmp_path: Path) -> None:
    zoom_in(page)
    place, broken = box(page), tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    page.find("#upload input[type=file]").send_keys(str(broken))
    page.wait(lambda: not page.find(".v-passing").get_attribute("hidden"))
    page.wait(lambda: page.phase == "editing" and np.allclose(box(page), place, atol=0.1))


def test_face_markers_stay_on_their_faces(page: Page) -> None:
    # As while a photo opens, which here is too short to be sure of.
    mark = "<div style='left: 30%; top: 20%; width: 20%; height: 30%'><span>1</span></div>"
    page.js(
        "Object.assign(document.querySelector('.v-boxes'), {hidden: false, innerHTML: arguments[0]})", mark
    )

    def marked() -> np.ndarray:
        left, top, right, bottom = box(page, ".v-boxes div")
        return np.concatenate([within(page, left, top), within(page, right, bottom)])

    for turns in (0, 6):
        zoom_in(page, turns)
        np.testing.assert_allclose(marked(), (0.3, 0.2, 0.5, 0.5), atol=0.01)  # and its border


# ---- comparing ------------------------------------------------------------------------------------


def line(page: Page) -> float:
    """Where on the picture's width the compare line is."""
    return float(within(page, middle(page, ".v-divider")[0], 0)[0])


def test_the_compare_line_stays_on_the_picture_and_a_drag_takes_only_what_it_began_on(page: Page) -> None:
    page.find("[data-action=compare]").click()
    assert line(page) == pytest.approx(0.5, abs=2e-3)
    fit = box(page)
    x, y = fit[0] + 0.4 * (fit[2] - fit[0]), middle(page)[1]
    for _ in range(4):
        wheel(page, x, y, -120)
    page.wait(lambda: size(page) > 2.5 * (fit[2] - fit[0]))
    assert line(page) == pytest.approx(0.5, abs=2e-3)
    before = box(page)
    drag(page, 40, 10, (x - 50, y))  # beside the line: the picture moves, and the line with it
    np.testing.assert_allclose(box(page) - before, [40, 10, 40, 10], atol=1)
    assert line(page) == pytest.approx(0.5, abs=2e-3)
    before, (at, _) = box(page), middle(page, ".v-divider")
    drag(page, -80, 0, (at, y))  # on it: it moves, and the picture stays
    np.testing.assert_allclose(box(page), before, atol=0.1)
    assert middle(page, ".v-divider")[0] == pytest.approx(at - 80, abs=2 + size(page) * 0.0025)
    clip = page.js("return getComputedStyle(document.querySelector('.v-after')).clipPath")
    assert float(clip.split()[-1].rstrip("%)")) / 100 == pytest.approx(line(page), abs=2e-3)
    assert page.js(VISIBLE, ".v-before") == "visible"


def test_a_compare_line_out_of_sight_waits_at_the_edge(page: Page) -> None:
    focus(page)
    for _ in range(8):
        page.press("+")
    for _ in range(8):
        page.press(Keys.ARROW_LEFT)
    page.find("[data-action=compare]").click()  # comes to where one looks
    stage = box(page, ".v-canvas")
    assert middle(page, ".v-divider")[0] == pytest.approx(middle(page)[0], abs=1 + size(page) * 0.0025)
    drag(page, -400, 0, (middle(page)[0] + 200, stage[1] + 100))
    drag(page, -400, 0, (middle(page)[0] + 200, stage[1] + 100))
    at = middle(page, ".v-divider")[0]
    assert at == pytest.approx(stage[0], abs=2)
    drag(page, 200, 0, (at + 8, middle(page)[1]))
    assert middle(page, ".v-divider")[0] == pytest.approx(stage[0] + 208, abs=2 + size(page) * 0.0025)


# ---- motion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wish", "seconds"), [("no-preference", "0.16s"), ("reduce", "0s")])
def test_a_leap_glides_unless_one_would_rather_not(page: Page, wish: str, seconds: str) -> None:
    features = [{"name": "prefers-reduced-motion", "value": wish}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    focus(page)
    page.press("+")
    duration = page.js("return getComputedStyle(document.querySelector('.v-layer')).transitionDuration")
    assert duration.split(", ")[0] == seconds
    wheel(page, *middle(page), -120)  # follows the hand at once
    page.wait(lambda: not page.js("return document.querySelector('.v-gliding') !== null"))


# ---- by thumb -------------------------------------------------------------------------------------


@pytest.fixture
def phone(browser: webdriver.Chrome, address: str, large: Path) -> Iterator[Page]:
    touch = {"enabled": True, "maxTouchPoints": 2}
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
    yield Page(browser, address, 390, 844).open(large)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def touch(page: Page, kind: str, *points: tuple[float, float]) -> None:
    at = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def swipe(page: Page, across: int, down: int, steps: int = 10) -> None:
    """A finger on the stage's middle, so many pixels along, and off."""
    x, y = middle(page)
    touch(page, "touchStart", (x, y))
    for step in range(1, steps + 1):
        touch(page, "touchMove", (x + across * step / steps, y + down * step / steps))
    touch(page, "touchEnd")


def test_two_fingers_pinch_and_one_scrolls_the_page_until_it_is_zoomed(phone: Page) -> None:
    fit, (x, y) = box(phone), middle(phone)
    touch(phone, "touchStart", (x, y - 30), (x, y + 30))
    for way in range(0, 100, 10):  # side by side, as to scroll
        touch(phone, "touchMove", (x, y - 30 - way), (x, y + 30 - way))
    touch(phone, "touchEnd")
    np.testing.assert_allclose(box(phone), fit, atol=0.1)
    touch(phone, "touchStart", (x, y - 30), (x, y + 30))
    for reach in range(30, 95, 8):
        touch(phone, "touchMove", (x, y - reach - 10), (x, y + reach - 10))
    touch(phone, "touchEnd")
    phone.wait(lambda: size(phone) == pytest.approx((fit[2] - fit[0]) * 94 / 30, rel=0.01))
    before = box(phone)
    swipe(phone, 30, -60)
    phone.wait(lambda: np.allclose(box(phone) - before, [30, -60, 30, -60], atol=1))
    assert (phone.js(SCROLLED), phone.js("return visualViewport.scale")) == (0, 1)
    phone.js("document.querySelector('[data-zoom=toggle]').click()")
    phone.wait(lambda: np.allclose(box(phone), fit, atol=0.1))
    swipe(phone, 4, -150)
    phone.wait(lambda: phone.js(SCROLLED) > 50)
    assert phone.js(VISIBLE, ".v-before") == "hidden"


def test_a_pinch_leaves_the_compare_line_alone(phone: Page) -> None:
    phone.js("document.querySelector('[data-action=compare]').click()")
    x, y = middle(phone)
    touch(phone, "touchStart", (x + 60, y))
    touch(phone, "touchStart", (x + 60, y), (x + 60, y + 40))
    for reach in range(0, 60, 10):
        touch(phone, "touchMove", (x + 60 - reach, y - reach), (x + 60, y + 40 + reach))
    touch(phone, "touchEnd")
    phone.wait(lambda: size(phone) > 500)
    assert phone.js("return document.querySelector('.v-compare').value") == "50"
    assert phone.js("return getComputedStyle(document.querySelector('.v-after')).clipPath").endswith("50%)")


def test_a_double_tap_zooms(phone: Page) -> None:
    for _ in range(2):
        swipe(phone, 0, 0, steps=0)
    phone.wait(lambda: size(phone) == pytest.approx(SIDE, abs=0.5))  # it glides
    assert phone.js(LEVEL) == "100%"
