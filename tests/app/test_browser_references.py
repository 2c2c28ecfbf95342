"""The Reference tab as a visitor meets it, in headless Chromium; and projects, which bring its stack back."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import DROP, SAID, Page, served
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from app import panel
from app.messages import face_frame
from core.engine import Engine
from core.images import encode_png
from core.references import Take
from core.session import EditRequest

pytestmark = pytest.mark.browser

STACK = """
return [...document.querySelectorAll('.v-take')].map((row) => [
  row.querySelector('.v-take-head span').textContent, row.querySelector('output').textContent]);
"""
KEYS = "return [...document.querySelectorAll(arguments[0])].map((e) => e.dataset.key)"
OWN = KEYS.replace("arguments[0]", "'[data-list=own] .v-thumbnail'")
BOTH = "Smile, Youth"


@pytest.fixture(scope="module")
def address(taking_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        # Of what the tiny model can give; the first is what its first attributes are anyway.
        patch.setattr(panel, "SETS", {"Both": ("smile", "young"), "Age": ("young",)})
        with served(taking_engine, tmp_path_factory.mktemp("gradio")) as address:
            yield address


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Page:
    page = Page(browser, address).showing_the_model().open(portrait)
    page.press("2")
    page.wait(lambda: page.find("#takes").is_displayed())
    return page


@pytest.fixture
def another(tmp_path: Path, photo: np.ndarray) -> Path:
    """A photo of somebody who is not open."""
    path = tmp_path / "another.png"
    path.write_bytes(encode_png(photo[:, ::-1]))
    return path


def gallery(page: Page, number: int) -> None:
    page.driver.find_elements(By.CSS_SELECTOR, "[data-list=gallery] .v-thumbnail")[number].click()


def settled(page: Page, *entries: int) -> None:
    page.wait(lambda: page.entries == [str(entry) for entry in entries])


def shown(page: Page, expected: np.ndarray) -> bool:
    """Whether the stage shows this face (R, R, 3), as near as its JPEG gets."""
    return bool(np.abs(page.picture - face_frame(expected)).mean() < 3)


def test_a_click_edits_at_once_and_faces_are_tried_one_after_another(
    page: Page, taking_engine: Engine, photo: np.ndarray
) -> None:
    untouched = page.picture
    gallery(page, 0)
    settled(page, 0, 1)
    assert page.js(STACK) == [[BOTH, "1.00"]]
    first = page.picture
    assert np.abs(first - untouched).mean() > 2
    gallery(page, 1)  # the face of before was not touched: this one takes its place
    settled(page, 0, 1, 2)
    assert page.js(STACK) == [[BOTH, "1.00"]]
    take = Take(taking_engine.gallery[1], ("smile", "young"))
    portrait = taking_engine.refine(taking_engine.open_portrait(photo), "fast")
    expected = taking_engine.edit(portrait, EditRequest(refine="fast", takes=(take,)))
    page.wait(lambda: shown(page, expected))
    page.find(".v-take input[type=range]").send_keys(Keys.ARROW_LEFT * 4)
    settled(page, 0, 1, 2, 3)
    gallery(page, 2)
    settled(page, 0, 1, 2, 3, 4)
    assert page.js(STACK) == [[BOTH, "0.80"], [BOTH, "1.00"]]

    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(STACK) == [[BOTH, "0.80"]])
    for _ in range(2):
        page.press(Keys.CONTROL, "z")
    page.wait(lambda: np.array_equal(page.picture, first))
    page.press(Keys.CONTROL, Keys.SHIFT, "z")
    page.wait(lambda: shown(page, expected))
    page.press("r")
    page.wait(lambda: page.js(STACK) == [])
    page.wait(lambda: np.array_equal(page.picture, untouched))
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.00"]])


def test_the_picture_follows_the_amount_and_a_drag_is_one_entry(page: Page) -> None:
    gallery(page, 0)
    settled(page, 0, 1)
    before = page.painted
    thumb = page.find(".v-take input[type=range]")
    hand = ActionChains(page.driver).move_to_element_with_offset(thumb, 40, 0).click_and_hold()
    for _ in range(4):
        hand.move_by_offset(12, 0).pause(0.1)
    hand.perform()
    page.wait(lambda: page.painted > before)
    assert page.entries == ["0", "1"]
    ActionChains(page.driver).release().perform()
    settled(page, 0, 1, 2)
    assert float(page.js(STACK)[0][1]) > 1


def test_what_to_take_its_order_and_removal(page: Page, taking_engine: Engine, photo: np.ndarray) -> None:
    gallery(page, 0)
    page.find(".v-what input[name=young]").click()
    page.find(".v-what input[name=coarse]").click()
    settled(page, 0, 1)
    assert page.js(STACK) == [["Smile, Coarse", "1.00"]]
    gallery(page, 1)  # touched: another entry, with what was chosen last
    page.wait(lambda: page.js(STACK) == [["Smile, Coarse", "1.00"]] * 2)
    page.find(".v-take:nth-child(2) input[name=smile]").click()
    page.find(".v-take:nth-child(2) [data-do=up]").click()
    page.wait(lambda: page.js(STACK) == [["Coarse", "1.00"], ["Smile, Coarse", "1.00"]])
    # The focus goes along, so that the same key moves it on.
    assert page.js("return document.activeElement.closest('.v-take').dataset.index") == "0"
    one, other, _ = taking_engine.gallery
    takes = (Take(other, ("coarse",)), Take(one, ("smile", "coarse")))
    portrait = taking_engine.refine(taking_engine.open_portrait(photo), "fast")
    expected = taking_engine.edit(portrait, EditRequest(refine="fast", takes=takes))
    page.wait(lambda: shown(page, expected))
    page.find(".v-take:nth-child(2) [data-do=remove]").click()
    page.wait(lambda: page.js(STACK) == [["Coarse", "1.00"]])
    page.find(".v-take [data-do=remove]").click()
    page.wait(lambda: page.js(STACK) == [])
    assert page.find(".v-takes-empty").is_displayed()


def test_a_set_is_one_click_and_the_next_face_gives_it_too(page: Page) -> None:
    gallery(page, 0)
    settled(page, 0, 1)
    pressed = "return [...document.querySelectorAll('.v-set')].map((b) => [b.textContent, b.ariaPressed])"
    assert page.js(pressed) == [["Both", "true"], ["Age", "false"]]
    page.find("[data-set=Age]").click()
    page.wait(lambda: page.js(STACK) == [["Youth", "1.00"]])
    assert page.js(pressed) == [["Both", "false"], ["Age", "true"]]
    assert page.js("return document.activeElement.dataset.set") == "Age"
    gallery(page, 1)  # as one tries faces: this one takes its place
    page.wait(
        lambda: (
            page.js(KEYS, "[data-list=gallery] .v-selected")
            == page.js(KEYS, "[data-list=gallery] .v-face:nth-child(2) .v-thumbnail")
        )
    )
    assert page.js(STACK) == [["Youth", "1.00"]]
    page.find(".v-what input[name=smile]").click()
    page.wait(lambda: page.js(pressed) == [["Both", "true"], ["Age", "false"]])


def test_sliders_act_on_top(page: Page) -> None:
    gallery(page, 0)
    settled(page, 0, 1)
    taken = page.picture
    page.press("1")
    assert not page.find("#takes").is_displayed()
    page.drag("male")
    settled(page, 0, 1, 2)
    assert np.abs(page.picture - taken).mean() > 1
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: np.array_equal(page.picture, taken))


def test_a_photo_dropped_on_the_tab_is_taken_from_and_the_portrait_stays(
    page: Page, another: Path, portrait: Path
) -> None:
    page.js(DROP, base64.b64encode(another.read_bytes()).decode(), "#takes")
    page.wait(lambda: len(page.js(OWN)) == 1)
    settled(page, 0, 1)
    assert page.js(STACK) == [[BOTH, "1.00"]]
    taken = page.picture
    page.find(".v-face").click()
    ActionChains(page.driver).move_to_element(page.find(".v-face")).perform()
    page.find(".v-face-remove").click()
    page.wait(lambda: page.js(OWN) == [])
    page.wait(lambda: "the edit that takes from it stays" in page.js(SAID))
    assert page.js(STACK) == [[BOTH, "1.00"]]
    page.press("r")
    page.wait(lambda: page.js(STACK) == [])
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: np.array_equal(page.picture, taken))
    assert page.js("return document.querySelector('.v-take img').naturalWidth") > 0
    # The open face itself gives nothing, and says so.
    page.find("#upload-reference input[type=file]").send_keys(str(portrait))
    page.wait(lambda: "the face that is open" in page.js(SAID))
    assert page.js(OWN) == []
    assert page.js("return document.querySelector('.v-busy').textContent") == ""


def test_the_webcam_adds_a_face_too(page: Page, another: Path) -> None:
    page.js(
        """
        const image = new Image(), canvas = document.createElement("canvas");
        image.src = "data:image/png;base64," + arguments[0];
        canvas.width = canvas.height = 512;
        image.decode().then(() => canvas.getContext("2d").drawImage(image, 0, 0));
        setInterval(() => canvas.getContext("2d").drawImage(image, 0, 0), 100);
        navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
        """,
        base64.b64encode(another.read_bytes()).decode(),
    )
    page.find("[data-action=add-webcam]").click()
    page.wait(lambda: page.js("return document.querySelector('.v-webcam video').currentTime") > 0.3)
    page.find("[data-action=shoot]").click()
    page.wait(lambda: len(page.js(OWN)) == 1)
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.00"]])
    page.js("document.querySelector('[data-list=own] .v-thumbnail').focus()")
    page.press(Keys.DELETE)
    page.wait(lambda: page.js(OWN) == [])


def test_tabs_and_lists_by_keyboard(page: Page) -> None:
    focus = "return document.activeElement.id || document.activeElement.dataset.key"
    chosen = "return [...document.querySelectorAll('[role=tab]')].map((e) => e.getAttribute('aria-selected'))"
    assert page.js(chosen) == ["false", "false", "true", "false", "false"]
    page.find("#show-reference").send_keys(Keys.ARROW_LEFT)
    assert page.js(focus) == "show-looks"
    page.find("#show-looks").send_keys(Keys.ARROW_LEFT)
    assert page.js(focus) == "show-attributes"
    assert page.js(chosen) == ["true", "false", "false", "false", "false"]
    assert page.find("#slider-smile").is_displayed()
    panel = page.find("#tab-reference")
    assert panel.get_attribute("role") == "tabpanel"
    assert panel.get_attribute("aria-labelledby") == "show-reference"
    page.press("2")
    keys = page.js(KEYS, "[data-list=gallery] .v-thumbnail")
    page.js("document.querySelector('[data-list=gallery] .v-thumbnail').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert page.js(focus) == keys[1]
    page.press(Keys.ENTER)
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.00"]])
    assert page.js(KEYS, "[data-list=gallery] [aria-pressed=true]") == [keys[1]]


def test_a_project_brings_the_stack_back(page: Page, another: Path, tmp_path: Path) -> None:
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    page.find("#upload-reference input[type=file]").send_keys(str(another))
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.00"]])
    settled(page, 0, 1)
    gallery(page, 2)  # in its place
    page.find(".v-take input[type=range]").send_keys(Keys.ARROW_RIGHT * 5)
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.25"]])
    settled(page, 0, 1, 2)
    edited, own = page.picture, page.js(OWN)
    page.find("[data-action=export]").click()
    page.find("[data-action=export-project]").click()
    page.wait(lambda: list(tmp_path.glob("*.visagist")))
    saved = tmp_path / "astronaut.visagist"

    page = Page(page.driver, page.driver.current_url)
    data = base64.b64encode(saved.read_bytes()).decode()
    page.js(DROP.replace("face.png", "portrait.visagist").replace("image/png", ""), data, ".v-canvas")
    page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.25"]])
    assert page.entries == ["0", "1", "2"]
    assert page.js(OWN) == own
    np.testing.assert_array_equal(page.picture, edited)
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(STACK) == [[BOTH, "1.00"]])
    assert page.js("return document.querySelector('.v-take img').naturalWidth") > 0


def test_on_a_phone_the_tab_fits_and_its_controls_are_as_high_as_a_thumb(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("document.getElementById('show-reference').click()")
    page.js("document.querySelectorAll('[data-list=gallery] .v-thumbnail')[0].click()")
    settled_stack = [[BOTH, "1.00"]]
    page.wait(lambda: page.js(STACK) == settled_stack)
    assert page.js("return document.documentElement.scrollWidth") == 390
    low = page.js(
        """
        const controls = '#tabs button, #tab-reference :is(button, label, input[type=range])';
        return [...document.querySelectorAll(controls)]
          .filter((e) => e.offsetHeight > 0 && e.offsetHeight < 40).map((e) => e.outerHTML.slice(0, 80));
        """
    )
    assert low == []


def test_the_gallery_is_cut_in_no_row(page: Page) -> None:
    page.press("2")
    grid = "document.querySelector('.v-face-grid[data-list=gallery]')"
    page.wait(lambda: page.js(f"return {grid}.checkVisibility()"))
    assert page.js(f"return {grid}.scrollHeight - {grid}.clientHeight") == 0
