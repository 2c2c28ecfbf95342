"""Projects of photos with several faces: each with its edits, its refinements, its place in the history."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.engine import Engine
from core.errors import BadProject, Cancelled
from core.projects.archive import pack
from core.projects.other_faces import SavedFace
from core.projects.project import Project, open_project, save_project
from core.projects.restoring import restore
from core.references import Take
from core.refinement.gradient_modules import GradientSettings
from core.session import EditRequest, View
from core.together import MAX_OTHERS, FaceEdits

WHOLE = View("photo", "photo")
IN_HAND = (EditRequest(view=WHOLE), EditRequest({"young": -2}, view=WHOLE))

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def group(photo: np.ndarray) -> np.ndarray:
    """(512, 1024, 3), two faces."""
    return np.hstack([photo, photo[:, ::-1]])


@pytest.fixture(scope="module")
def other(visited_engine: Engine, group: np.ndarray) -> FaceEdits:
    """The first face, refined in both ways; of its three edits the second is on the screen."""
    portrait = visited_engine.open_portrait(group)
    portrait = visited_engine.refine(visited_engine.refine(portrait, "fast"), "best")
    take = Take(visited_engine.gallery[2], ("smile",), 0.8)
    smiling = EditRequest({"smile": 2}, refine="best", strength=0.7, takes=(take,), view=WHOLE)
    return FaceEdits(portrait, (EditRequest(), smiling, EditRequest({"male": 1}, refine="fast")), 1)


@pytest.fixture(scope="module")
def two(visited_engine: Engine, group: np.ndarray, other: FaceEdits) -> Project:
    """The second face is in hand, refined fast."""
    portrait = visited_engine.refine(visited_engine.open_portrait(group, 1), "fast")
    return Project.of(visited_engine, portrait, IN_HAND, 1, (visited_engine.gallery[0],), others=(other,))


@pytest.fixture(scope="module")
def saved(two: Project) -> bytes:
    return save_project(two)


@pytest.fixture(scope="module")
def files(saved: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(saved)) as file:
        return {name: file.read(name) for name in file.namelist()[1:]}


def rewritten(files: Entries, change: Callable[[Any], object]) -> bytes:
    document = json.loads(files["project.json"])
    change(document)
    return pack({**files, "project.json": json.dumps(document).encode()})


def fresh(bundle: Bundle, **config: Any) -> Engine:
    bundle = dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, **config))
    if config:
        bundle = dataclasses.replace(bundle, fingerprint="0" * 64)
    return Engine(bundle, tuning=GradientSettings(iterations=2))


def test_both_faces_come_back_with_all_that_was_done_to_them(
    two: Project, saved: bytes, other: FaceEdits, taking_bundle: Bundle, visited_engine: Engine
) -> None:
    again = fresh(taking_bundle)
    restored = restore(again, open_project(saved))
    assert (restored.notice, restored.portrait.face, restored.history) == (None, 1, IN_HAND)
    (found,) = restored.others
    assert (found.face, found.history, found.cursor) == (0, other.history, 1)
    assert torch.equal(found.portrait.w_plus, other.portrait.w_plus)
    assert set(found.portrait.residuals) == {"fast", "best"}
    assert set(restored.portrait.residuals) == {"fast"}
    for request in other.history:
        wanted = visited_engine.edit(other.portrait, request)
        assert again.edit(found.portrait, request).tobytes() == wanted.tobytes()
    assert save_project(open_project(saved)) == saved
    # Of the other's edit, too, the face that it takes from is in the file, and not in the picker.
    assert restored.references == two.references == (visited_engine.gallery[0],)


def test_a_project_of_one_face_is_as_it_always_was(files: Entries, two: Project) -> None:
    alone = save_project(dataclasses.replace(two, others=()))
    with zipfile.ZipFile(io.BytesIO(alone)) as file:
        document = json.loads(file.read("project.json"))
    assert (document["format"], "others" in document) == (1, False)
    assert json.loads(files["project.json"])["format"] == 2
    assert open_project(alone).others == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("others"), "entries format, model"),
        (lambda d: d.update(format=1), "entries format, model"),
        (lambda d: d.update(others={}), "the list of other faces is no list"),
        (lambda d: d.update(others=[]), "a tensor that no project has"),
        (lambda d: d.update(others=d["others"] * 2), "not one code for each other face"),
        (lambda d: d.update(others=d["others"] * (MAX_OTHERS + 1)), f"no list of at most {MAX_OTHERS}"),
        (lambda d: d["others"][0].pop("history"), "another face does not have the entries"),
        (lambda d: d["others"][0].update(face=2), "a face is no whole number from 0 to 1"),
        (lambda d: d["others"][0].update(face=-1), "a face is no whole number"),
        (lambda d: d["others"][0].update(face=1), "lacks the tensor face1.best"),
        (lambda d: d["others"][0].update(cursor=3), "the cursor is no whole number from 0 to 2"),
        (lambda d: d["others"][0].update(history=[]), "the cursor"),
        (lambda d: d["others"][0]["history"][1]["takes"][0].update(reference="0" * 64), "not in the file"),
        (lambda d: d["others"][0]["history"][1]["sliders"].update(smile=9), "slider smile is at 9"),
        (lambda d: d["others"][0].update(residuals={"slow": 1}), "a refinement that no model has"),
        (lambda d: d["others"][0]["residuals"].update(fast=101), "a residual's length"),
        (lambda d: d["others"][0].update(residuals={}), "a tensor that no project has"),
    ],
)
def test_what_no_project_says_of_other_faces_is_refused(
    files: Entries, change: Callable[[Any], object], words: str
) -> None:
    with pytest.raises(BadProject) as raised:
        open_project(rewritten(files, change))
    assert words in str(raised.value)
    assert str(raised.value).endswith(".")


def test_a_face_is_edited_once_and_of_so_many_at_most(
    two: Project, files: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def the_same(document: Any) -> None:
        document["face"] = 0
        document["residuals"] = {}

    with pytest.raises(BadProject, match="each of them once"):
        open_project(rewritten(files, the_same))
    (other,) = two.others
    with pytest.raises(BadProject, match="each of them once"):
        dataclasses.replace(two, others=(other, other))
    with pytest.raises(BadProject, match="1 to 1000 edits"):
        SavedFace(0, other.w_plus, other.history, 3)
    many = tuple(dataclasses.replace(other, face=face) for face in range(2, MAX_OTHERS + 3))
    with pytest.raises(BadProject, match=f"at most {MAX_OTHERS + 1} faces"):
        dataclasses.replace(two, faces=two.faces * 10, others=many)


def test_codes_of_another_model_are_refused(two: Project, taking_bundle: Bundle) -> None:
    (other,) = two.others
    wrong = dataclasses.replace(other, w_plus=np.zeros((3, 5), np.float32), residuals={})
    with pytest.raises(BadProject, match="not of the model that it names"):
        restore(fresh(taking_bundle), dataclasses.replace(two, others=(wrong,)))


def test_another_model_inverts_each_of_them_anew(two: Project, saved: bytes, taking_bundle: Bundle) -> None:
    restored = restore(fresh(taking_bundle, version="2"), open_project(saved))
    assert restored.portrait.face == 1
    (other,) = restored.others
    assert (other.face, other.cursor) == (0, 1)
    # The weights are in truth the same, so that we know what has to come out.
    assert torch.equal(other.portrait.w_plus.cpu(), torch.tensor(two.others[0].w_plus))
    assert [request.refine for request in other.history] == ["off", "fast", "fast"]
    assert restored.notice == (
        "This project was made with Tiny 1 and this is Tiny 2; its faces were inverted anew, so pictures may "
        "look different; the refinement best is not at hand, fast stands in for it."
    )


def test_a_face_that_is_not_found_again_is_left_out_and_told(saved: bytes, taking_bundle: Bundle) -> None:
    engine = fresh(taking_bundle, version="2")
    faces = open_project(saved).faces
    engine._opener.find_faces = lambda *_: faces[1:]
    restored = restore(engine, open_project(saved))
    assert (restored.portrait.face, restored.others) == (0, ())
    assert "1 of its faces was not found again and left out" in str(restored.notice)


@pytest.mark.parametrize("version", ["1", "2"])
def test_who_leaves_meanwhile_leaves_nothing(saved: bytes, taking_bundle: Bundle, version: str) -> None:
    engine = fresh(taking_bundle, **({} if version == "1" else {"version": "2"}))
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    def progress(step: str) -> None:
        if step == "Inverting reference faces":
            asked.append(True)

    with pytest.raises(Cancelled):
        restore(engine, open_project(saved), progress, cancelled=cancelled)
    if version == "2":
        assert len(engine._memory._portraits) == 0
