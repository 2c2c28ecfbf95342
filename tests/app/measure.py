"""Figures of the running app, for the README; no test (tests assert no time).

    python tests/app/measure.py [PHOTO [MODEL]]

Prints, as JSON: milliseconds from a slider's input event to the animation frame after the new picture was
painted, and the same from the click on a gallery face (null where the model has no gallery), in headless
Chromium, refine fast as a photo opens and refine off (medians of 25, on idle cores); and the peak memory of
the serving process in MiB once 20 visitors have each opened a photo of 1200 px, moved a slider and seen the
whole photo.
"""

import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from skimage.transform import resize

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.handlers import Handlers
from app.ui import serve
from core.checkpoints import DEFAULT_BUNDLE
from core.engine import Engine
from core.images import save_image
from core.session import EditRequest, View

OPTIONS = "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-sync"
VISITORS = 20
PAUSE = 2  # seconds; nothing is under way any more
MEASURE = """
const act = new Function('turn', arguments[0]), done = arguments[1];
const canvas = document.querySelector('.v-canvas');
const times = [];
let began = 0;
const observer = new MutationObserver(() => requestAnimationFrame(() => {
  if (!began) return;
  times.push(performance.now() - began);
  began = 0;
  setTimeout(next, 900);  // past the pause after which the picture is painted once more, at full quality
}));
observer.observe(canvas, {attributes: true, attributeFilter: ['data-painted']});
function next() {
  if (times.length === 25) { observer.disconnect(); done(times); return; }
  began = performance.now();
  act(times.length);
}
next();
"""
MOVE_SLIDER = """
const slider = document.querySelector('#panel .v-slider input[type=range]');
const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
set.call(slider, String((turn % 2 ? 1 : -1) * (0.5 + turn * 0.05)));
slider.dispatchEvent(new Event('input', {bubbles: true}));
"""
CLICK_FACE = """
const faces = document.querySelectorAll('[data-list=gallery] .v-thumbnail');
faces[turn % faces.length].click();
"""


def milliseconds(address: str, photo: Path) -> dict[str, float | None]:
    """Medians of 25 moves of the first attribute's slider, and of 25 clicks on faces of the gallery."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS.split():
        options.add_argument(option)
    # Named, so that Selenium looks for none itself (and calls home).
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))

    def wait(script: str) -> None:
        WebDriverWait(driver, 60).until(lambda d: d.execute_script(f"return {script}"))

    def median(act: str) -> float:
        return round(statistics.median(driver.execute_async_script(MEASURE, act)), 1)

    try:
        driver.set_script_timeout(120)
        driver.get(address)
        wait("document.body.dataset.visagist === 'empty'")
        wait("!!document.querySelector('#upload input[type=file]')")
        driver.find_element(By.CSS_SELECTOR, "#upload input[type=file]").send_keys(str(photo))
        wait("document.body.dataset.visagist === 'editing'")
        figures: dict[str, float | None] = {}
        for mode in ("fast", "off"):
            toggle = driver.find_elements(By.CSS_SELECTOR, f"#refine input[value={mode}]")
            if mode == "fast" and not toggle:
                continue  # a model without a refiner
            for button in toggle:
                driver.execute_script("arguments[0].click()", button)
            time.sleep(PAUSE)
            figures[f"slider_ms_{mode}"] = median(MOVE_SLIDER)
            driver.execute_script(
                "window.visagist.run('reset'); document.querySelector('#show-reference').click()"
            )
            time.sleep(PAUSE)
            gallery = driver.find_elements(By.CSS_SELECTOR, "[data-list=gallery] .v-thumbnail")
            figures[f"gallery_face_ms_{mode}"] = median(CLICK_FACE) if gallery else None
            driver.execute_script("window.visagist.run('reset')")
        return figures
    finally:
        driver.quit()


def main() -> None:
    engine = Engine.load(sys.argv[2] if len(sys.argv) > 2 else DEFAULT_BUNDLE)
    page = serve(engine, port=None, block=False)
    handlers = Handlers(engine)
    astronaut = (resize(skimage.data.astronaut(), (1200, 1200)) * 255).astype(np.uint8)
    slider = engine.config.attributes[0].name
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        save_image(astronaut, photo)
        chosen = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else photo
        figures = milliseconds(page.local_url, chosen)
        for visitor in range(VISITORS):
            save_image(np.roll(astronaut, visitor, axis=1), photo)  # every visitor a photo of their own
            for _ in handlers.open_file(str(visitor), EditRequest(), str(photo)):
                pass
            handlers.preview(str(visitor), EditRequest({slider: 1.0}))
            handlers.settle(str(visitor), EditRequest({slider: 1.0}, view=View(output="photo")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print(json.dumps({**figures, "visitors": VISITORS, "peak_mib": round(peak)}))
    page.close()


if __name__ == "__main__":
    main()
