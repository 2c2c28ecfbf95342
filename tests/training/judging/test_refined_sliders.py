"""Edits of refined faces: pictures as the engine makes them, and what is told of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.checkpoints import Bundle
from core.engine import Engine
from core.generators.residual import WeightShift
from core.images import to_array
from core.session import EditRequest
from training.judging import refined_sliders
from training.judging.refined_sliders import Pictures, cosines, report


def test_pictures_are_the_engines_own(
    tiny_engine: Engine, tiny_bundle: Bundle, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refined_sliders, "SIDE", tiny_engine.generator.resolution)
    portrait = tiny_engine.open_portrait(photo)
    shift = WeightShift(tuple(0.2 * k.detach().flip(0) for k in tiny_bundle.generator.kernels().values()))
    base = tiny_engine.renderer.render(portrait.w_plus[None], shift)
    portrait = portrait.refined({"best": shift}, {"best": base})
    step = torch.randn(portrait.w_plus.shape, generator=torch.Generator().manual_seed(0)) / 4
    monkeypatch.setattr(
        tiny_engine._editor, "edited_code", lambda w, directions, request: (w + step).expand(2, -1, -1)
    )

    for residual, mode in ((None, "off"), (shift, "best")):
        pictures = Pictures(tiny_engine.renderer, portrait.w_plus[None], [residual])
        edited = tiny_engine.edit(portrait, EditRequest({"smile": 1.0}, refine=mode))
        np.testing.assert_array_equal(pictures(step)[0], edited)
        unedited = base if residual is not None else portrait.rendered
        np.testing.assert_array_equal(pictures(None), to_array(unedited))


def test_identity_is_that_of_landmarks_found_anew_where_the_head_turns() -> None:
    photos = np.eye(2)
    edit = SimpleNamespace(identity=photos * 0.5, turned=photos * 0.75)
    assert cosines("smile", photos, [edit, edit]) == 0.5  # type: ignore[list-item]
    assert cosines("yaw", photos, [edit, edit]) == 0.75  # type: ignore[list-item]


def test_the_table_ends_with_the_means() -> None:
    row = {"moved": 1.0, "move": 2.0, "identity": 0.5}
    rows = {"smile": {"off": row, "fast": {**row, "identity": 0.75}}, "age": {"off": row, "fast": row}}
    lines = report(rows).splitlines()
    assert len(lines) == 2 + 3
    assert lines[-1].split("|")[-3:-1] == [" 0.50 ", " 0.62 "]
