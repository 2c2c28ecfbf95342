"""Sliders in groups, in headless Chromium: one group is shown, and what was moved in another is marked."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Page, served
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.engine import Engine

pytestmark = pytest.mark.browser

SHOWN = """
const shown = [...document.querySelectorAll('#tab-attributes .v-slider')].filter((e) => e.offsetHeight);
return shown.map((e) => e.id);
"""
CHIPS = "return [...document.querySelectorAll('.v-groups button')].map((e) => e.textContent)"
MARKED = "return [...document.querySelectorAll('.v-groups .v-moved')].map((e) => e.textContent)"


@pytest.fixture(scope="module")
def address(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Smile and gender stand in one group, youth between them in another."""
    smile, young, male = tiny_bundle.config.attributes
    grouped = tuple(
        dataclasses.replace(attribute, group=group)
        for attribute, group in ((smile, "Face"), (young, ""), (male, "Face"))
    )
    folder = tmp_path_factory.mktemp("bundles") / "grouped"
    config = dataclasses.replace(tiny_bundle.config, name="grouped", attributes=grouped)
    save_bundle(folder, dataclasses.replace(tiny_bundle, config=config))
    engine = Engine(load_bundle(folder))
    with served(engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address
    engine.close()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Page:
    return Page(browser, address).showing_the_model().open(portrait)


def test_one_group_is_shown_at_a_time(page: Page) -> None:
    assert page.js(CHIPS) == ["Face", "Other"]
    assert page.js(SHOWN) == ["slider-smile", "slider-male"]
    page.find("#show-group-1").click()
    assert page.js(SHOWN) == ["slider-young"]
    page.find("#show-group-1").send_keys(Keys.ARROW_RIGHT)
    assert page.js(SHOWN) == ["slider-smile", "slider-male"]
    assert page.js("return document.activeElement.id") == "show-group-0"
    group = page.find("#group-0")
    assert group.get_attribute("role") == "tabpanel"
    assert group.get_attribute("aria-labelledby") == "show-group-0"


def test_a_slider_moves_whichever_group_it_is_in_and_its_group_is_marked(page: Page) -> None:
    untouched = page.picture
    page.find("#show-group-1").click()
    page.drag("young")
    page.wait(lambda: page.entries == ["0", "1"])
    moved = page.picture
    assert abs(moved - untouched).mean() > 1
    page.find("#show-group-0").click()
    assert page.js(MARKED) == ["Other"]
    page.drag("male")
    page.wait(lambda: page.entries == ["0", "1", "2"])
    assert page.js(MARKED) == ["Face", "Other"]
    # The order of values is the model's, whatever the order on the page: the same edit as without groups.
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: abs(page.picture - moved).max() == 0)
    page.wait(lambda: page.js(MARKED) == ["Other"])
    page.press("r")
    page.wait(lambda: abs(page.picture - untouched).max() == 0)
    page.wait(lambda: page.js(MARKED) == [])


def test_a_slider_is_found_by_a_word_whatever_its_group(page: Page) -> None:
    field = page.find(".v-find")
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    said = lambda: page.find(".v-matches").text  # noqa: E731

    field.send_keys("You")  # Youth, the beginning of a label
    assert page.js(SHOWN) == ["slider-young"]
    assert page.js("return document.querySelectorAll('.v-groups [aria-selected=true]').length") == 0
    field.send_keys(Keys.BACKSPACE * 3 + "face")  # a kind
    assert page.js(SHOWN) == ["slider-smile", "slider-male"]
    field.send_keys(Keys.ARROW_RIGHT)
    assert page.js("return document.activeElement.className") == "v-find"
    assert said() == ""
    field.send_keys(Keys.BACKSPACE * 4 + "ale")  # within a word
    assert page.js(SHOWN) == []
    assert said() == "No slider is called that."
    field.send_keys(Keys.BACKSPACE * 3 + "r")  # no shortcut while it is typed
    field.send_keys(Keys.ESCAPE)
    assert page.js(SHOWN) == ["slider-smile", "slider-male"]
    assert said() == ""
    assert page.entries == ["0", "1"]

    field.send_keys("male")
    page.drag("male")
    page.wait(lambda: page.entries == ["0", "1", "2"])
    page.find("#show-group-1").click()
    assert page.js(SHOWN) == ["slider-young"]
    assert field.get_attribute("value") == ""


STARRED = "return [...document.querySelectorAll('.v-star[aria-pressed=true]')].map((e) => e.ariaLabel)"


def test_favourites_are_a_group_of_their_own_and_stay_in_the_browser(page: Page, portrait: Path) -> None:
    page.find("#show-group-1").click()
    page.js("document.querySelector('#slider-young .v-star').click()")
    assert page.js(CHIPS) == ["Favourites", "Face", "Other"]
    page.find("#show-group-0").click()
    page.find("#slider-male input[type=range]").send_keys("f")
    assert page.js(STARRED) == ["Favourite: Gender", "Favourite: Youth"]
    page.find("#show-favourites").click()
    assert page.js(SHOWN) == ["slider-male", "slider-young"]
    page.find("#show-favourites").send_keys(Keys.ARROW_RIGHT)
    assert page.js("return document.activeElement.id") == "show-group-0"

    page = Page(page.driver, page.driver.current_url).open(portrait)
    page.wait(lambda: page.js(STARRED) == ["Favourite: Gender", "Favourite: Youth"])
    assert page.js(CHIPS)[0] == "Favourites"
    assert page.js(SHOWN) == ["slider-male", "slider-young"]  # what a visitor uses most comes first
    page.js("document.querySelector('#slider-young .v-star').click()")
    assert page.js(SHOWN) == ["slider-male"]
    page.find("#slider-male input[type=range]").send_keys("f")
    assert page.js(CHIPS) == ["Face", "Other"]
    assert page.js(SHOWN) == ["slider-smile", "slider-male"]
    assert page.entries == []
    page.js("localStorage.clear()")


def test_a_star_comes_back_where_the_panel_is_mounted_anew(page: Page) -> None:
    page.js("document.querySelector('#slider-young .v-star').remove()")
    page.wait(lambda: page.js("return document.querySelectorAll('.v-star').length") == 3)
