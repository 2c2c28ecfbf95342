"""Requests as JSON and back, and what a stranger's JSON may hold."""

import json
from typing import Any

import numpy as np
import pytest

from core.errors import BadProject
from core.projects.request_json import request_from_json, request_to_json
from core.projects.strict_json import index, parse, sequence, text
from core.references import Reference, Take
from core.session import EditRequest, View

FACE = Reference(np.ones((2, 3)), np.zeros((16, 16, 3)))
REQUEST = EditRequest(
    {"smile": 0.1 + 0.2, "young": -3}, "second", "best", 1 / 3,
    (Take(FACE, ("young", "coarse"), 1.7), Take(FACE, ("fine",), -0.1)),
    View("photo", "photo", False),
)  # fmt: skip


@pytest.mark.parametrize("request_", [REQUEST, EditRequest()])
def test_a_request_survives_to_the_last_digit(request_: EditRequest) -> None:
    data = json.loads(json.dumps(request_to_json(request_)))
    assert request_from_json(data, {FACE.key: FACE}) == request_


def test_an_edit_lies_in_the_file_as_format_1_has_it() -> None:
    """Written out, so that no change of `EditRequest` can change the format unseen."""
    take = {"reference": FACE.key, "what": ["fine"], "amount": -0.1}
    saved = {
        "sliders": {"smile": 1.5}, "order": "linear", "start": "photo", "output": "face", "refine": "fast",
        "strength": 0.25, "keep_detail": False, "takes": [take],
    }  # fmt: skip
    request = request_from_json(saved, {FACE.key: FACE})
    assert request == EditRequest(
        {"smile": 1.5}, "linear", "fast", 0.25, (Take(FACE, ("fine",), -0.1),), View("photo", "face", False)
    )
    assert request_to_json(request) == saved


def changed(**fields: Any) -> dict[str, Any]:
    return {**request_to_json(REQUEST), **fields}


def take(**fields: Any) -> dict[str, Any]:
    return changed(takes=[{"reference": FACE.key, "what": ["young"], "amount": 1.0, **fields}])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "an edit is no object"),
        ({}, "an edit does not have the entries sliders, order"),
        (changed(more=1), "does not have the entries"),
        (changed(sliders=[]), "the sliders is no object"),
        (changed(sliders={"smile": "1"}), "the slider smile is no number"),
        (changed(sliders={"smile": True}), "the slider smile is no number"),
        (changed(sliders={"smile": 10**300}), "the slider smile is no number"),
        (changed(sliders={"smile": 4}), "the slider smile is at 4.0; give it a number from -3 to 3"),
        (changed(sliders={"\x1b[2J": 1}), "a slider's name is no text"),
        (changed(sliders={"s" * 81: 1}), "a slider's name is no text"),
        (changed(order="third"), "the order is 'third'; it must be one of"),
        (changed(order=["first"]), "the order is no text"),
        (changed(refine=None), "the refine is no text"),
        (changed(strength=1.5), "the strength is at 1.5"),
        (changed(keep_detail=1), "keep_detail is neither true nor false"),
        (changed(takes={}), "the takes is no list"),
        (changed(takes=[[]] * 101), "list of at most 100"),
        (changed(takes=[3]), "a take is no object"),
        (take(reference="0" * 64), "a reference face that is not in the file"),
        (take(reference=7), "a reference's key is no text"),
        (take(what="young"), "what to take is no list"),
        (take(what=[7]), "what to take is no text"),
        (take(amount=3), "the amount is at 3.0"),
        (changed(takes=take()["takes"] * 17), "at most 16 references"),
    ],
)
def test_anything_else_is_one_sentence(data: Any, words: str) -> None:
    with pytest.raises(BadProject) as raised:
        request_from_json(data, {FACE.key: FACE})
    assert words in str(raised.value)
    assert str(raised.value).startswith("This project file is damaged or was not made by Visagist: ")
    assert str(raised.value).endswith(".")
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\xff\xfe{}", b'{"a": NaN}', b'{"a": -Infinity}', b"9" * 5000,
        b'{"a": ' + b"9" * 5000 + b"}", b"[" * 10**6, b'{"a":' * 10**6,
    ],
    ids=lambda data: data[:10],
)  # fmt: skip
def test_json_that_cannot_be_read_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BadProject, match=r"project.json cannot be read\.$"):
        parse(data)


def test_only_an_object_is_read() -> None:
    assert parse(b'{"a": [1.5, true]}') == {"a": [1.5, True]}
    with pytest.raises(BadProject, match=r"project.json is no object"):
        parse(b"[1]")


def test_whole_numbers_lists_and_texts_have_bounds() -> None:
    assert (index(3, "it", 0, 3), sequence([1], "it", 1), text("Äpfel", "it")) == (3, [1], "Äpfel")
    for wrong in (-1, 4, 1.0, True, "1", None, 10**400):
        with pytest.raises(BadProject, match="no whole number from 0 to 3"):
            index(wrong, "it", 0, 3)
    for wrong in ([1, 2], (1,), None):
        with pytest.raises(BadProject, match="no list of at most 1"):
            sequence(wrong, "it", 1)
    for wrong in ("a\nb", "a" * 81, 3):
        with pytest.raises(BadProject, match="no text"):
            text(wrong, "it")
