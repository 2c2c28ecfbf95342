"""A photo of two faces in the browser: seen and said, chosen in the picture and by keys, each with edits."""

from pathlib import Path

import numpy as np
import pytest
from browsing import SAID, Page
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from core.images import encode_png

LABELS = "return [...document.querySelectorAll('.v-chooser button')].map((e) => e.getAttribute('aria-label'))"
MARKS = """return [...document.querySelectorAll('.v-boxes div')].map((e) => {
  const {left, top, width, height} = e.getBoundingClientRect();
  return [left + width / 2, top + height / 2, getComputedStyle(e).visibility === 'visible' && width > 0];
})"""
VALUE = "return Number(document.querySelector('#slider-smile input[type=range]').value)"
SHOWN = """const {left, top, right, bottom} = document.querySelector('.v-chooser').getBoundingClientRect();
return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight && right > left"""
HELD = "return getComputedStyle(document.querySelector('.v-before')).visibility"


@pytest.fixture(scope="module")
def group(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "group.png"
    path.write_bytes(encode_png(np.hstack([photo, photo[:, ::-1]])))
    return path


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, group: Path) -> Page:
    return Page(browser, address).open(group)


def at_face(page: Page, face: int) -> ActionChains:
    """The mouse in the middle of a face in the picture."""
    x, y, seen = page.js(MARKS)[face]
    assert seen
    pointer = ActionChains(page.driver)
    pointer.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    return pointer


def in_hand(page: Page) -> int:
    """The face's number, as it is seen, once nothing opens any more."""
    page.wait(lambda: page.phase == "editing")
    return int(page.find(".v-chooser [aria-current]").text)


def smile(page: Page) -> float:
    """Move it, and wait until it has settled."""
    page.drag("smile")
    page.wait(lambda: len(page.entries) == 2)
    return page.js(VALUE)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_two_faces_are_seen_and_said_at_once(
    browser: webdriver.Chrome, address: str, group: Path, width: int, height: int
) -> None:
    page = Page(browser, address, width, height).open(group)
    page.wait(lambda: page.js(SAID).startswith("This photo shows 2 faces."))
    assert page.js(SHOWN)
    assert page.js(LABELS) == ["Face 1, in hand", "Face 2"]
    (one, _, _), (two, _, _) = page.js(MARKS)
    assert one < two  # numbered from left to right
    assert page.js("return [...document.querySelectorAll('.v-boxes span')].map((e) => e.textContent)") == [
        "1",
        "2",
    ]


def test_one_face_is_not_counted(browser: webdriver.Chrome, address: str, portrait: Path) -> None:
    page = Page(browser, address).open(portrait)
    assert page.js("return document.querySelector('.v-chooser').hidden")
    assert page.js("return document.querySelector('.v-boxes').hidden")
    assert page.js(SAID) == ""


def test_a_click_on_a_face_turns_to_it_and_the_first_one_s_edit_stays(page: Page) -> None:
    unedited = page.picture
    value = smile(page)
    smiling = page.picture
    half = unedited.shape[1] // 2
    assert np.abs(smiling - unedited)[:, :half].mean() > 0.4
    at_face(page, 1).click().perform()
    page.wait(lambda: in_hand(page) == 2)
    page.wait(lambda: page.js(VALUE) == 0)
    assert page.js(LABELS) == ["Face 1, edited", "Face 2, in hand"]
    assert page.entries == []  # a history of its own, of one entry
    # The photo still shows the smile of the first, and does so while the second is dragged, and after.
    assert np.array_equal(page.picture, smiling)
    page.drag("young")
    page.wait(lambda: len(page.entries) == 2)
    moved = np.abs(page.picture - smiling)
    assert moved[:, :half].mean() < 0.1
    assert moved[:, half:].mean() > 0.4
    assert page.js(LABELS) == ["Face 1, edited", "Face 2, edited, in hand"]
    at_face(page, 0).click().perform()
    page.wait(lambda: in_hand(page) == 1)
    page.wait(lambda: page.js(VALUE) == value)
    assert len(page.entries) == 2
    page.find("[data-action=undo]").click()
    page.wait(lambda: page.js(VALUE) == 0)
    page.wait(lambda: page.js(LABELS) == ["Face 1, in hand", "Face 2, edited"])
    page.wait(lambda: np.abs(page.picture - unedited)[:, :half].mean() < 0.1)


def test_keys_turn_to_a_face_and_the_focus_stays_there(page: Page) -> None:
    value = smile(page)
    page.js("document.querySelector('.v-chooser [aria-current]').focus()")
    page.press(Keys.ARROW_RIGHT)
    page.press(Keys.ENTER)
    page.wait(lambda: in_hand(page) == 2)
    focused = "return document.activeElement.getAttribute('aria-label')"
    page.wait(lambda: page.js(focused) == "Face 2, in hand")
    stops = (
        "return [...document.querySelectorAll('.v-chooser button')].filter((e) => e.tabIndex === 0).length"
    )
    assert page.js(stops) == 1
    page.press(Keys.ARROW_LEFT)
    page.press(Keys.SPACE)
    page.wait(lambda: in_hand(page) == 1)
    page.wait(lambda: page.js(VALUE) == value)


def test_a_move_that_has_not_settled_is_not_lost(page: Page) -> None:
    page.drag("smile")
    value = page.js(VALUE)
    at_face(page, 1).click().perform()  # at once
    page.wait(lambda: in_hand(page) == 2)
    page.wait(lambda: page.js(VALUE) == 0)
    at_face(page, 0).click().perform()
    page.wait(lambda: in_hand(page) == 1)
    page.wait(lambda: page.js(VALUE) == value)
    assert len(page.entries) == 2


def test_a_press_that_stays_on_a_face_shows_before_and_turns_to_nothing(page: Page) -> None:
    at_face(page, 1).click_and_hold().perform()
    page.wait(lambda: page.js(HELD) == "visible")
    assert page.js("return getComputedStyle(document.querySelector('.v-boxes')).visibility") == "hidden"
    ActionChains(page.driver).release().perform()
    page.wait(lambda: page.js(HELD) == "hidden")
    assert in_hand(page) == 1


def test_the_face_alone_is_chosen_by_the_buttons(page: Page) -> None:
    page.js("document.querySelector('#output input[value=face]').click()")
    page.wait(lambda: page.js("return document.querySelector('.v-boxes').hidden"))
    page.find(".v-chooser button:not([aria-current])").click()
    page.wait(lambda: in_hand(page) == 2)
    assert page.picture.shape[0] == page.picture.shape[1]
