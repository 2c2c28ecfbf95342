"""Figures of the running app, for the README; no test (tests assert no time).

    python tests/app/measure.py [PHOTO [MODEL]] [--visitors N]

Prints, as JSON: milliseconds from the click on a gallery face to the animation frame after the first new
picture was painted, and to the last one, the picture at rest (null where the model has no gallery), in
headless Chromium, refine fast as a photo opens and refine off (medians of 15, on idle cores); and the peak
memory of the serving process in MiB once so many visitors (20; 0: this is left out) have each opened a photo
of 1200 px, moved a slider and seen the whole photo.
"""

import argparse
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
PAUSE = 2  # seconds, within which what a click began says that it is under way
# Milliseconds after a click by which its picture is at rest; the next click comes then.
REST = 2500
MEASURE = """
const [rest, done] = arguments, canvas = document.querySelector('.v-canvas');
const faces = document.querySelectorAll('[data-list=gallery] .v-thumbnail');
const told = [];
let began = 0, paints = [];
const painted = () => paints.push(performance.now() - began);
const observer = new MutationObserver(() => requestAnimationFrame(painted));
observer.observe(canvas, {attributes: true, attributeFilter: ['data-painted']});
const wait = () => new Promise((after) => setTimeout(after, rest));
(async () => {
  for (let turn = 0; turn < 15; turn += 1) {
    paints = [];
    began = performance.now();
    faces[turn % faces.length].click();
    await wait();
    if (paints.length) told.push([paints[0], paints.at(-1)]);
  }
  observer.disconnect();
  done(told);
})();
"""


def milliseconds(address: str, photo: Path) -> dict[str, float | None]:
    """Medians of 15 clicks on faces of the gallery: to the first picture, and to the last."""
    options = webdriver.ChromeOptions()
    for option in OPTIONS.split():
        options.add_argument(option)
    # Named, so that Selenium looks for none itself (and calls home).
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))

    def wait(script: str) -> None:
        WebDriverWait(driver, 60).until(lambda d: d.execute_script(f"return {script}"))

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
            wait(
                "document.querySelector('.v-refining').hidden && document.querySelector('.v-finding').hidden"
            )
            driver.execute_script("document.querySelector('#show-reference').click()")
            gallery = driver.find_elements(By.CSS_SELECTOR, "[data-list=gallery] .v-thumbnail")
            told = driver.execute_async_script(MEASURE, REST) if gallery else []
            for place, name in enumerate(("preview", "settled")):
                times = [times[place] for times in told]
                figures[f"gallery_{name}_ms_{mode}"] = round(statistics.median(times), 1) if times else None
            driver.execute_script("window.visagist.run('reset')")
        return figures
    finally:
        driver.quit()


def peak_mib() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # KiB on Linux


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path)
    parser.add_argument("model", nargs="?", default=DEFAULT_BUNDLE)
    parser.add_argument("--visitors", type=int, default=VISITORS)
    args = parser.parse_args()
    engine = Engine.load(args.model)
    page = serve(engine, port=None, block=False)
    handlers = Handlers(engine)
    astronaut = (resize(skimage.data.astronaut(), (1200, 1200)) * 255).astype(np.uint8)
    slider = engine.config.attributes[0].name
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        save_image(astronaut, photo)
        chosen = args.photo.resolve() if args.photo else photo
        figures = milliseconds(page.local_url, chosen)
        for visitor in range(args.visitors):
            save_image(np.roll(astronaut, visitor, axis=1), photo)  # every visitor a photo of their own
            for _ in handlers.open_file(str(visitor), EditRequest(), str(photo)):
                pass
            handlers.preview(str(visitor), EditRequest({slider: 1.0}))
            handlers.settle(str(visitor), EditRequest({slider: 1.0}, view=View(output="photo")))
    if args.visitors:
        figures |= {"visitors": args.visitors, "peak_mib": peak_mib()}
    print(json.dumps(figures))
    page.close()


if __name__ == "__main__":
    main()
