"""Projects: a visit saved and taken up again to the bit; by another model, with a word on what it lacks."""

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core import opening
from core.checkpoints import Bundle
from core.config import FFHQ_TEMPLATE
from core.engine import Engine
from core.errors import BadProject, Cancelled, NoFaceFound, OutOfMemory
from core.faces import alignment
from core.network_config import ReferenceEditorConfig
from core.projects.project import Project, open_project, save_project
from core.projects.restoring import restore
from core.references import Reference
from core.refinement.gradient_modules import GradientSettings
from core.session import EditRequest, Portrait


def fresh(bundle: Bundle) -> Engine:
    return Engine(bundle, tuning=GradientSettings(iterations=2))


def test_another_engine_gives_the_same_pictures_without_detecting_or_inverting(
    visited_engine: Engine, visited_portrait: Portrait, project: Project, saved_project: bytes,
    taking_bundle: Bundle, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wanted = [visited_engine.edit(visited_portrait, request) for request in project.history]
    assert len({picture.tobytes() for picture in wanted}) == len(wanted)
    monkeypatch.setattr(alignment, "find_faces", lambda *_: pytest.fail("detects"))
    monkeypatch.setattr(opening, "invert", lambda *_: pytest.fail("inverts"))
    again = fresh(taking_bundle)
    restored = restore(again, open_project(saved_project))
    for request, picture in zip(restored.history, wanted, strict=True):
        assert again.edit(restored.portrait, request).tobytes() == picture.tobytes()


def test_everything_else_of_the_visit_comes_back_too(
    project: Project, saved_project: bytes, taking_bundle: Bundle
) -> None:
    restored = restore(fresh(taking_bundle), open_project(saved_project))
    assert restored.notice is None
    assert restored.history == project.history
    assert restored.cursor == 2
    assert restored.references == project.references
    pairs = zip(restored.references, project.references, strict=True)
    assert all(np.array_equal(a.picture, b.picture) for a, b in pairs)
    assert np.array_equal(restored.portrait.photo, project.photo)
    assert restored.portrait.face == project.face
    assert [face.box for face in restored.portrait.faces] == [face.box for face in project.faces]


def test_a_portrait_with_nothing_done_is_a_project(tiny_engine: Engine, photo: np.ndarray) -> None:
    portrait = tiny_engine.open_portrait(photo)
    data = save_project(Project.of(tiny_engine, portrait, (EditRequest(),), 0))
    restored = restore(tiny_engine, open_project(data))
    assert (restored.history, restored.references, restored.notice) == ((EditRequest(),), (), None)
    assert torch.equal(restored.portrait.w_plus, portrait.w_plus)


def test_saving_again_gives_the_same_bytes(project: Project, saved_project: bytes) -> None:
    assert save_project(project) == saved_project
    assert save_project(open_project(saved_project)) == saved_project


def test_the_photo_is_there_without_loss(entries: dict[str, bytes], photo: np.ndarray) -> None:
    assert np.array_equal(np.array(Image.open(io.BytesIO(entries["photo.png"]))), photo)


def test_what_is_no_project_is_not_made(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"history": ()}, {"cursor": 12}, {"cursor": -1}, {"face": 1}):
        with pytest.raises(BadProject):
            dataclasses.replace(project, **change)
    monkeypatch.setattr("core.projects.project.MAX_REFERENCES", 2)
    with pytest.raises(BadProject, match="at most 2 reference faces"):
        dataclasses.replace(project)  # two in the picker, and one that edits name
    monkeypatch.undo()
    monkeypatch.setattr("core.projects.project.MAX_PIXELS", 3 * 32**2 - 1)
    with pytest.raises(BadProject, match="reference faces of 0 megapixels together"):
        dataclasses.replace(project)


def other_model(bundle: Bundle, fingerprint: str = "0" * 64, **config: Any) -> Engine:
    config = {"version": "2", **config}
    return fresh(
        dataclasses.replace(
            bundle, fingerprint=fingerprint, config=dataclasses.replace(bundle.config, **config)
        )
    )


def test_another_model_inverts_anew_and_says_so(
    taking_bundle: Bundle, saved_project: bytes, project: Project
) -> None:
    engine = other_model(taking_bundle)
    steps: list[str] = []
    restored = restore(engine, open_project(saved_project), steps.append)
    assert steps == ["Finding faces", "Aligning", "Inverting", "Inverting reference faces", "Refining"]
    assert restored.notice == (
        "This project was made with Tiny 1 and this is Tiny 2; its face was inverted anew, so pictures may "
        "look different; the refinement best is not at hand, fast stands in for it."
    )
    # The weights are in truth the same, so that we know what has to come out.
    assert restored.references[1] == project.references[1]
    assert [r.refine for r in restored.history] == ["off", "fast", "fast"] * 4
    assert [r.sliders for r in restored.history] == [r.sliders for r in project.history]
    for request in restored.history:
        engine.edit(restored.portrait, request)


def test_edits_name_references_as_the_other_model_inverted_them(
    taking_bundle: Bundle, saved_project: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = other_model(taking_bundle)
    made = Reference(np.ones((8, 32)), np.zeros((32, 32, 3)))
    monkeypatch.setattr(engine, "invert_picture", lambda *_: made)
    restored = restore(engine, open_project(saved_project))
    assert {take.reference for request in restored.history for take in request.takes} == {made}
    assert set(restored.references) == {made}


def inverting(engine: Engine, monkeypatch: pytest.MonkeyPatch, blank: int | None = None) -> list[float]:
    """The seconds that each reference is given, by and by; in the one of this number no face is seen."""
    seconds: list[float] = []
    invert = engine.invert_picture

    def timed(picture: np.ndarray, given: float, cancelled: Any) -> Reference:
        seconds.append(given)
        if len(seconds) - 1 == blank:
            raise NoFaceFound("No face.")
        return invert(picture, given, cancelled)

    monkeypatch.setattr(engine, "invert_picture", timed)
    return seconds


def test_a_reference_without_a_face_is_left_out_and_counted(
    taking_bundle: Bundle, saved_project: bytes, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = other_model(taking_bundle)
    inverting(engine, monkeypatch, blank=1)
    restored = restore(engine, open_project(saved_project))
    assert "1 reference face was left out, as no face was seen in it" in str(restored.notice)
    assert len(restored.references) == 1
    assert {len(request.takes) for request in project.history} == {0, 1, 2}
    assert {len(request.takes) for request in restored.history} == {0, 1}  # of `other` nothing is taken


def test_references_take_little_time_and_less_where_there_are_many(
    taking_bundle: Bundle, saved_project: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for together, each in ((60.0, 3.0), (1.5, 0.5)):
        monkeypatch.setattr("core.projects.conversion.REFERENCES_SECONDS", together)
        engine = other_model(taking_bundle)
        seconds = inverting(engine, monkeypatch)
        restore(engine, open_project(saved_project), seconds=100.0)
        assert seconds == [each] * 3


def test_it_is_cancelled_between_references(
    taking_bundle: Bundle, saved_project: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = other_model(taking_bundle)
    seconds = inverting(engine, monkeypatch)
    with pytest.raises(Cancelled):
        restore(engine, open_project(saved_project), cancelled=lambda: len(seconds) == 2)
    assert len(seconds) == 2
    assert len(engine._memory._portraits) == len(engine._opener._detections) == 0


def test_another_build_of_the_same_version_is_told_apart(taking_bundle: Bundle, saved_project: bytes) -> None:
    notice = restore(other_model(taking_bundle, version="1"), open_project(saved_project)).notice
    assert notice is not None
    assert notice.startswith("This project was made with another Tiny 1; its face was inverted anew")


def test_another_version_of_the_same_weights_keeps_everything(
    taking_bundle: Bundle, project: Project, saved_project: bytes
) -> None:
    restored = restore(other_model(taking_bundle, project.fingerprint), open_project(saved_project))
    assert restored.notice == "This project was made with Tiny 1, of the same weights as Tiny 2."
    assert set(restored.portrait.residuals) == {"fast", "best"}


def test_what_the_other_model_lacks_is_left_out_and_named(
    taking_bundle: Bundle, saved_project: bytes
) -> None:
    sliders = tuple(a for a in taking_bundle.config.attributes if a.name == "male")
    lacking = {"attributes": sliders, "refiners": (), "reference_editor": None}
    bundle = dataclasses.replace(taking_bundle, refiners={}, reference_editors={})
    engine = other_model(bundle, taking_bundle.fingerprint, template=FFHQ_TEMPLATE, **lacking)
    restored = restore(engine, open_project(saved_project))
    assert restored.notice is not None
    for words in (
        "inverted anew",
        "3 reference faces were left out, as this model cuts faces out otherwise",
        "the refinement best and fast is not at hand, edits go without",
        "this model has no smile, young, so edits go without",
    ):
        assert words in restored.notice
    assert restored.references == ()
    assert all(not request.takes for request in restored.history)
    assert {request.refine for request in restored.history} == {"off"}
    engine.edit(restored.portrait, restored.history[2])


def test_sliders_and_takes_that_are_missing_go_one_by_one(
    taking_bundle: Bundle, saved_project: bytes
) -> None:
    sliders = tuple(a for a in taking_bundle.config.attributes if a.name == "young")
    editor = ReferenceEditorConfig(8, ("young",), 32, width=16)
    editors = {"young": taking_bundle.reference_editors["young"]}
    bundle = dataclasses.replace(taking_bundle, reference_editors=editors)
    engine = other_model(bundle, attributes=sliders, reference_editor=editor)
    restored = restore(engine, open_project(saved_project))
    assert restored.notice is not None
    assert "this model has no male, smile, so edits go without" in restored.notice
    assert not restored.history[2].sliders
    (take,) = restored.history[2].takes  # of "smile" alone nothing is left
    assert take.what == ("coarse", "young")


def test_explored_directions_come_back_with_their_own_model_alone(
    visited_engine: Engine, visited_portrait: Portrait, taking_bundle: Bundle
) -> None:
    request = EditRequest({"explore-overall-2": 1.5, "explore-coarse-1": -1, "smile": 1})
    data = save_project(Project.of(visited_engine, visited_portrait, (request,), 0))
    restored = restore(fresh(taking_bundle), open_project(data))
    assert (restored.history, restored.notice) == ((request,), None)
    restored = restore(other_model(taking_bundle), open_project(data))
    assert restored.history[0].sliders == {"smile": 1}
    assert "no directions explored in the other model, so edits go without" in str(restored.notice)


def test_of_several_faces_the_nearest_one_is_taken(
    visited_engine: Engine, taking_bundle: Bundle, photo: np.ndarray
) -> None:
    portrait = visited_engine.open_portrait(photo)
    far = dataclasses.replace(portrait.faces[0], box=(0, 0, 500, 500))
    near = portrait.faces[0]
    project = Project.of(visited_engine, portrait, (EditRequest(),), 0)
    again = other_model(taking_bundle)
    again._opener.find_faces = lambda *_: (far, near)
    assert restore(again, open_project(save_project(project))).portrait.face == 1


def test_a_refinement_that_the_file_does_not_hold_never_crashes(
    visited_engine: Engine, project: Project, taking_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = open_project(save_project(dataclasses.replace(project, residuals={})))
    restored = restore(fresh(taking_bundle), bare)
    assert restored.notice == "The refinement best is not at hand, fast stands in for it."
    assert [r.refine for r in restored.history[:3]] == ["off", "fast", "fast"]

    def too_large(*_: Any) -> None:
        raise OutOfMemory("No room.")

    again = fresh(taking_bundle)
    monkeypatch.setattr(again, "refine", too_large)
    assert [r.refine for r in restore(again, bare).history[:3]] == ["off"] * 3
