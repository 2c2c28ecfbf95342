"""The app as a visitor meets it, in headless Chromium: open, drag, undo, reset, export, bad files."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsing import SAID, Page, served
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app.ui import EXAMPLES
from core.checkpoints import Bundle
from core.engine import Engine
from core.images import open_image
from core.refinement.gradient_modules import GradientSettings
from core.session import EditRequest, View

pytestmark = pytest.mark.browser

TOUCHED = """
const ranges = document.querySelectorAll("#tab-attributes .v-slider input[type=range]");
return [...ranges].map(e => Number(e.value));
"""


@pytest.fixture(scope="module")
def address(tiny_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tiny_engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture(scope="module")
def refining(
    refining_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Engine]]:
    """The app on a model with refiners, and its engine."""
    engine = Engine(refining_bundle)
    with served(engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address, engine


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Page:
    return Page(browser, address).showing_the_model().open(portrait)


def test_the_picture_follows_the_drag_and_undo_and_reset_bring_it_back(page: Page) -> None:
    untouched = page.picture
    assert untouched.shape == (512, 512, 3)
    assert page.drag("smile") >= 1
    page.wait(lambda: page.entries == ["0", "1"])
    moved = page.js(TOUCHED)
    assert moved[0] > 0.5
    assert moved[1:] == [0, 0]
    smiling = page.picture
    assert np.abs(smiling - untouched).mean() > 1

    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(TOUCHED) == [0, 0, 0])
    page.wait(lambda: np.array_equal(page.picture, untouched))

    page.press(Keys.CONTROL, Keys.SHIFT, "z")
    page.wait(lambda: page.js(TOUCHED) == moved)
    page.wait(lambda: np.array_equal(page.picture, smiling))

    page.press("r")
    page.wait(lambda: page.js(TOUCHED) == [0, 0, 0])
    page.wait(lambda: np.array_equal(page.picture, untouched))
    assert page.entries == ["0", "1", "2"]


def test_arrow_keys_move_a_slider_and_a_double_click_on_its_name_resets_it(page: Page) -> None:
    page.find("#slider-young input[type=range]").send_keys(Keys.ARROW_RIGHT * 4)
    page.wait(lambda: page.entries == ["0", "1"])
    assert page.js(TOUCHED) == [0, 0.2, 0]
    ActionChains(page.driver).double_click(page.find("#slider-young label")).perform()
    page.wait(lambda: page.entries == ["0", "1", "2"])
    assert page.js(TOUCHED) == [0, 0, 0]


def test_the_export_is_the_picture_at_full_quality(
    page: Page, tmp_path: Path, tiny_engine: Engine, photo: np.ndarray
) -> None:
    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    page.js("document.querySelector('#output input[value=photo]').click()")
    page.wait(lambda: page.js("return document.querySelector('.v-after img').naturalWidth") == 512)
    page.wait(lambda: np.abs(page.picture[-50:] - photo[-50:]).mean() < 3)
    page.find("[data-action=export]").click()
    page.find("[data-action=export-save]").click()
    page.wait(lambda: list(tmp_path.glob("*.png")))
    (saved,) = tmp_path.glob("*.png")
    time.sleep(0.2)  # the browser renames the finished file; its bytes are complete by then
    wanted = EditRequest({"smile": page.js(TOUCHED)[0]}, view=View(output="photo"))
    expected = tiny_engine.edit(tiny_engine.open_portrait(photo), wanted)
    np.testing.assert_array_equal(open_image(saved), expected)


def test_a_photo_opens_as_it_is_and_whole(
    browser: webdriver.Chrome, address: str, portrait: Path, photo: np.ndarray
) -> None:
    page = Page(browser, address).open(portrait)
    assert np.abs(page.picture - photo).mean() < 3  # a JPEG's loss
    for name in ("start", "output"):
        assert page.js(f"return document.querySelector('#{name} input:checked').value") == "photo"
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    changed = np.abs(page.picture - photo).mean(-1) > 25
    assert page.picture.shape == photo.shape
    assert changed.any()
    assert not changed[-100:].any()  # far below the face


def test_before_is_the_photo_and_compare_shows_both(page: Page) -> None:
    visible = "return getComputedStyle(document.querySelector(arguments[0])).visibility"
    assert page.js(visible, ".v-before") == "hidden"
    ActionChains(page.driver).key_down("b").perform()
    page.wait(lambda: page.js(visible, ".v-before") == "visible")
    assert page.js(visible, ".v-after") == "hidden"
    ActionChains(page.driver).key_up("b").perform()
    page.wait(lambda: page.js(visible, ".v-before") == "hidden")
    page.find("[data-action=compare]").click()
    page.wait(lambda: page.js(visible, ".v-before") == "visible")
    assert page.js(visible, ".v-after") == "visible"
    handle = page.find(".v-compare")
    handle.send_keys(Keys.HOME)
    page.wait(lambda: "0%" in page.js("return getComputedStyle(document.querySelector('.v-after')).clipPath"))


def test_a_file_that_is_no_picture_is_one_sentence_and_loses_nothing(page: Page, tmp_path: Path) -> None:
    page.drag("smile")
    page.wait(lambda: page.entries == ["0", "1"])
    sliders, picture = page.js(TOUCHED), page.picture
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    page.find("#upload input[type=file]").send_keys(str(broken))
    page.wait(lambda: page.js(SAID))
    assert page.js(SAID).startswith("This file is not a picture we can open")
    page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
    assert page.js(TOUCHED) == sliders
    np.testing.assert_array_equal(page.picture, picture)


def test_every_resource_comes_from_the_server_itself(page: Page, address: str) -> None:
    names = page.js("return performance.getEntriesByType('resource').map(e => e.name)")
    own = (address.rstrip("/"), "data:", "blob:")
    assert names
    assert [name for name in names if not name.startswith(own)] == []


def test_on_a_phone_nothing_scrolls_sideways_and_the_picture_stays(
    browser: webdriver.Chrome, address: str, portrait: Path
) -> None:
    page = Page(browser, address, 390, 844).open(portrait)
    assert page.js("return document.documentElement.scrollWidth") == 390
    page.js("window.scrollTo(0, 10000)")
    page.wait(lambda: page.js("return scrollY") > 100)
    top, bottom = page.js(
        "const r = document.querySelector('.v-canvas').getBoundingClientRect(); return [r.top, r.bottom]"
    )
    assert 0 <= top < bottom < 844 / 2 + 60
    # What lies under the sticky picture must not shine through it.
    over = "return !!document.elementFromPoint(195, arguments[0]).closest('#stage')"
    assert all(page.js(over, y) for y in range(int(top) + 5, int(bottom), 20))


BEGIN = """
const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
const file = new File([bytes], "portrait.png", {type: "image/png"});
const data = new DataTransfer();
data.items.add(file);
"""
WAYS_IN = {
    "drop": "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data}));",
    "paste": "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}));",
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_a_photo_can_be_dropped_and_pasted(
    browser: webdriver.Chrome, address: str, portrait: Path, photo: np.ndarray, way: str
) -> None:
    page = Page(browser, address)
    page.js(BEGIN + WAYS_IN[way], base64.b64encode(portrait.read_bytes()).decode())
    page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
    assert np.abs(page.picture - photo).mean() < 3


def test_a_webcam_picture_is_opened(browser: webdriver.Chrome, address: str, portrait: Path) -> None:
    page = Page(browser, address)
    # The camera is a canvas that shows the portrait.
    page.js(
        """
        const image = new Image(), canvas = document.createElement("canvas");
        image.src = "data:image/png;base64," + arguments[0];
        canvas.width = canvas.height = 512;
        setInterval(() => canvas.getContext("2d").drawImage(image, 0, 0), 100);
        navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
        """,
        base64.b64encode(portrait.read_bytes()).decode(),
    )
    page.find(".v-empty [data-action=webcam]").click()
    page.wait(lambda: page.js("return document.querySelector('.v-webcam video').videoWidth") == 512)
    time.sleep(0.5)  # the image may be painted a frame after the video has begun
    page.find("[data-action=shoot]").click()
    page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
    assert not page.js("return document.querySelector('.v-webcam').open")


def test_an_example_face_is_one_click_away(browser: webdriver.Chrome, address: str) -> None:
    page = Page(browser, address)
    page.find(".v-empty .v-example-row [aria-label='Example 1']").click()
    page.wait(lambda: page.js("return document.body.dataset.visagist") == "editing")
    first = open_image(EXAMPLES / "face1.jpg")
    page.js("document.querySelector('#start input[value=photo]').click()")  # the photo's own face, untouched
    page.wait(lambda: np.abs(page.picture.mean((0, 1)) - first.mean((0, 1))).max() < 25)


REFINE = "return document.querySelector('#refine input:checked').value"
CHOOSE = "document.querySelector('#refine input[value=' + arguments[0] + ']').click()"
RUNS = "return !document.querySelector('.v-refining').hidden"


def test_without_a_refiner_the_toggle_says_so(page: Page) -> None:
    assert page.js("return [...document.querySelectorAll('#refine input')].map(e => e.value)") == [
        "off",
        "best",
    ]
    assert "no refiner" in page.find("#refine").text


def test_best_takes_the_place_of_fast_and_undo_and_redo_toggle_it(
    browser: webdriver.Chrome, refining: tuple[str, Engine], portrait: Path
) -> None:
    address, engine = refining
    engine._refiner._tuning = GradientSettings(iterations=3, rate=0.05)
    page = Page(browser, address).showing_the_model().open(portrait)
    assert page.js(REFINE) == "fast"
    fast = page.picture
    page.js(CHOOSE, "best")
    page.wait(lambda: page.entries == ["0", "1"])
    page.wait(lambda: not page.js(RUNS))
    best = page.picture
    assert np.abs(best - fast).mean() > 0.5
    page.press(Keys.CONTROL, "z")
    page.wait(lambda: page.js(REFINE) == "fast")
    page.wait(lambda: np.array_equal(page.picture, fast))
    page.press(Keys.CONTROL, Keys.SHIFT, "z")
    page.wait(lambda: page.js(REFINE) == "best")
    page.wait(lambda: np.array_equal(page.picture, best))


def test_a_refinement_can_be_cancelled_and_sliders_work_meanwhile(
    browser: webdriver.Chrome, refining: tuple[str, Engine], portrait: Path, photo: np.ndarray
) -> None:
    address, engine = refining
    engine.close()
    engine._refiner._tuning = GradientSettings(iterations=10**6, preview_every=10**6)
    page = Page(browser, address).showing_the_model().open(portrait)
    page.js(CHOOSE, "best")
    page.wait(lambda: page.js(RUNS))
    page.wait(lambda: "left" in page.find(".v-refining-step").text)
    assert page.find(".v-refining-track").get_attribute("aria-valuenow") == "0"
    page.find("#slider-young input[type=range]").send_keys(Keys.ARROW_RIGHT * 8)
    page.wait(lambda: page.entries == ["0", "1"])
    assert page.js(RUNS)
    wanted = engine.edit(
        engine.refine(engine.open_portrait(photo), "fast"), EditRequest({"young": 0.4}, refine="fast")
    )
    shown = cv2.resize(page.picture.astype(np.uint8), (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - wanted).mean() < 12
    page.find(".v-refining [data-action=cancel]").click()
    page.wait(lambda: not page.js(RUNS))
    page.wait(lambda: page.js(REFINE) == "fast")
    assert page.js(TOUCHED) == [0, 0.4, 0]
    page.wait(lambda: page.js(SAID))
    assert page.js(SAID).startswith("The refinement was cancelled")
