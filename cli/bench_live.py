"""How a face follows the hand, as a visitor sees it: the page in headless Chromium, dragged by a script."""

import contextlib
import importlib.util
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.ui import EXAMPLES, serve
from cli.bench import peak_mib, sample_photo
from core.engine import Engine
from core.errors import BadRequest
from core.images import open_image, save_image

HERE = Path(__file__).parent
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run --window-size=1440,900"
)
BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"
DRAGS, DRAG_MS = 3, 3000
# A drag counts from here on: before, the first keys are still being made.
WARM_MS = 500.0
PATIENCE = 120  # seconds
# What a phone takes.
MEGAPIXELS = 12

Told = dict[str, Any]


def bench_live(engine: Engine, photo: Path | None = None, visitors: int = 1) -> dict[str, Any]:
    """The page, with so many visitors who drag at once, each in a browser of their own.

    photo: a file; by default an example enlarged to 12 megapixels, or a generated face.
    Returns {"paints_per_second": after the first half second; "first_change_ms": from the first input to the
    first changed picture; "settled_ms": from the last input to the picture at rest; "dropped": the share of
    inputs after which no picture of their own came; "server_ms": of the server for a key, None where none
    came; "visitors", "drags", "peak_mib": of the server's process, "socket": whether pictures came by it},
    medians over visitors and drags.
    Raises: BadRequest where selenium, Chromium or its driver is missing.
    """
    missing = [name for name in (DRIVER,) if shutil.which(name) is None]
    missing += [] if any(map(shutil.which, BROWSERS)) else ["chromium"]
    missing += [] if importlib.util.find_spec("selenium") else ["selenium"]
    if missing:
        raise BadRequest(f"bench --live drives the page in Chromium, and {' and '.join(missing)} is missing.")
    with tempfile.TemporaryDirectory(prefix="visagist-bench-") as folder, _environment():
        opened = photo.resolve() if photo else _photo(engine, Path(folder))
        page = serve(engine, port=None, block=False)
        try:
            told = _visited(str(page.local_url), opened, _sliders(engine), visitors)
        finally:
            page.close()
    return {**summary(told), "visitors": visitors, "drags": len(told), "peak_mib": peak_mib()}


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """`serve` sets the process' folder for uploads; whoever calls the bench gets theirs back."""
    name = "GRADIO_TEMP_DIR"
    before = os.environ.get(name)
    yield
    os.environ.pop(name, None)
    if before is not None:
        os.environ[name] = before


def summary(told: Sequence[Told]) -> dict[str, Any]:
    """Medians of what drags told: times (ms) of `paints` and `inputs`; of each key `took`; `settled`."""
    rates, firsts, dropped, took = [], [], [], []
    for drag in told:
        first, last = drag["inputs"][0], drag["inputs"][-1]
        during = [time for time in drag["paints"] if first <= time <= last]
        warm = [time for time in during if time >= first + WARM_MS]
        rates.append(len(warm) / max(last - first - WARM_MS, 1) * 1000)
        after = [time for time in drag["paints"] if time >= first]
        firsts.append(after[0] - first if after else None)
        dropped.append(max(0.0, 1 - len(during) / len(drag["inputs"])))
        took += drag["took"]
    return {
        "paints_per_second": statistics.median(rates),
        "first_change_ms": _median(firsts),
        "settled_ms": _median([drag["settled"] for drag in told]),
        "dropped": statistics.median(dropped),
        "server_ms": _median(took),
        "socket": bool(took),
    }


def describe(result: dict[str, Any]) -> str:
    """The same for people."""
    rows = {
        "paints a second": ("paints_per_second", "{:.1f}"),
        "first change": ("first_change_ms", "{:.0f} ms"),
        "settled": ("settled_ms", "{:.0f} ms"),
        "dropped frames": ("dropped", "{:.0%}"),
        "server a key": ("server_ms", "{:.0f} ms"),
        "peak memory": ("peak_mib", "{:.0f} MiB"),
        "visitors": ("visitors", "{}"),
    }
    lines = [
        f"{label:18}{'never' if result[name] is None else form.format(result[name])}"
        for label, (name, form) in rows.items()
    ]
    way = "the websocket" if result["socket"] else "Gradio's events"
    return "\n".join([*lines, f"{'pictures by':18}{way}"])


def _median(values: Sequence[float | None]) -> float | None:
    """None counts as endless."""
    known = sorted(float("inf") if value is None else value for value in values)
    middle = known[len(known) // 2] if known else float("inf")
    return None if middle == float("inf") else middle


def _photo(engine: Engine, folder: Path) -> Path:
    examples = sorted(EXAMPLES.glob("*.jpg"))
    pixels = open_image(examples[0]) if engine.opens_photos and examples else sample_photo(engine)
    scale = (MEGAPIXELS * 1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    pixels = cv2.resize(np.asarray(pixels), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    save_image(pixels, folder / "photo.jpg")
    return folder / "photo.jpg"


def _sliders(engine: Engine) -> list[str]:
    """As many as there are drags, from all over the panel."""
    names = [attribute.name for attribute in engine.config.attributes] or list(engine.explorable)
    return [f"slider-{names[i * len(names) // DRAGS]}" for i in range(DRAGS)]


def _visited(address: str, photo: Path, sliders: list[str], visitors: int) -> list[Told]:
    with contextlib.ExitStack() as browsers, ThreadPoolExecutor(visitors) as threads:
        drivers = [browsers.enter_context(_browser()) for _ in range(visitors)]
        list(threads.map(lambda driver: _open(driver, address, photo), drivers))
        rounds = [list(threads.map(lambda driver, s=slider: _drag(driver, s), drivers)) for slider in sliders]
    return [told for round_ in rounds for told in round_]


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    for option in OPTIONS.split():
        options.add_argument(option)
    # Named, so that Selenium looks for none itself (and calls home).
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which(DRIVER)))
    driver.set_script_timeout(PATIENCE + DRAG_MS / 1000)
    try:
        yield driver
    finally:
        driver.quit()


def _open(driver: Any, address: str, photo: Path) -> None:
    """A photo is open, refined where the model can do that fast, and nothing is under way any more."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def wait(script: str) -> None:
        WebDriverWait(driver, PATIENCE).until(lambda _: driver.execute_script(f"return {script}"))

    driver.get(address)
    wait("document.body.dataset.visagist === 'empty' && !!document.querySelector('#upload input[type=file]')")
    driver.find_element(By.CSS_SELECTOR, "#upload input[type=file]").send_keys(str(photo))
    wait("document.body.dataset.visagist === 'editing'")
    painted = "Number(document.querySelector('.v-canvas').dataset.painted)"
    before = driver.execute_script(f"return {painted}")
    fast = driver.find_elements(By.CSS_SELECTOR, "#refine input[value=fast]:not(:checked)")
    if fast:
        driver.execute_script("arguments[0].click()", fast[0])
        wait(f"{painted} > {before}")
    wait("document.querySelector('.v-refining').hidden && document.querySelector('.v-finding').hidden")


def _drag(driver: Any, slider: str) -> Told:
    script = (HERE / "bench_live.js").read_text(encoding="utf-8")
    told: Told = driver.execute_async_script(script, slider, DRAG_MS, 1000 * PATIENCE)
    return told
