"""What the tests of the app share: a browser for each file of them, a photo to open, a model of few parts."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import Page, chromium, served
from selenium import webdriver

from core.checkpoints import Bundle, load_bundle, save_bundle
from core.engine import Engine
from core.faces.alignment import Face
from core.images import encode_png


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(autouse=True)
def keeps_no_visit(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the browser kept of a visit, the next test is not offered."""
    yield
    if "browser" in request.fixturenames:
        driver = request.getfixturevalue("browser")
        origin = driver.execute_script("return location.origin")
        if origin != "null":
            wishes = {"origin": origin, "storageTypes": "indexeddb"}
            driver.execute_cdp_cmd("Storage.clearDataForOrigin", wishes)


@pytest.fixture(scope="module")
def address(tiny_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the app on the tiny model."""
    with served(tiny_engine, tmp_path_factory.mktemp("gradio")) as address:
        yield address


@pytest.fixture(scope="module")
def portrait(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    path.write_bytes(encode_png(photo))
    return path


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, portrait: Path) -> Page:
    """A photo is open in the browser."""
    return Page(browser, address).showing_the_model().open(portrait)


@pytest.fixture(scope="session")
def bare_engine(
    tiny_bundle: Bundle, tiny_engine: Engine, photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A generator alone: no encoder, no classifier, no sliders with names, no refiner, no gallery.

    What its random weights make is no face, so the detector is told to see one in every second seed.
    """
    config = dataclasses.replace(
        tiny_bundle.config, name="bare", title="Bare", inverter=None, classifier=None, attributes=()
    )
    folder = tmp_path_factory.mktemp("bare") / config.name
    save_bundle(folder, Bundle.of(config, tiny_bundle.generator))
    engine = Engine(load_bundle(folder))
    (seen,) = tiny_engine.find_faces(photo)
    left, top, right, bottom = seen.box
    landmarks = (seen.landmarks - (left, top)) / (right - left, bottom - top) * 24 + 4
    face = Face((4, 4, 28, 28), landmarks.astype(np.float32))
    faces = {engine.samples(1, seed)[0].tobytes() for seed in range(0, 12, 2)}
    engine.find_faces = lambda picture: (face,) if picture.tobytes() in faces else ()
    yield engine
    engine.close()


@pytest.fixture
def wandering() -> Iterator[Callable[[Iterator[Any]], Iterator[Any]]]:
    """Steps a generator as Gradio may, each time in another thread.

    All of them live until the test ends: of a thread that is gone, the next may get the number.
    """
    with contextlib.ExitStack() as threads:

        def step(stream: Iterator[Any]) -> Iterator[Any]:
            ended = object()
            while True:
                thread = threads.enter_context(ThreadPoolExecutor(1))
                item = thread.submit(next, stream, ended).result(60)
                if item is ended:
                    return
                yield item

        yield step
