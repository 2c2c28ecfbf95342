"""Edits in batches are the engine's."""

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.editing.label import directions
from core.engine import Engine
from core.session import EditRequest
from training.judging.faces import edit, face_axes, render

CPU = torch.device("cpu")


@pytest.mark.parametrize("order", ["first", "second", "linear"])
def test_edits_are_those_of_the_engine(
    tiny_bundle: Bundle, tiny_engine: Engine, photo: np.ndarray, order: str
) -> None:
    portrait = tiny_engine.open_portrait(photo)
    codes = portrait.w_plus[None].repeat(2, 1, 1)
    axes = face_axes(tiny_bundle, codes, order, CPU)
    assert axes.shape == (2, 4, 8, 32)
    found = render(tiny_bundle.generator, edit(tiny_bundle, codes, axes, "young", -1.5), CPU)
    wanted = tiny_engine.edit(portrait, EditRequest({"young": -1.5}, order=order))
    assert np.abs(found.astype(int) - wanted).mean() < 2  # bfloat16's rounding
    assert np.abs(portrait.inversion.astype(int) - wanted).mean() > 6


def test_first_order_axes_are_each_faces_own(tiny_bundle: Bundle) -> None:
    codes = torch.randn(3, 8, 32)
    axes = face_axes(tiny_bundle, codes, "first", CPU)
    for w, found in zip(codes, axes, strict=True):
        torch.testing.assert_close(found, directions(tiny_bundle.classifier, w, "first"))
