"""The app in a browser, for the tests that drive one: served, and described in a visitor's words."""

import base64
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from app.ui import HERE, serve
from core.engine import Engine
from core.images import open_image

# Generous: a busy machine is no failure. Nothing here asserts a time.
PATIENCE = 120
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
)

# What the page has just said, or nothing; what it says for as long as it lasts; and a file, given in base64,
# dropped on what a selector finds.
SAID = "return document.querySelector('.v-passing:not([hidden]) span')?.textContent ?? ''"
LASTING = SAID.replace("passing", "lasting")
# What lies in the browser's store (app/store.js): visits by their places, and the bytes of each part.
STORE = """
const [done] = arguments, asked = indexedDB.open("visagist", 1);
asked.onupgradeneeded = () => ["visits", "parts"].forEach((name) => asked.result.createObjectStore(name));
asked.onsuccess = () => {
  const deal = asked.result.transaction(["visits", "parts"]);
  const [places, visits, parts] = [["visits", "getAllKeys"], ["visits", "getAll"], ["parts", "getAll"]].map(
    ([name, all]) => deal.objectStore(name)[all]());
  deal.oncomplete = () => {
    asked.result.close();
    done({
      visits: Object.fromEntries(places.result.map((place, i) => [place, visits.result[i]])),
      parts: parts.result.map(({ data }) => data.size),
    });
  };
};
"""
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], "face.png", {type: "image/png"}));
const drop = new DragEvent('drop', {dataTransfer: data, bubbles: true});
document.querySelector(arguments[1]).dispatchEvent(drop);
"""


@contextmanager
def served(engine: Engine, folder: Path) -> Iterator[str]:
    """The app's address while it runs; folder: for what it uploads."""
    with pytest.MonkeyPatch.context() as patch:
        # `serve` sets it for its own process; the tests share theirs.
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        page = serve(engine, port=None, block=False)
        yield page.local_url
        page.close()


@contextmanager
def launched(bundle: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The app in a process of its own, once it answers."""
    command = [sys.executable, "launch.py", "--model", str(bundle), "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.DEVNULL)
    try:
        for _ in range(50 * PATIENCE):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A headless browser while it runs."""
    options = webdriver.ChromeOptions()
    options.binary_location = _executable("chromium", "chromium-browser", "google-chrome")
    for option in OPTIONS.split():
        options.add_argument(option)
    service = webdriver.ChromeService(_executable("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


def _executable(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.fail(
        "The browser tests need Chromium and its driver; on Debian: apt-get install chromium chromium-driver"
    )


class Page:
    """The app in the browser, in a visitor's words."""

    def __init__(self, driver: webdriver.Chrome, address: str, width: int = 1440, height: int = 900) -> None:
        self.driver = driver
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(address)
        self.wait(lambda: self.js("return document.body.dataset.visagist") == "empty")
        self.wait(lambda: self.js("return !!document.querySelector('#upload input[type=file]')"))

    def js(self, script: str, *args: object):
        return self.driver.execute_script(script, *args)

    def wait(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.driver, PATIENCE, poll_frequency=0.1).until(lambda _: condition())

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def showing_the_model(self) -> "Page":
        """What opens next is shown as the model makes it, the face alone."""
        for name, value in (("start", "inversion"), ("output", "face")):
            choice = f"document.querySelector('#{name} input[value={value}]')"
            self.wait(lambda: self.js(f"return !!{choice}"))  # noqa: B023
            self.js(f"{choice}.click()")
        return self

    def open(self, path: Path) -> "Page":
        upload = self.find("#upload input[type=file]")
        self.js("arguments[0].value = ''", upload)  # as a click does: the same file again is a choice
        upload.send_keys(str(path))
        self.wait(lambda: self.phase == "editing")
        return self

    @property
    def phase(self) -> str:
        return self.js("return document.body.dataset.visagist")

    @property
    def waits(self) -> bool:
        """Whether the controls take no input."""
        return self.js("return document.getElementById('panel').inert")

    @property
    def painted(self) -> int:
        return int(self.js("return document.querySelector('.v-canvas').dataset.painted || 0"))

    @property
    def picture(self) -> np.ndarray:
        source = self.js("return document.querySelector('.v-after img').src")
        return open_image(base64.b64decode(source.split(",")[1])).astype(int)

    @property
    def entries(self) -> list[str]:
        return self.js("return [...document.querySelectorAll('.v-history button')].map(e => e.textContent)")

    @property
    def store(self) -> dict[str, Any]:
        """What this browser keeps: "visits" by their places, and the bytes of all "parts"."""
        return self.driver.execute_async_script(STORE)

    @property
    def kept(self) -> str:
        """By which the project of the visit that the browser keeps is known; empty where it keeps none."""
        parts = self.store["visits"].get("now", {}).get("parts", [])
        return next((part["key"] for part in parts if part["name"] == "project.json"), "")

    def until_kept(self, act: Callable[[], object]) -> None:
        """Does it, and waits until the browser keeps what came of it; all before it is kept by then."""
        self.wait(lambda: self.kept)
        before = self.kept
        act()
        self.wait(lambda: self.kept != before)

    def go_on(self) -> None:
        """Take the offer to go on."""
        self.wait(lambda: self.find(".v-offer").is_displayed())
        self.find("[data-action=go-on]").click()
        self.wait(lambda: self.phase == "editing")

    def press(self, *keys: str) -> None:
        chain = ActionChains(self.driver)
        for key in keys:
            chain.key_down(key)
        for key in reversed(keys):
            chain.key_up(key)
        chain.perform()

    def drag(self, name: str, steps: int = 6) -> int:
        """Drag the slider's thumb to the right; returns the pictures painted before the button was let go."""
        before = self.painted
        thumb = self.find(f"#slider-{name} input[type=range]")
        hand = ActionChains(self.driver).move_to_element(thumb).click_and_hold()
        # One chain: Chromium's slider does not follow moves that come in a later one.
        for _ in range(steps):
            hand.move_by_offset(15, 0).pause(0.05)
        hand.perform()
        self.wait(lambda: self.painted > before)
        seen = self.painted - before
        ActionChains(self.driver).release().perform()
        return seen
