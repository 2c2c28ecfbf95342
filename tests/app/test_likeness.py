"""The meter: what the edit did to the person, in every view."""

import dataclasses

import numpy as np
import pytest

from app.likeness import LEVELS, Meters, Untold, in_words, likeness
from core.engine import Engine
from core.faces import alignment
from core.faces.identity import descriptor
from core.placing import reduced
from core.session import EditRequest, Portrait, View

VIEWS = [View(start, output) for start in ("inversion", "photo") for output in ("face", "photo")]


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo: np.ndarray) -> Portrait:
    return tiny_engine.open_portrait(photo)


@pytest.mark.parametrize("view", VIEWS)
def test_it_compares_with_the_same_view_without_the_edit(
    tiny_engine: Engine, portrait: Portrait, view: View
) -> None:
    request = EditRequest({"smile": 2.5}, view=view)
    picture, unedited = (tiny_engine.edit(portrait, r) for r in (request, EditRequest(view=view)))
    size = len(portrait.crop)
    if view.output == "photo":
        picture, unedited = (alignment.crop(image, portrait.transform, size) for image in (picture, unedited))
    before, after = (descriptor(image, portrait.landmarks) for image in (unedited, picture))
    expected = 1 - np.linalg.norm(before - after)
    assert 0 < expected < 1
    shown = likeness(tiny_engine, portrait, request, tiny_engine.edit(portrait, request))
    assert shown == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_without_an_edit_there_is_nothing_to_say(tiny_engine: Engine, portrait: Portrait, view: View) -> None:
    request = EditRequest(view=view)
    assert likeness(tiny_engine, portrait, request, tiny_engine.edit(portrait, request)) is None
    assert in_words(None) is None


def test_the_photo_may_be_shown_smaller(tiny_engine: Engine, portrait: Portrait) -> None:
    request = EditRequest({"smile": 2.5}, view=View("photo", "photo"))
    full = likeness(tiny_engine, portrait, request, tiny_engine.edit(portrait, request))
    small = reduced(portrait, 400)
    shown = likeness(tiny_engine, portrait, request, tiny_engine.edit(small, request))
    assert shown == pytest.approx(full, abs=0.03)
    assert shown == likeness(tiny_engine, small, request, tiny_engine.edit(small, request))


def test_of_a_visitors_pictures_the_last_is_told_once(tiny_engine: Engine, portrait: Portrait) -> None:
    request, meters = EditRequest({"smile": 2.5}), Meters(tiny_engine)
    picture = tiny_engine.edit(portrait, request)
    expected = {"likeness": in_words(likeness(tiny_engine, portrait, request, picture))}
    for number in (4, 5):
        meters.note("me", Untold(number, portrait, request, picture))
    meters.note("you", Untold(6, portrait, EditRequest(), picture))
    assert meters.tell({"token": "me", "number": 4}) == {}  # overtaken, which takes nothing from the last
    assert meters.tell({"token": "me", "number": 6}) == {}  # another visitor's
    assert meters.tell({"token": "me", "number": 5}) == expected
    assert meters.tell({"token": "me", "number": 5}) == {}
    meters.drop("you")
    assert meters.tell({"token": "you", "number": 6}) == {}
    assert meters.tell("anything") == {}


def test_a_refinement_is_no_edit(refining_engine: Engine, photo: np.ndarray) -> None:
    """The same edit with and without it: each against its own unedited picture."""
    portrait = refining_engine.refine(refining_engine.open_portrait(photo), "fast")
    request = EditRequest({"smile": 2.0}, refine="fast")
    neutral = dataclasses.replace(request, sliders={})
    picture = refining_engine.edit(portrait, request)
    before, after = (
        descriptor(image, portrait.landmarks) for image in (refining_engine.edit(portrait, neutral), picture)
    )
    shown = likeness(refining_engine, portrait, request, picture)
    assert shown == pytest.approx(max(0, 1 - np.linalg.norm(before - after)), abs=1e-6)


def test_the_page_says_it_in_words() -> None:
    said = [in_words(value) for value in (1.0, 0.75, 0.74, 0.6, 0.59, 0.5, 0.49, 0.0)]
    assert [one["level"] for one in said] == ["kept"] * 2 + ["near"] * 2 + ["far"] * 2 + ["lost"] * 2
    assert [one["words"] for one in said[::2]] == [words for _, _, words in LEVELS]
