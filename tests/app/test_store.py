"""app/store.js and app/zip.js alone, in an empty page: what is read of a store, and a project made."""

import base64
import io
import zipfile
import zlib
from typing import Any

import pytest
from selenium import webdriver

from app.markup import script
from core.projects.archive import MIMETYPE, MIMETYPE_ENTRY, Archive, pack

pytestmark = pytest.mark.browser

PART = {"name": "photo.png", "key": "0" * 64}
VISIT = {
    "id": "1",
    "name": "Ann",
    "picture": "data:image/jpeg;base64,AAAA",
    "parts": [PART],
    "earlier": "2",
    "later": None,
    "near": [0, 2],
}
USABLE = f"{script('store.js')} return arguments[0].map(usableVisit);"
ZIPPED = f"""
{script("zip.js")}
const [given, done] = arguments;
const parts = given.map(({{ name, crc, text }}) => ({{ name, crc, data: new Blob([text]) }}));
const file = zipped(parts, "Ann"), reader = new FileReader();
reader.onload = () => done([file.name, reader.result.split(",")[1]]);
reader.readAsDataURL(file);
"""


@pytest.fixture
def empty(browser: webdriver.Chrome) -> webdriver.Chrome:
    browser.get("data:text/html,<title>Empty</title>")
    return browser


def test_a_visit_is_read_as_if_a_stranger_had_written_it(empty: webdriver.Chrome) -> None:
    nothing: list[Any] = [None, "a visit", 7, [], {}, {**VISIT, "id": 7}, {**VISIT, "id": "1" * 41}]
    nothing += [{**VISIT, "name": None}, {**VISIT, "name": "x" * 81}]
    nothing += [{**VISIT, "parts": parts} for parts in (None, "none", {}, [PART] * 301, [None])]
    for part in ({"name": "../evil"}, {"name": "UP.png"}, {"key": 7}, {"key": "0" * 65}):
        nothing.append({**VISIT, "parts": [{**PART, **part}]})
    assert empty.execute_script(USABLE, nothing) == [None] * len(nothing)


def test_what_a_visit_says_beside_is_left_out(empty: webdriver.Chrome) -> None:
    odd = {
        **VISIT,
        "picture": "https://elsewhere/p.jpg",
        "earlier": 7,
        "later": [],
        "near": [1, "2", 3, None, 0.5],
        "more": 1,
    }
    plain = {**VISIT, "picture": "", "earlier": None, "later": None, "near": [1, 3]}
    bare = {**VISIT, "near": []}
    found = empty.execute_script(USABLE, [VISIT, odd, {**VISIT, "near": True}])
    assert found == [VISIT, plain, bare]


def test_parts_become_the_file_that_a_project_is(empty: webdriver.Chrome) -> None:
    entries = {MIMETYPE_ENTRY: MIMETYPE.decode(), "project.json": "{}", "photo.png": "x" * 1000}
    parts = [{"name": name, "crc": zlib.crc32(text.encode()), "text": text} for name, text in entries.items()]
    name, data = empty.execute_async_script(ZIPPED, parts)
    file = base64.b64decode(data)
    assert name == "Ann.visagist"
    assert Archive(file).names == ("project.json", "photo.png")
    for ours in (file, pack({name: text.encode() for name, text in entries.items()})):
        with zipfile.ZipFile(io.BytesIO(ours)) as archive:
            assert archive.testzip() is None
            assert {entry: archive.read(entry).decode() for entry in archive.namelist()} == entries
