"""core.memory: what an engine remembers of its portraits, and what it forgets together."""

import dataclasses

import numpy as np
import pytest

from core.engine import Engine
from core.memory import PortraitMemory
from core.session import Portrait


@pytest.fixture
def portrait(refining_engine: Engine, photo: np.ndarray) -> Portrait:
    return refining_engine.open_portrait(photo)


def test_a_portrait_learns_only_while_it_is_remembered(refining_engine: Engine, portrait: Portrait) -> None:
    memory = PortraitMemory()
    plain = dataclasses.replace(portrait, residuals={}, bases={})
    refined = refining_engine.refine(plain, "fast")
    memory.learn(refined)
    assert memory.get(plain.key) is None
    memory.put(plain)
    memory.learn(refined)
    assert memory.get(plain.key).residuals["fast"] is refined.residuals["fast"]


def test_all_faces_of_a_photo_are_forgotten_together(portrait: Portrait) -> None:
    memory = PortraitMemory()
    second = dataclasses.replace(portrait, key=dataclasses.replace(portrait.key, face=1))
    other = dataclasses.replace(portrait, key=dataclasses.replace(portrait.key, photo="another"))
    for one in (portrait, second, other):
        memory.put(one)
    memory.forget(portrait.key.photo)
    assert [memory.get(one.key) for one in (portrait, second, other)] == [None, None, other]
    memory.clear()
    assert memory.get(other.key) is None
