"""The history in small pictures and words, and snapshots, in headless Chromium; and what the meter says."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Page
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from app.likeness import LEVELS

pytestmark = pytest.mark.browser

ROWS = "return [...document.querySelectorAll('.v-past .v-row-head')].map((e) => e.textContent)"
NOW = "return document.querySelector('.v-past [aria-current]')?.textContent"
PICTURES = "return [...document.querySelectorAll('.v-past .v-row img')].map((e) => e.getAttribute('src'))"
STRIP = """
const dots = document.querySelectorAll('.v-history button');
return [...dots].map((e) => [e.title, !!e.querySelector('img[src]')]);
"""
SNAPSHOTS = "return [...document.querySelectorAll('.v-snapshots .v-row-head')].map((e) => e.textContent)"
SMILE = "return Number(document.querySelector('#slider-smile input[type=range]').value)"
WORDS = "const e = document.querySelector('.v-meter'); return e.hidden ? '' : e.innerText.trim()"


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Iterator[Page]:
    page = Page(browser, address).showing_the_model().open(portrait)
    yield page
    page.js("localStorage.clear()")


def step(page: Page, slider: str, by: int) -> None:
    """Move a slider by so many steps of its own; one entry of the history."""
    count = len(page.entries)
    page.press("1")
    key = Keys.ARROW_RIGHT if by > 0 else Keys.ARROW_LEFT
    page.find(f"#slider-{slider} input[type=range]").send_keys(key * abs(by))
    page.wait(lambda: len(page.entries) == max(count, 1) + 1)


def test_every_step_has_its_picture_and_says_what_changed(page: Page) -> None:
    untouched = page.picture
    step(page, "smile", 24)
    step(page, "young", -7)
    page.press("h")
    page.wait(lambda: page.find("#past").is_displayed())
    assert page.js(ROWS) == ["Youth \u22120.35", "Smile +1.2", "As opened"]
    page.wait(lambda: len(set(page.js(PICTURES))) == 3 and None not in page.js(PICTURES))
    assert page.js(STRIP) == [["As opened", True], ["Smile +1.2", True], ["Youth \u22120.35", True]]
    assert page.js(NOW) == "Youth \u22120.35"
    page.find(".v-past li:last-child .v-row-head").click()
    page.wait(lambda: np.array_equal(page.picture, untouched))
    page.wait(lambda: page.js(NOW) == "As opened")
    assert page.js("return document.activeElement.textContent") == "As opened"
    assert page.js(ROWS) == ["Youth \u22120.35", "Smile +1.2", "As opened"]  # undone, not lost
    assert page.js("return document.querySelectorAll('.v-undone').length") == 2
    assert page.js(SMILE) == 0


def test_on_a_phone_the_history_is_a_tab_of_its_own(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("document.querySelector('#slider-smile input[type=range]').focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.wait(lambda: len(page.entries) == 2)
    page.js("document.getElementById('show-history').click()")
    page.wait(lambda: page.find(".v-past .v-row").is_displayed())
    assert page.js(ROWS)[-1] == "As opened"
    assert page.js(ROWS)[0].startswith("Smile +")
    page.wait(lambda: None not in page.js(PICTURES))
    assert page.js("return document.documentElement.scrollWidth") == 390
    low = "return [...document.querySelectorAll('#past button')].filter((e) => e.offsetHeight < 44).length"
    assert page.js(low) == 0
    page.js("document.querySelector('.v-past li:last-child .v-row-head').click()")
    page.wait(lambda: page.js(SMILE) == 0)


def test_a_snapshot_comes_back_whatever_was_done_since(page: Page, portrait: Path) -> None:
    step(page, "smile", 24)
    smiling = page.picture
    page.press("h")
    page.find("[data-action=snapshot]").click()
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert page.js(SNAPSHOTS) == []
    page.find("[data-action=snapshot]").click()  # called as what changed, unless it gets a name
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.js(SNAPSHOTS) == ["Smile +1.2"]
    page.find(".v-snapshots [data-tool=rename]").click()
    page.driver.switch_to.active_element.send_keys(Keys.CONTROL + "a" + Keys.NULL, "For mum", Keys.ENTER)
    assert page.js(SNAPSHOTS) == ["For mum"]
    page.press("r")
    page.wait(lambda: page.js(SMILE) == 0)
    page.find(".v-snapshots .v-row-head").click()
    page.wait(lambda: page.js(SMILE) == 1.2)
    page.wait(lambda: np.array_equal(page.picture, smiling))
    page.wait(lambda: page.entries == ["0", "1", "2", "3"])

    # With the photo it comes back, however often the page is left.
    page = Page(page.driver, page.driver.current_url).showing_the_model().open(portrait)
    page.press("h")
    assert page.js(SNAPSHOTS) == ["For mum"]
    page.wait(lambda: page.js("return !!document.querySelector('.v-snapshots img').src"))
    page.js("document.querySelector('.v-shelf-example-row button').click()")
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.phase == "editing")
    assert page.js(SNAPSHOTS) == []  # another face's
    page.open(portrait)
    page.find(".v-snapshots [data-tool=remove]").click()
    assert page.js(SNAPSHOTS) == []
    assert page.js("return localStorage.getItem('visagist-snapshots')") == "{}"


def test_the_meter_says_nothing_before_an_edit_and_then_it_says_words(page: Page) -> None:
    assert page.js(WORDS) == ""
    step(page, "smile", 24)
    page.wait(lambda: page.js(WORDS) in [words for _, _, words in LEVELS])
    page.press("r")
    page.wait(lambda: page.js(WORDS) == "")


def test_tabs_that_hold_an_edit_are_marked(page: Page) -> None:
    marked = "return [...document.querySelectorAll('#tabs .v-edited')].map((e) => e.textContent)"
    assert page.js(marked) == []
    page.press("3")
    page.find("#slider-explore-overall-2 input[type=range]").send_keys(Keys.ARROW_RIGHT * 8)
    page.wait(lambda: page.js(marked) == ["Explore"])
    step(page, "smile", 8)
    page.wait(lambda: page.js(marked) == ["Sliders", "Explore"])
    page.press("r")
    page.wait(lambda: page.js(marked) == [])
