"""What the browser tests share: one browser for each file of them, and a photo to open."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import chromium
from selenium import webdriver

from core.images import encode_png


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def portrait(photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    path.write_bytes(encode_png(photo))
    return path
