"""The Explore tab as a visitor meets it, in headless Chromium; and a model that has nothing else."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import DROP, SAID, Page, served
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from core.engine import Engine

pytestmark = pytest.mark.browser

ONE, OTHER = "explore-overall-2", "explore-coarse-1"
LABELS = (
    "return [...document.querySelectorAll(arguments[0] + ' .v-explored label')].map((e) => e.textContent)"
)
KEPT = LABELS.replace("arguments[0]", "'#kept'")
VALUE = "return Number(document.querySelector(arguments[0] + ' input[type=range]').value)"
FOCUS = "const e = document.activeElement; return [e.closest('.v-explored')?.id, e.dataset.do]"
BUTTONS = """
const shown = [...document.querySelectorAll("button")].filter((e) => e.offsetHeight);
return shown.map((e) => e.textContent.trim());
"""
FORBIDDEN = """
Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no", "SecurityError"); }});
"""


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Iterator[Page]:
    page = Page(browser, address).showing_the_model().open(portrait)
    page.press("3")
    page.wait(lambda: page.find("#explore").is_displayed())
    yield page
    page.js("localStorage.clear()")


def name(page: Page, row: str, *keys: str) -> None:
    page.find(f"#{row} [data-do=name]").click()
    page.find(f"#{row} input[type=text]").send_keys(*keys)


def test_moving_one_repaints_and_undo_and_reset_take_it_back(page: Page) -> None:
    untouched = page.picture
    assert not page.find("#tab-attributes").is_displayed()
    assert page.drag(ONE) >= 1
    page.wait(lambda: page.entries == ["0", "1"])
    moved, value = page.picture, page.js(VALUE, f"#slider-{ONE}")
    assert value > 0.5
    assert np.abs(moved - untouched).mean() > 1
    number = page.find(f"#slider-{OTHER} input[type=number]")
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("-9", Keys.TAB)
    page.wait(lambda: page.entries == ["0", "1", "2"])
    assert number.get_property("value") == "-3"
    for _ in range(2):
        page.press(Keys.CONTROL, "z")
    page.wait(lambda: np.array_equal(page.picture, untouched))
    assert page.js(VALUE, f"#slider-{ONE}") == page.js(VALUE, f"#slider-{OTHER}") == 0
    page.press(Keys.CONTROL, Keys.SHIFT, "z")
    page.wait(lambda: np.array_equal(page.picture, moved))
    assert page.js(VALUE, f"#slider-{ONE}") == value
    page.press("r")
    page.wait(lambda: np.array_equal(page.picture, untouched))
    assert page.js(VALUE, f"#slider-{ONE}") == 0


def test_a_name_is_kept_over_a_reload_and_can_be_changed_and_dropped(page: Page, portrait: Path) -> None:
    name(page, f"slider-{ONE}", "<b>Thirty</b> letters are too many", Keys.ENTER)
    assert page.js(FOCUS) == [f"slider-{ONE}", "name"]
    name(page, f"slider-{OTHER}", "Never mind", Keys.ESCAPE)
    title = "<b>Thirty</b> letters ar"
    assert page.js(LABELS, "#explore")[:2] == ["Direction 1", title]
    assert "Never mind" not in page.js(LABELS, "#explore")

    page = Page(page.driver, page.driver.current_url).showing_the_model().open(portrait)
    assert page.js(KEPT) == [title]
    assert page.find(f"#kept-{ONE}").is_displayed()
    untouched = page.picture
    page.find(f"#kept-{ONE} input[type=range]").send_keys(Keys.ARROW_RIGHT * 8)
    page.wait(lambda: page.entries == ["0", "1"])
    assert np.abs(page.picture - untouched).mean() > 0.5
    assert page.js(VALUE, f"#slider-{ONE}") == page.js(VALUE, f"#kept-{ONE}") == 0.4

    # Keys that elsewhere reset, show a tab, and undo.
    name(page, f"kept-{ONE}", "x", Keys.CONTROL + "z" + Keys.NULL, Keys.CONTROL + "a" + Keys.NULL, "Brr1")
    page.press(Keys.ENTER)
    assert page.js(KEPT) == ["Brr1"]
    assert page.entries == ["0", "1"]
    page.find(f"#kept-{ONE} [data-do=drop]").click()
    assert page.js(KEPT) == []
    assert not page.find("#kept").text
    assert page.js("return document.activeElement.id") == "show-attributes"
    assert page.js(VALUE, f"#slider-{ONE}") == 0.4
    page = Page(page.driver, page.driver.current_url)
    assert page.js(KEPT) == []


@pytest.mark.parametrize(
    "found", ["{", "[1]", '{"explore-overall-2": 3}', '{"smile": "Smile", "explore-overall-2": " "}']
)
def test_what_else_lies_in_the_storage_does_no_harm(page: Page, found: str) -> None:
    page.js(
        """
        document.querySelector(`#slider-${arguments[0]} [data-do=name]`).click();
        document.activeElement.value = "Mine";
        document.activeElement.blur();
        for (const key of Object.keys(localStorage)) localStorage.setItem(key, arguments[1]);
        """,
        ONE,
        found,
    )
    assert page.js(KEPT) == ["Mine"]
    page = Page(page.driver, page.driver.current_url)
    assert page.js(KEPT) == []
    assert page.js(LABELS, "#explore")[1] == "Direction 2"


def test_where_nothing_may_be_stored_a_name_lasts_as_long_as_the_page(page: Page, portrait: Path) -> None:
    blocked = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FORBIDDEN})
    try:
        again = Page(page.driver, page.driver.current_url).open(portrait)
        again.press("3")
        name(again, f"slider-{ONE}", "First", Keys.ENTER)
        name(again, f"slider-{OTHER}", "Second", Keys.ENTER)
        assert again.js(KEPT) == ["First", "Second"]
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", blocked)
        page.driver.refresh()


def test_on_a_phone_the_tab_fits_and_its_controls_are_as_high_as_a_thumb(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("document.getElementById('show-explore').click()")
    page.js(f"document.querySelector('#slider-{ONE} [data-do=name]').click()")
    page.driver.switch_to.active_element.send_keys("W" * 24, Keys.ENTER)
    page.js(f"document.querySelector('#slider-{OTHER} [data-do=name]').click()")
    assert page.js("return document.documentElement.scrollWidth") == 390
    low = page.js(
        """
        const controls = '#tabs button, #tab-explore :is(button, input:not([type=number]))';
        return [...document.querySelectorAll(controls)]
          .filter((e) => e.offsetHeight > 0 && e.offsetHeight < 40).map((e) => e.outerHTML.slice(0, 80));
        """
    )
    assert low == []
    page.js("localStorage.clear()")


def test_a_generator_alone_offers_its_own_faces_and_explore(
    browser: webdriver.Chrome, bare_engine: Engine, portrait: Path, tmp_path: Path
) -> None:
    with served(bare_engine, tmp_path) as address:
        page = Page(browser, address)
        assert "Open project" in page.js(BUTTONS)
        assert not {"Open photo", "Use webcam"} & set(page.js(BUTTONS))
        assert "cannot open photos" in page.find(".v-empty").text
        assert len(page.driver.find_elements("css selector", ".v-empty .v-example-row button")) == 6
        page.find(".v-empty .v-example-row button").click()
        page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
        assert page.find("#explore").is_displayed()
        untouched = page.picture
        page.drag(ONE)
        page.wait(lambda: page.entries == ["0", "1"])
        assert np.abs(page.picture - untouched).mean() > 1
        assert not {"Add photo", "Webcam"} & set(page.js(BUTTONS))
        page.press("1")
        assert "no named sliders" in page.find("#tab-attributes").text
        page.press("2")
        page.js(DROP, base64.b64encode(portrait.read_bytes()).decode(), "#takes")
        page.wait(lambda: "cannot open photos" in page.js(SAID))
        page.find(".v-shelf-example-row button:nth-child(2)").click()
        page.wait(lambda: page.driver.find_elements("css selector", "[data-list=own] .v-thumbnail"))
        assert not {"Add photo", "Webcam"} & set(page.js(BUTTONS))
