"""A visitor's history."""

import dataclasses

import numpy as np
import pytest

from app.visits import HISTORY_LENGTH, Visit, parse_request
from core.engine import Engine
from core.errors import BadRequest
from core.generators.residual import WeightShift
from core.placing import reduced
from core.session import EditRequest, Portrait, View


@pytest.fixture(scope="module")
def portrait(tiny_engine: Engine, photo: np.ndarray) -> Portrait:
    return tiny_engine.open_portrait(photo)


@pytest.fixture
def visit(portrait: Portrait) -> Visit:
    return Visit.begin(portrait, portrait, EditRequest())


OFF = EditRequest()


def smile(value: float) -> EditRequest:
    return EditRequest({"smile": value})


def test_history_goes_back_and_forth(visit: Visit) -> None:
    visit = visit.with_edit(smile(1)).with_edit(smile(2))
    assert visit.request == smile(2)
    assert visit.at(visit.cursor - 1).request == smile(1)
    assert visit.at(-5).request == EditRequest()
    assert visit.at(99).request == smile(2)


def test_an_edit_after_undo_drops_what_was_undone(visit: Visit) -> None:
    visit = visit.with_edit(smile(1)).with_edit(smile(2)).at(1).with_edit(smile(3))
    assert visit.history == (EditRequest(), smile(1), smile(3))


def test_the_same_edit_or_another_view_adds_no_entry(visit: Visit) -> None:
    visit = visit.with_edit(smile(1))
    assert visit.with_edit(smile(1)) is visit
    assert visit.with_edit(EditRequest({"smile": 1}, view=View(output="photo"))) is visit


def test_history_is_bounded(visit: Visit) -> None:
    for step in range(HISTORY_LENGTH + 20):
        visit = visit.with_edit(smile(step % 50 / 20))
    assert len(visit.history) == HISTORY_LENGTH
    assert visit.cursor == HISTORY_LENGTH - 1


def test_a_small_photo_is_its_own_preview(visit: Visit, portrait: Portrait) -> None:
    assert visit.preview is portrait
    assert visit.nbytes == portrait.nbytes


def test_an_emptied_number_box_means_what_it_starts_with() -> None:
    settings = {"order": "first", "start": "photo", "output": "face", "strength": None}
    found = parse_request({"smile": None, "young": 1}, **settings)
    assert found == EditRequest({"young": 1}, "first", view=View("photo", "face"))


@pytest.mark.parametrize("value", [float("nan"), 1e9, -3.1, "2"])
def test_values_no_slider_has_are_refused(value: object) -> None:
    with pytest.raises(BadRequest):
        parse_request({"smile": value}, order="second")  # type: ignore[dict-item]


def test_a_refinement_that_is_not_computed_leaves_the_one_on_the_screen(
    visit: Visit, refining_engine: Engine, photo: np.ndarray
) -> None:
    asked = EditRequest({"smile": 1}, refine="best", strength=0.5)
    assert visit.possible(asked) == EditRequest({"smile": 1}, strength=0.5)
    refined = refining_engine.refine(refining_engine.open_portrait(photo), "fast")
    knowing = visit.knowing(refined, refined)
    fast = EditRequest(refine="fast")
    assert knowing.possible(fast) == fast
    assert knowing.with_edit(fast).possible(asked) == EditRequest({"smile": 1}, refine="fast", strength=0.5)
    assert knowing.preview is knowing.portrait
    assert knowing.nbytes > visit.nbytes
    assert visit.possible(fast) == OFF


def test_a_visit_learns_nothing_from_another_face(
    visit: Visit, refining_engine: Engine, photo: np.ndarray
) -> None:
    other = refining_engine.refine(refining_engine.open_portrait(photo[:, ::-1]), "fast")
    assert visit.knowing(other, other) is visit


def test_a_preview_of_its_own_counts_what_it_does_not_share(
    portrait: Portrait, visit: Visit, refining_engine: Engine, photo: np.ndarray
) -> None:
    preview = reduced(portrait, 320)
    apart = Visit.begin(portrait, preview, OFF)
    assert apart.nbytes == visit.nbytes + preview.photo.nbytes
    refined = refining_engine.refine(refining_engine.open_portrait(photo), "fast")
    knowing = apart.knowing(refined, reduced(refined, 320))
    assert knowing.preview.photo.shape == (320, 320, 3)
    assert knowing.preview.residuals == knowing.portrait.residuals == refined.residuals
    assert knowing.history == apart.history


@pytest.mark.parametrize(
    ("request_", "untouched"),
    [
        (EditRequest(view=View("photo", "photo")), True),
        (EditRequest(view=View("photo", "face")), True),
        (EditRequest(view=View("inversion", "photo")), False),
        (EditRequest({"smile": 1.0}, view=View("photo", "photo")), False),
    ],
)
def test_which_screen_shows_the_photo_as_it_is(
    portrait: Portrait, request_: EditRequest, untouched: bool
) -> None:
    assert Visit.begin(portrait, portrait, request_).untouched == untouched


def test_a_better_code_does_not_take_a_refinement_away(visit: Visit, portrait: Portrait) -> None:
    better = dataclasses.replace(portrait)
    assert visit.knowing(better, better).portrait is better
    refined = portrait.refined({"fast": WeightShift(())}, {"fast": portrait.rendered})
    visit = visit.knowing(refined, refined)
    assert visit.portrait is refined
    assert visit.knowing(better, better) is visit
    again = refined.refined({"best": WeightShift(())}, {"best": portrait.rendered})
    assert visit.knowing(again, again).portrait is again
