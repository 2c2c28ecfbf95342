"""Controls say what the picture shows, by hand, by thumb and by keyboard, in headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Page
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from app import sockets
from app.axis import STEP
from app.handlers import Handlers

pytestmark = pytest.mark.browser

SMILE, BOX = "#slider-smile input[type=range]", "#slider-smile input[type=number]"
VALUE = "return Number(document.querySelector(arguments[0]).value)"
CURRENT = "return document.querySelector('.v-history [aria-current]')?.textContent"


def test_what_visitors_come_for_is_first_and_every_option_says_what_it_does(page: Page) -> None:
    order = "#tabs, #tab-attributes, #refine, #strength, #start, #output, #keep-detail, #order"
    found = page.js(f"return [...document.querySelectorAll('{order}')].map((one) => one.id)")
    assert found == [name.strip("# ") for name in order.split(",") if name.strip("# ") in found]
    assert found[:2] == ["tabs", "tab-attributes"]
    page.wait(lambda: page.js("return !!document.querySelector('#keep-detail input').title"))
    options = "#panel .v-segments input[type=radio]"
    titles = page.js(f"return [...document.querySelectorAll('{options}')].map((one) => one.title)")
    assert len(titles) >= 6
    assert all(titles)


# ---- one value ------------------------------------------------------------------------------------


def values(page: Page) -> tuple[float, str]:
    """What the track shows, and what the box says."""
    return page.js(VALUE, SMILE), page.js("return document.querySelector(arguments[0]).value", BOX)


def type_in(page: Page, text: str) -> None:
    box = page.find(BOX)
    box.click()
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(text or Keys.DELETE)


TYPED = {"": 2, "-": 2, "30": 3, "-99": -3, ".33": 0.35, "1e9": 3, "1.5": 1.5, "0": 0}


@pytest.mark.parametrize("leave", [Keys.ENTER, Keys.TAB], ids=["enter", "tab"])
def test_box_track_and_picture_say_the_same(page: Page, leave: str, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[float] = []
    settled: list[float] = []
    settle, untouched = Handlers.settle, page.picture

    def follow(value):
        followed.append(value)
        return round(value / STEP)

    def listen(handlers, token, request, *face):
        settled.append(request.sliders.get("smile", 0))
        return settle(handlers, token, request, *face)

    monkeypatch.setattr(sockets, "_place", follow)
    monkeypatch.setattr(Handlers, "settle", listen)
    for text, value in TYPED.items():
        type_in(page, "2")
        page.wait(lambda: settled[-1:] == [2])
        type_in(page, text)
        page.find(BOX).send_keys(leave)
        page.wait(lambda: values(page) == (value, f"{value:g}"))  # noqa: B023
        page.wait(lambda: settled[-1:] == [value])  # noqa: B023
        if not value:
            page.wait(lambda: np.array_equal(page.picture, untouched))
    on_the_way = {0, 0.3, 1}
    assert {*followed, *settled} <= {2, *on_the_way, *TYPED.values()}  # nothing that the slider cannot show
    page.press("r")
    page.wait(lambda: values(page) == (0, "0"))


def test_half_typed_it_is_no_value_yet(page: Page) -> None:
    type_in(page, "2")
    page.wait(lambda: page.entries == ["0", "1"])
    shown = page.picture
    type_in(page, "")
    page.find(BOX).send_keys("-")
    page.wait(lambda: page.entries == ["0", "1"])
    assert page.js(VALUE, SMILE) == 2
    np.testing.assert_array_equal(page.picture, shown)
    page.find(BOX).send_keys("1")
    page.wait(lambda: page.js(VALUE, SMILE) == -1)


def test_sliders_without_names_hold_to_it_too(page: Page) -> None:
    page.press("3")
    row = ".v-explored"
    page.wait(lambda: page.find(f"{row} input[type=number]").is_displayed())
    box, track = (page.find(f"{row} input[type={kind}]") for kind in ("number", "range"))
    for text, value in (("30", "3"), (".33", "0.35"), ("", "0.35")):
        box.click()
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(text or Keys.DELETE)
        box.send_keys(Keys.TAB)
        page.wait(lambda: (track.get_property("value"), box.get_property("value")) == (value, value))  # noqa: B023


# ---- by thumb -------------------------------------------------------------------------------------


@pytest.fixture
def phone(browser: webdriver.Chrome, address: str, portrait: Path) -> Iterator[Page]:
    touch = {"enabled": True, "maxTouchPoints": 1}
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
    page = Page(browser, address, 390, 844).open(portrait)
    page.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", SMILE)
    yield page
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def swipe(page: Page, start: tuple[float, float], across: int, down: int, steps: int = 12) -> None:
    """A finger from `start` on, so many pixels in so many steps, and off."""

    def touch(kind: str, *points: dict[str, float]) -> None:
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    x, y = start
    touch("touchStart", {"x": x, "y": y})
    for step in range(1, steps + 1):
        touch("touchMove", {"x": x + across * step / steps, "y": y + down * step / steps})
    touch("touchEnd")


def place(page: Page, share: float) -> tuple[float, float]:
    """A point on the smile slider's track."""
    return tuple(
        page.js(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [r.left + arguments[1] * r.width, r.top + r.height / 2]",
            SMILE,
            share,
        )
    )


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_scroll_that_begins_on_a_slider_edits_nothing(phone: Page, share: float) -> None:
    """On the thumb, and beside it."""
    before, scrolled, painted = values(phone), phone.js("return scrollY"), phone.painted
    swipe(phone, place(phone, share), 6, -200)
    phone.wait(lambda: phone.js("return scrollY") > scrolled + 50)
    assert values(phone) == before
    assert phone.painted == painted
    assert phone.entries == []


def test_a_tap_edits_nothing_and_a_sideways_start_does(phone: Page) -> None:
    swipe(phone, place(phone, 0.9), 0, 0, steps=0)
    assert values(phone)[0] == 0
    scrolled = phone.js("return scrollY")
    swipe(phone, place(phone, 0.5), 80, 10)
    phone.wait(lambda: phone.js(VALUE, SMILE) > 0.5)
    assert phone.js("return scrollY") == scrolled
    phone.wait(lambda: phone.js("return document.querySelectorAll('.v-moved').length") == 1)
    assert values(phone)[1] == f"{phone.js(VALUE, SMILE):g}"
    phone.wait(lambda: phone.find("[data-action=undo]").get_attribute("aria-disabled") == "false")


# ---- by keyboard ----------------------------------------------------------------------------------

# What has the focus: whether it is seen, and what it is called.
FOCUS = """
const at = document.activeElement, box = at.getBoundingClientRect();
const over = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
const near = at.contains(over) || over?.contains(at) || over?.parentElement === at.parentElement;
const name = at.id || at.ariaLabel || at.textContent.trim() || at.name;
return [name, at.type ?? "", box.width > 1 && box.height > 1 && near, at.closest("#panel") !== null];
"""


def walk(page: Page) -> list[tuple[str, str, bool, bool]]:
    """All stops of the Tab key, from the page's first to its last."""
    page.js("document.activeElement.blur(); window.scrollTo(0, 0)")
    stops: list[tuple[str, str, bool, bool]] = []
    while len(stops) < 200:
        page.press(Keys.TAB)
        if page.js("return document.activeElement === document.body"):
            break
        stops.append(tuple(page.js(FOCUS)))
    return stops


@pytest.mark.parametrize("phase", ["empty", "editing"])
def test_every_stop_of_the_tab_key_is_seen(
    browser: webdriver.Chrome, address: str, portrait: Path, phase: str
) -> None:
    page = Page(browser, address)
    if phase == "editing":
        page.open(portrait)
    stops = walk(page)
    assert stops
    assert [stop for stop in stops if not stop[2]] == []


# Of what has the focus: which of its ancestors cuts off a side of the ring around it.
CUT = """
const at = document.activeElement;
const ringed = at.matches('.v-options input, .v-segments input') ? at.closest('label') : at;
const { outlineWidth, outlineOffset } = getComputedStyle(ringed), r = ringed.getBoundingClientRect();
const ring = parseFloat(outlineWidth) + parseFloat(outlineOffset), cuts = [];
if (!(parseFloat(outlineWidth) > 0)) cuts.push("no ring");
for (let box = ringed.parentElement; box && box !== document.body; box = box.parentElement) {
  if (getComputedStyle(box).overflow === 'visible') continue;
  const b = box.getBoundingClientRect();
  const across = r.left - ring < b.left || r.right + ring > b.right;
  if (across || r.top - ring < b.top || r.bottom + ring > b.bottom) cuts.push(box.className || box.id);
}
return [at.id || at.ariaLabel || at.textContent.trim(), ...cuts];
"""


@pytest.mark.parametrize("phase", ["empty", "editing"])
def test_every_ring_is_whole(browser: webdriver.Chrome, address: str, portrait: Path, phase: str) -> None:
    page = Page(browser, address)
    if phase == "editing":
        page.open(portrait)
    page.js("document.activeElement.blur(); window.scrollTo(0, 0)")
    wrong: list[list[str]] = []
    for _ in range(200):
        page.press(Keys.TAB)
        if page.js("return document.activeElement === document.body"):
            break
        # The compare line shows its ring on its handle.
        if not page.js("return document.activeElement.matches('.v-compare')"):
            found = page.js(CUT)
            wrong += [found] if found[1:] else []
    assert wrong == []


def test_a_slider_is_one_stop_and_so_is_a_choice(page: Page) -> None:
    stops = [(name, kind) for name, kind, _, inside in walk(page) if inside]
    names = [name for name, _ in stops]
    assert [name for name, kind in stops if kind == "number"] == []
    choices = page.js("return document.querySelectorAll('#panel .v-segments').length")
    assert [kind for _, kind in stops].count("radio") == choices > 2
    every = (
        "return [...document.querySelectorAll('#tab-attributes [type=range]')].map((e) => e[arguments[0]])"
    )
    assert page.js(every, "ariaLabel") == ["Smile, serious to smiling", "Youth", "Gender, female to male"]
    assert [names.count(one) for one in page.js(every, "id")] == [1, 1, 1]


def test_arrows_choose_and_the_choice_acts(page: Page) -> None:
    chosen = "return document.querySelector('#output input:checked').value"
    assert page.js(chosen) == "face"
    page.js("document.querySelector('#output input:checked').focus()")
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: page.js(chosen) == "photo")
    assert page.js("return document.activeElement.value") == "photo"
    page.wait(lambda: page.picture.shape[0] == 512 and page.js("return document.activeElement.tabIndex") == 0)
    page.press(Keys.ARROW_RIGHT)  # past the last is the first
    page.wait(lambda: page.js(chosen) == "face")
    assert page.js("return [...document.querySelectorAll('#output input')].map((e) => e.tabIndex)") == [0, -1]


def test_enter_ticks_a_box_and_types_a_number(page: Page) -> None:
    ticked = "return document.querySelector('#keep-detail input').checked"
    page.js("document.querySelector('#keep-detail input').focus()")
    page.press(Keys.ENTER)
    page.wait(lambda: page.js(ticked) is False)
    page.press(Keys.SPACE)
    page.wait(lambda: page.js(ticked) is True)
    page.find(SMILE).send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element == page.find(BOX)
    page.find(BOX).send_keys("1.25", Keys.ENTER)
    page.wait(lambda: values(page) == (1.25, "1.25"))
    assert page.driver.switch_to.active_element == page.find(SMILE)
    page.find(SMILE).send_keys(Keys.ENTER)
    page.find(BOX).send_keys("2.7", Keys.ESCAPE)
    assert page.driver.switch_to.active_element == page.find(SMILE)


def test_space_and_enter_hold_the_photo_before(page: Page) -> None:
    visible = "return getComputedStyle(document.querySelector('.v-before')).visibility"
    page.js("document.querySelector('[data-action=hold]').focus()")
    for key in (Keys.SPACE, Keys.ENTER):
        ActionChains(page.driver).key_down(key).perform()
        page.wait(lambda: page.js(visible) == "visible")
        ActionChains(page.driver).key_up(key).perform()
        page.wait(lambda: page.js(visible) == "hidden")


def test_the_focus_stays_where_it_was(page: Page) -> None:
    page.find(SMILE).send_keys(Keys.ARROW_RIGHT * 3)
    page.wait(lambda: page.entries == ["0", "1"])
    where = "return document.activeElement.dataset.action ?? document.activeElement.textContent"
    for action, value in (("undo", 0), ("redo", 0.15), ("reset", 0)):
        page.js("document.querySelector(`[data-action=${arguments[0]}]`).focus()", action)
        page.press(Keys.ENTER)
        page.wait(lambda: page.js(VALUE, SMILE) == value)  # noqa: B023
        page.wait(lambda: page.js(CURRENT))
        assert page.js(where) == action
    page.js("document.querySelector('.v-history button').focus()")
    page.press(Keys.ENTER)
    page.wait(lambda: page.js(CURRENT) == "0")
    assert page.js(where) == "0"


# ---- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["empty", "editing"])
def test_at_a_desk_the_page_does_not_scroll(
    browser: webdriver.Chrome, address: str, portrait: Path, phase: str
) -> None:
    page = Page(browser, address, 1440, 900)
    if phase == "editing":
        page.open(portrait)
    assert page.js("return document.documentElement.scrollHeight - innerHeight") == 0


METER = "return getComputedStyle(document.querySelector('.v-meter')).display"


@pytest.mark.parametrize("other", [".v-finding", ".v-refining"])
@pytest.mark.parametrize(("width", "kept"), [(390, False), (1440, True)])
def test_on_a_phone_the_meter_gives_way_while_a_face_gets_closer(
    browser: webdriver.Chrome, address: str, portrait: Path, other: str, width: int, kept: bool
) -> None:
    page = Page(browser, address, width, 844).open(portrait)
    page.js("document.querySelector('.v-meter').hidden = false")  # as after an edit
    assert page.js(METER) == "flex"
    show = "document.querySelector(arguments[0]).hidden = arguments[1]"
    page.js(show, other, False)
    assert (page.js(METER) == "flex") == kept
    page.js(show, other, True)
    assert page.js(METER) == "flex"
