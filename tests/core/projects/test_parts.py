"""A project's file in parts: which of them are new, and that together they are the file."""

import dataclasses
import hashlib

import numpy as np
import pytest

from core.images import encode_png, open_photo
from core.projects import parts
from core.projects.archive import Archive
from core.projects.parts import Part, assembled
from core.projects.project import Project, parts_of


def keys(project: Project) -> dict[str, str]:
    return {name: part.key for name, part in parts_of(project).items()}


def test_the_parts_are_the_entries_of_the_file(
    project: Project, saved_project: bytes, entries: dict[str, bytes]
) -> None:
    made = {name: part.make() for name, part in parts_of(project).items()}
    assert made == entries
    assert [*made] == [*entries]
    assert assembled(parts_of(project)) == saved_project


def test_another_edit_is_a_part_of_its_own_and_all_others_stay(project: Project) -> None:
    before, after = keys(project), keys(dataclasses.replace(project, cursor=0))
    assert {name for name in before if before[name] != after[name]} == {"project.json"}
    better = keys(dataclasses.replace(project, w_plus=project.w_plus + np.float32(0.5)))
    assert {name for name in before if before[name] != better[name]} == {"tensors.safetensors"}
    retouched = np.ascontiguousarray(project.photo[:, ::-1])
    mirrored = keys(dataclasses.replace(project, photo=retouched))
    assert {name for name in before if before[name] != mirrored[name]} == {"photo.png"}


def test_who_asks_for_keys_packs_no_picture(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "encode_png", lambda picture: pytest.fail("packs"))
    assert keys(project).keys() >= {"photo.png", "reference0.png"}


def test_a_turned_or_cropped_original_is_another_part(photo: np.ndarray) -> None:
    original = open_photo(encode_png(photo[:80, :60])).original
    assert original is not None
    crops = original.cropped((0, 0, 50, 50)), original.cropped((1, 0, 51, 50))
    pictures = original, original.turned(1), *crops
    assert len({parts.original_part(picture).key for picture in pictures}) == len(pictures)
    assert parts.original_part(original.turned(4)).key == parts.original_part(original).key


def test_what_a_file_goes_without_is_left_out() -> None:
    one = Part.of(b"one")
    assert one.key == hashlib.sha256(b"one").hexdigest()
    file = assembled({"one": one, "none": Part("0", lambda: None)})
    assert Archive(file).names == ("one",)
