"""core.names: whatever a photo is called, a name that every file system takes."""

from pathlib import Path

import pytest

from core.names import MAX_BYTES, safe_stem, uploaded_stem

NAMES = {
    "holiday": "holiday",
    "Ärger im Büro": "Ärger im Büro",
    "A\u0308rger": "Ärger",  # composed, as most systems write it
    "写真 1": "写真 1",
    'a/b\\c:d*e?f"g<h>i|j': "a-b-c-d-e-f-g-h-i-j",
    "../../etc/passwd": "etc-passwd",
    ".hidden": "hidden",
    "-rf": "rf",
    "~root": "root",
    "two  spaces\tand\nlines ": "two spaces and lines",
    "ends in dots...": "ends in dots",
    "bell\x07null\0": "bellnull",
    "gnp.\u202egpj": "gnp.gpj",  # no sign that turns the reading round
    "lone \ud800 half": "lone  half",
    "photo.tar": "photo.tar",
    "CON": "portrait-CON",
    "com1.photo": "portrait-com1.photo",
    "console": "console",
    "": "portrait",
    "...": "portrait",
    "\u200b": "portrait",
}


@pytest.mark.parametrize("given", NAMES)
def test_a_name_is_fit_for_every_file_system(given: str) -> None:
    assert safe_stem(given) == NAMES[given]


@pytest.mark.parametrize("sign", ["a", "ä", "写", "\U0001f600"])
def test_a_long_name_is_cut_between_two_signs(sign: str) -> None:
    stem = safe_stem(sign * 300)
    assert set(stem) == {sign}
    assert MAX_BYTES - 4 < len(stem.encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    ("sent", "stem"),
    [
        ("0123456789ab-holiday.jpg", "holiday"),
        ("0123456789ab-0123456789ab-x.png", "0123456789ab-x"),
        ("holiday.jpg", "holiday"),
        ("0123456789ab-.jpg", "0123456789ab-"),
        ("0123456789ab.jpg", "0123456789ab"),
        ("0123456789AB-x.jpg", "0123456789AB-x"),
    ],
)
def test_a_file_that_the_page_sent_is_called_as_its_visitor_called_it(sent: str, stem: str) -> None:
    assert uploaded_stem(Path("folder") / sent) == stem
