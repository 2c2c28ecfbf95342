"""Edits of a refined portrait give way where the slider moves the face."""

import numpy as np
import pytest

from core.engine import Engine
from core.images import to_array
from core.refinement.fade import fade
from core.session import EditRequest


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_a_refined_edit_is_faded_by_how_far_it_moved_the_face(
    refining_engine: Engine, photo: np.ndarray, strength: float
) -> None:
    portrait = refining_engine.refine(refining_engine.open_portrait(photo), "fast")
    sliders = {"smile": 1.5}
    step = 1.5 * 2.0 * portrait.directions["first"][2]  # its unit is 2
    render = refining_engine.renderer.render
    plain = render((portrait.w_plus + step)[None])
    refined = render((portrait.w_plus + step)[None], portrait.residuals["fast"], strength)
    wanted = to_array(fade(plain, refined, portrait.rendered))[0]
    found = refining_engine.edit(portrait, EditRequest(sliders, refine="fast", strength=strength))
    assert np.array_equal(found, wanted)
    assert not np.array_equal(found, to_array(refined)[0])
    assert not np.array_equal(found, to_array(plain)[0])
