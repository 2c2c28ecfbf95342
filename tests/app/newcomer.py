"""From an empty page to a downloaded edit, as a newcomer's four actions; no test (tests assert no time).

    python tests/app/newcomer.py [PHOTO [MODEL [ROUNDS]]]

Each round, in headless Chromium, as soon as the page lets it: a photo is chosen, a slider moved to 1.5,
Export pressed, and Save. Prints one line of JSON a round: seconds from the page's address being entered
until the page can be used, the face can be edited, the edit is at rest on the stage, and the file is there;
and the file's size. The server runs already; it opened no photo before the first round.
"""

import json
import socket
import sys
import tempfile
import time
from pathlib import Path

import skimage.data
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from browsing import Page, chromium, launched

from core.checkpoints import DEFAULT_BUNDLE
from core.images import save_image

ROUNDS = 5
SLIDER = "document.querySelector('#panel .v-slider input[type=range]')"
MOVE = f"{SLIDER}.value = 1.5; {SLIDER}.dispatchEvent(new Event('input', {{bubbles: true}}))"
IDLE = "return document.querySelector('[data-action=export]').getAttribute('aria-disabled') === 'false'"


def round_trip(driver: object, address: str, photo: Path, folder: Path) -> dict[str, object]:
    began, seconds = time.perf_counter(), {}

    def reached(name: str) -> None:
        seconds[name] = round(time.perf_counter() - began, 2)

    page = Page(driver, address)  # type: ignore[arg-type]
    reached("page")
    page.open(photo)
    reached("face")
    page.wait(lambda: page.js(IDLE))
    page.js(MOVE)
    page.wait(lambda: page.entries == ["0", "1"])
    reached("edited")
    page.find("[data-action=export]").click()
    page.find("[data-action=export-save]").click()
    page.wait(lambda: any(file.suffix != ".crdownload" for file in folder.iterdir()))
    reached("downloaded")
    (file,) = folder.iterdir()
    with Image.open(file) as image:
        size = image.size
    file.unlink()
    return {**seconds, "actions": 4, "size": size}


def main() -> None:
    given = [*sys.argv[1:], "", "", ""]
    model, rounds = Path(given[1] or DEFAULT_BUNDLE), int(given[2] or ROUNDS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as work, chromium() as driver, launched(model, port):
        photo = Path(given[0] or Path(work) / "astronaut.png").resolve()
        if not given[0]:
            save_image(skimage.data.astronaut(), photo)
        folder = Path(work) / "downloads"
        folder.mkdir()
        driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        for round_ in range(rounds):
            found = round_trip(driver, f"http://127.0.0.1:{port}", photo, folder)
            print(json.dumps({"round": round_ + 1, **found}), flush=True)


if __name__ == "__main__":
    main()
