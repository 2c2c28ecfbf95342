"""Looks as a visitor meets them, in headless Chromium: worn, saved, passed on; and settings that travel."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import SAID, Page, served
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from core.checkpoints import Bundle
from core.config import LookConfig
from core.engine import Engine
from core.looks import read_look, write_look

pytestmark = pytest.mark.browser

LOOKS = (
    LookConfig("Sunny", {"smile": 1.2, "male": -0.5}, "Mood"),
    LookConfig("Grim", {"smile": -1.5}, "Mood"),
    LookConfig("Younger", {"young": 1}, "Age"),
    LookConfig("In a hat", {"hat": 1}, "Age"),
)
VALUES = """
const ranges = document.querySelectorAll("#tab-attributes .v-slider:not(.v-explored) input[type=range]");
return [...ranges].map(e => Number(e.value));
"""
TILES = "return [...document.querySelectorAll('#looks .v-look')].map((e) => e.textContent)"
WORN = "return [...document.querySelectorAll('#looks [aria-pressed=true]')].map((e) => e.textContent)"
PICTURES = "return [...document.querySelectorAll('#looks .v-look img')].map((e) => e.getAttribute('src'))"
OWN = "return [...document.querySelectorAll('.v-looks-own .v-row-head')].map((e) => e.textContent)"
WEAR = "[...document.querySelectorAll('#looks .v-look')].find((e) => e.textContent === arguments[0]).click()"
ABLE = "return document.querySelector(`[data-action=${arguments[0]}]`).ariaDisabled === 'false'"


@pytest.fixture(scope="module")
def address(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = dataclasses.replace(tiny_bundle.config, looks=LOOKS)
    engine = Engine(dataclasses.replace(tiny_bundle, config=config))
    engine._precedence._quiet = 0.0
    with served(engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address
    engine.close()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Iterator[Page]:
    page = Page(browser, address).showing_the_model().open(portrait)
    page.press("l")
    page.wait(lambda: page.find("#looks").is_displayed())
    yield page
    page.js("localStorage.clear()")


def name(page: Page, *keys: str) -> None:
    page.driver.switch_to.active_element.send_keys(*keys)


def test_each_look_is_shown_on_the_face_once_somebody_looks(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address).open(portrait)
    assert page.js(TILES) == ["Sunny", "Grim", "Younger"]  # the model has no slider for hats
    assert page.js(PICTURES) == [None] * 3
    painted = page.painted
    page.press("l")
    page.wait(lambda: None not in page.js(PICTURES))
    assert len(set(page.js(PICTURES))) == 3
    assert page.painted == painted  # the picture of the face is as it was
    first = page.js(PICTURES)
    page.js("document.querySelector('.v-shelf-example-row button').click()")
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.phase == "editing")
    page.wait(lambda: None not in page.js(PICTURES) and not set(page.js(PICTURES)) & set(first))


def test_a_tap_wears_a_look_and_one_undo_takes_it_off(page: Page) -> None:
    untouched = page.picture
    page.js(WEAR, "Sunny")
    page.wait(lambda: page.entries == ["0", "1"])
    assert page.js(VALUES) == [1.2, 0, -0.5]
    assert page.js(WORN) == ["Sunny"]
    sunny = page.picture
    assert np.abs(sunny - untouched).mean() > 1
    page.js(WEAR, "Grim")  # in the place of the other mood
    page.wait(lambda: page.js(VALUES) == [-1.5, 0, 0])
    page.js(WEAR, "Younger")  # beside the mood
    page.wait(lambda: page.js(VALUES) == [-1.5, 1, 0])
    page.wait(lambda: page.js(WORN) == ["Grim", "Younger"])
    page.js(WEAR, "Grim")  # off again
    page.wait(lambda: page.js(VALUES) == [0, 1, 0])
    page.wait(lambda: page.entries == ["0", "1", "2", "3", "4"])
    for _ in range(3):
        page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(VALUES) == [1.2, 0, -0.5])
    page.wait(lambda: np.array_equal(page.picture, sunny))
    assert page.js(WORN) == ["Sunny"]
    # Adjusted by hand it is the visitor's own, and no other look takes it away.
    page.press("1")
    page.find("#slider-male input[type=range]").send_keys(Keys.ARROW_RIGHT * 4)
    page.wait(lambda: page.js(WORN) == [])
    page.js(WEAR, "Younger")
    page.wait(lambda: page.js(VALUES) == [1.2, 1, -0.3])


def test_a_look_of_ones_own_is_saved_renamed_worn_and_removed(page: Page, portrait: Path) -> None:
    assert not page.js(ABLE, "look-save")
    page.js(WEAR, "Sunny")
    page.wait(lambda: page.js(ABLE, "look-save"))
    page.find("[data-action=look-save]").click()
    name(page, "Never mind", Keys.ESCAPE)
    assert page.js(OWN) == []
    page.find("[data-action=look-save]").click()
    name(page, "<b>Mine</b> r1", Keys.ENTER)  # letters that are keys elsewhere
    assert page.js(OWN) == ["<b>Mine</b> r1"]
    assert page.entries == ["0", "1"]
    page.wait(lambda: page.js("return !!document.querySelector('.v-looks-own img').src"))

    page = Page(page.driver, page.driver.current_url).showing_the_model().open(portrait)
    page.press("l")
    page.find(".v-looks-own [data-tool=rename]").click()
    name(page, Keys.CONTROL + "a" + Keys.NULL, "Best of me", Keys.ENTER)
    assert page.js(OWN) == ["Best of me"]
    page.find(".v-looks-own .v-row-head").click()
    page.wait(lambda: page.js(VALUES) == [1.2, 0, -0.5])
    page.find(".v-looks-own [data-tool=remove]").click()
    assert page.js(OWN) == []
    assert page.js("return document.activeElement.dataset.action") == "look-save"
    assert page.js(VALUES) == [1.2, 0, -0.5]
    page = Page(page.driver, page.driver.current_url)
    assert page.js(OWN) == []


def test_a_look_goes_out_as_a_file_and_comes_in_again(page: Page, tmp_path: Path) -> None:
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    page.js(WEAR, "Sunny")
    page.wait(lambda: page.js(ABLE, "look-save"))
    page.find("[data-action=look-save]").click()
    name(page, "My look", Keys.ENTER)
    page.find(".v-looks-own [data-tool=export]").click()
    saved = tmp_path / "My look.look.json"
    page.wait(lambda: saved.exists() and saved.stat().st_size)
    look = read_look(saved.read_bytes())
    assert look == LookConfig("My look", {"smile": 1.2, "male": -0.5})

    upload = page.find(".v-look-file")
    friends = tmp_path / "friend.json"
    friends.write_text(write_look(LookConfig("A friend's", {"young": -2, "wig": 1})), encoding="utf-8")
    upload.send_keys(str(friends))
    page.wait(lambda: page.js(OWN) == ["My look", "A friend's"])
    page.wait(lambda: "lacks 1 of its sliders" in page.js(SAID))
    for content in ("{", "x" * 70000, json.dumps({**json.loads(write_look(look)), "sliders": {"smile": 9}})):
        friends.write_text(content, encoding="utf-8")
        page.js("document.querySelector('.v-passing').hidden = true")
        upload.send_keys(str(friends))
        page.wait(lambda: "look" in page.js(SAID))
        assert page.js(OWN) == ["My look", "A friend's"]


@pytest.mark.parametrize(
    "found", ["{", "3", "{}", "[3]", '[{"name": "x"}]', '[{"name": 3, "sliders": {"smile": 1}}]',
              '[{"name": "x", "sliders": {"smile": "1"}}]', '[{"name": " ", "sliders": {"smile": 1}}]'],
)  # fmt: skip
def test_what_else_lies_in_the_browser_does_no_harm(page: Page, found: str) -> None:
    for key in ("looks", "copied", "snapshots", "favourites"):
        page.js("localStorage.setItem(`visagist-${arguments[0]}`, arguments[1])", key, found)
    again = Page(page.driver, page.driver.current_url)
    assert again.js(OWN) == []
    assert not again.js(ABLE, "settings-paste")


def test_settings_travel_to_another_photo(page: Page) -> None:
    assert not page.js(ABLE, "settings-paste")
    page.js(WEAR, "Sunny")
    page.wait(lambda: page.entries == ["0", "1"] and page.js(VALUES) == [1.2, 0, -0.5])
    page.press("3")
    page.find("#slider-explore-overall-2 input[type=range]").send_keys(Keys.ARROW_RIGHT * 8)
    page.wait(lambda: page.entries == ["0", "1", "2"])
    page.press("l")
    page.find("[data-action=settings-copy]").click()
    page.wait(lambda: page.js(SAID).startswith("Copied"))
    page.js("document.querySelector('.v-shelf-example-row button').click()")
    page.wait(lambda: page.phase == "opening")
    page.wait(lambda: page.phase == "editing")
    page.wait(lambda: page.js(VALUES) == [0, 0, 0])
    page.find("[data-action=settings-paste]").click()
    page.wait(lambda: page.js(VALUES) == [1.2, 0, -0.5])
    explored = "return Number(document.querySelector('#slider-explore-overall-2 input[type=range]').value)"
    assert page.js(explored) == 0.4
    page.wait(lambda: page.entries == ["0", "1"])


def test_a_look_in_a_letter_is_worn_as_it_is_pasted(page: Page) -> None:
    paste = """
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", arguments[0]);
    document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
    """
    page.js(paste, write_look(LookConfig("Hers", {"young": 0.5})))
    page.wait(lambda: page.js(VALUES) == [0, 0.5, 0])
    page.js(paste, '{"visagist": "look"}')
    page.wait(lambda: page.js(SAID).startswith("This is no look"))
    page.js(paste, "some words")
    assert page.js(VALUES) == [0, 0.5, 0]


def test_on_a_phone_it_fits_and_is_as_high_as_a_thumb(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("document.getElementById('show-looks').click()")
    page.js(WEAR, "Sunny")
    page.wait(lambda: page.js(ABLE, "look-save"))
    page.js("document.querySelector('[data-action=look-save]').click()")
    name(page, "W" * 40, Keys.ENTER)
    assert page.js("return document.documentElement.scrollWidth") == 390
    low = page.js(
        """
        return [...document.querySelectorAll('#tabs button, #tab-looks :is(button, input)')]
          .filter((e) => e.offsetHeight > 0 && e.offsetHeight < 40).map((e) => e.outerHTML.slice(0, 80));
        """
    )
    assert low == []
    page.js("localStorage.clear()")
