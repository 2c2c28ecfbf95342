"""Fixtures for what concerns projects: one visit with everything that a project can hold."""

import io
import itertools
import zipfile

import numpy as np
import pytest

from core.checkpoints import Bundle
from core.engine import Engine
from core.projects.project import Project, save_project
from core.references import Take
from core.refinement.gradient_modules import GradientSettings
from core.session import EditRequest, Portrait, View


@pytest.fixture(scope="session")
def visited_engine(taking_bundle: Bundle) -> Engine:
    return Engine(taking_bundle, tuning=GradientSettings(iterations=2))


@pytest.fixture(scope="session")
def visited_portrait(visited_engine: Engine, photo: np.ndarray) -> Portrait:
    """With both refinements."""
    return visited_engine.refine(visited_engine.refine(visited_engine.open_portrait(photo), "fast"), "best")


@pytest.fixture(scope="session")
def project(visited_engine: Engine, visited_portrait: Portrait, photo: np.ndarray) -> Project:
    """Twelve edits of every kind, three references, two of them in the picker."""
    first, second, _ = visited_engine.gallery
    other = visited_engine.open_portrait(np.ascontiguousarray(photo[:, ::-1])).reference
    takes = (Take(other, ("young", "coarse"), 0.7), Take(second, ("smile",), 1.5))
    kinds = itertools.product(("face", "photo"), ("inversion", "photo"), ("off", "fast", "best"))
    history = [
        EditRequest({"smile": 1.1, "male": -0.3}, "second", refine, 0.8, takes[: i % 3], View(start, output))
        for i, (output, start, refine) in enumerate(kinds)
    ]
    return Project.of(visited_engine, visited_portrait, history, 2, (first, other))


@pytest.fixture(scope="session")
def saved_project(project: Project) -> bytes:
    return save_project(project)


@pytest.fixture(scope="session")
def entries(saved_project: bytes) -> dict[str, bytes]:
    """Of the saved project, all but the first, which `pack` writes."""
    with zipfile.ZipFile(io.BytesIO(saved_project)) as file:
        return {name: file.read(name) for name in file.namelist()[1:]}
