"""axe-core finds no fault on any view of the page, in either theme, at a desk and on a phone."""

import importlib.resources
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Page, served
from selenium import webdriver

from core.engine import Engine

pytestmark = pytest.mark.browser

TABS = ("attributes", "looks", "reference", "explore", "history")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
# What is inert is out of reach, and may be pale.
FINDS = """
const done = arguments[arguments.length - 1];
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
axe.run({exclude: [['[inert]']]}, {runOnly: rules, resultTypes: ['violations']}).then(({violations}) => done(
  violations.map(({id, impact, nodes}) =>
    `${id} (${impact}): ${nodes.map(({target}) => target.join(' ')).join(' | ')}`)
));
"""

RESTING = """
return document.getAnimations().every((one) =>
  one.playState === 'finished' || one.effect.getTiming().iterations === Infinity);
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script, from a package of the development's requirements."""
    return importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(taking_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the app on a model that has all there is to show."""
    with served(taking_engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address


def dressed(page: Page, theme: str) -> None:
    if page.js("return document.documentElement.dataset.theme") != theme:
        page.find("[data-action=theme]").click()
    page.wait(lambda: page.js("return document.documentElement.dataset.theme") == theme)


def found(page: Page, axe: str) -> list[str]:
    # What fades in is judged when it is there.
    page.wait(lambda: page.js(RESTING))
    page.js(f"if (!window.axe) {{ {axe}\n window.axe = axe; }}")
    page.driver.set_script_timeout(120)
    return page.driver.execute_async_script(FINDS)


@pytest.mark.parametrize("size", SIZES)
def test_no_view_has_a_fault(
    browser: webdriver.Chrome, address: str, portrait: Path, size: str, axe: str
) -> None:
    page = Page(browser, address, *SIZES[size])
    faults: dict[str, list[str]] = {}

    def judge(view: str) -> None:
        for theme in ("dark", "light"):
            dressed(page, theme)
            if wrong := found(page, axe):
                faults[f"{view}, {theme}"] = wrong

    judge("start")
    page.open(portrait)
    page.drag("smile") if size == "desk" else page.js("document.querySelector('.v-look button')?.click()")
    for tab in TABS:
        page.js("document.getElementById(arguments[0]).click()", f"show-{tab}")
        page.wait(lambda: page.js("return document.body.dataset.tab") == f"show-{tab}")  # noqa: B023
        judge(tab)
    page.js("document.querySelector('[data-action=crop]').click()")
    judge("crop")
    page.js("document.querySelector('[data-action=crop-close]').click()")
    for name in ("export", "help"):
        for theme in ("dark", "light"):
            dressed(page, theme)
            page.js("document.querySelector(`[data-action=${arguments[0]}]`).click()", name)
            page.wait(lambda: page.js("return !!document.querySelector('dialog[open]')"))
            if wrong := found(page, axe):
                faults[f"{name}, {theme}"] = wrong
            page.js("document.querySelector('dialog[open]').close()")
    assert faults == {}


def test_the_judge_sees_a_fault(browser: webdriver.Chrome, address: str, axe: str) -> None:
    page = Page(browser, address)
    page.js("document.querySelector('.v-empty [data-action=browse]').textContent = ''")
    page.js("document.querySelector('.v-privacy:not([hidden])').style.color = '#8884'")
    wrong = " ".join(found(page, axe))
    assert "button-name" in wrong
    assert "color-contrast" in wrong
