"""Evaluation of reference editing: its measures by hand, and rows of pairs whose judges read the code."""

import dataclasses
import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.checkpoints import Bundle
from core.config import AttributeConfig
from core.models.face_parser import CLASSES, SIDE
from core.network_config import ReferenceEditorConfig
from training.data.attribute_probe import ATTRIBUTES
from training.judging import references
from training.judging.references import GROUPS, Group, Pairs, report, shuffled_pairs, towards
from training.judging.slider_measures import COLOUR_MEASURES, POINT_MEASURES
from training.judging.sliders import TURNS, Judged
from training.loops.reference_groups import GROUPS as TAUGHT
from training.loops.slider_table import SLIDERS


def test_everybody_is_paired_with_everybody_else_once() -> None:
    pairs = shuffled_pairs(5, 0)
    assert sorted(map(tuple, pairs.tolist())) == [(a, b) for a in range(5) for b in range(5) if a != b]
    assert (pairs == shuffled_pairs(5, 0)).all()
    assert (pairs != shuffled_pairs(5, 1)).any()


def test_the_way_to_a_reference_is_the_judges_together() -> None:
    gap = np.array([[3.0, 4.0], [0.0, -2.0], [0.6, 0.6], [np.nan, 1.0]])
    change = np.array([[3.0, 4.0], [5.0, 1.0], [9.0, 9.0], [7.0, 0.5]])
    gone, told = towards(change, gap)
    assert told.tolist() == [True, True, False, True]  # the third pair is too near to say anything
    assert gone[[0, 1, 3]].tolist() == pytest.approx([5.0, -1.0, 0.5])


def test_every_group_is_judged_by_what_there_is_and_compared_with_its_sliders() -> None:
    judges = {*POINT_MEASURES, *COLOUR_MEASURES, *TURNS, *ATTRIBUTES}
    sliders = {slider.name for slider in SLIDERS}
    assert list(GROUPS) == [group.name for group in TAUGHT]
    for group in GROUPS.values():
        assert set(group.judges) <= judges
        assert group.sliders.keys() <= sliders
        assert {judge for judge, _ in group.sliders.values()} <= set(group.judges)
        assert all(move > 0 for _, move in group.sliders.values())


class Read:
    """Judges that read a code's first three numbers; a picture is its code."""

    names = ("one", "two", "three")

    @staticmethod
    def render(codes: np.ndarray) -> np.ndarray:
        return codes

    def judged(self, pictures: np.ndarray, unedited: np.ndarray | None = None) -> Judged:
        values = pictures[:, 0, :3].astype(float)
        angle = values[:, 2:]
        who = np.concatenate([np.cos(angle), np.sin(angle)], 1)
        return Judged(self.names, values, who, who)

    __call__ = judged


class Half(nn.Module):
    """Half of the way in the first number, and .1 in the third, whoever it is."""

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        step = torch.zeros_like(source)
        step[:, 0, 0] = (reference - source)[:, 0, 0] / 2
        step[:, 0, 2] = 0.1
        return step


def test_a_row_says_how_far_pairs_went_and_what_else_moved(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: Mapping[str, Group] = {"smile": Group(("one",), {"ahead": ("one", 0.5)})}
    monkeypatch.setattr(references, "GROUPS", groups)
    shape = tiny_bundle.generator.w_mean.shape
    direction = torch.zeros(1, *shape)
    direction[0, 0, :2] = torch.tensor([1.0, 2.0])
    config = dataclasses.replace(
        tiny_bundle.config,
        attributes=(AttributeConfig("ahead", "Ahead", 0.5),),
        directions=("ahead",),
        reference_editor=ReferenceEditorConfig(shape[0], ("smile",), shape[1], 8, 2, ("Smile",)),
    )
    bundle = dataclasses.replace(
        tiny_bundle, config=config, directions=direction, reference_editors={"smile": Half()}
    )
    codes = np.zeros((4, *shape), np.float32)
    codes[:, 0, :3] = [[0, 0, 0], [2, 1, 0], [0, 2, 1], [2, 3, 1]]
    sigma = codes[:, 0, :3].std(0)
    pairs = np.array([[0, 1], [1, 2], [0, 2]])  # the last does not differ
    row = Pairs(bundle, Read(), codes, pairs).measure("smile", 9, True)  # type: ignore[arg-type]
    assert (row["pairs"], row["share"]) == (2, 1)
    assert row["move"] == pytest.approx(1 / sigma[0])
    assert row["reach"] == pytest.approx(0.5)
    assert row["identity"] == pytest.approx(np.cos(0.1))
    assert row["dependency"] == pytest.approx(0.1 / sigma[2] / 2)
    # The slider's value is its share of twice the deviations; what else moves is twice as far as it goes.
    assert row["slider_share"] == 1
    assert row["slider_identity"] == pytest.approx(1)
    assert row["slider_dependency"] == pytest.approx(2 / sigma[1] / 2)
    found = {"command": "c", "torch": "t", "cpus": 2, "groups": {"smile": row}}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "| smile | 2 | 100.0 % |" in report(found)
    assert "mean 100.0 %, least 100.0 %" in report(found)


class Striped:
    """A parser that sees hair in a picture's dark rows, skin elsewhere."""

    @staticmethod
    def classes(picture: Tensor) -> np.ndarray:
        dark = (picture[0, 0] < 0).numpy()
        return np.where(dark, CLASSES.index("hair"), CLASSES.index("skin")).astype(np.uint8)


def test_a_take_with_a_region_is_judged_with_the_rest_unedited(tiny_bundle: Bundle) -> None:
    before, after = (np.full((SIDE, SIDE, 3), value, np.uint8) for value in (200, 220))
    before[:40], after[:80] = 10, 30
    shape = tiny_bundle.generator.w_mean.shape
    editor = ReferenceEditorConfig(
        shape[0], ("smile", "hair"), shape[1], 8, 2, ("S", "H"), regions=("", "hair")
    )

    class Drawn(Read):
        @staticmethod
        def render(codes: np.ndarray) -> np.ndarray:
            return np.stack([after if code[0, 2] else before for code in codes])

        def judged(self, pictures: np.ndarray, unedited: np.ndarray | None = None) -> Judged:
            return Read().judged(np.arange(3.0 * len(pictures)).reshape(-1, 1, 3), unedited)

    bundle = dataclasses.replace(
        tiny_bundle,
        config=dataclasses.replace(tiny_bundle.config, reference_editor=editor),
        reference_editors={"smile": Half(), "hair": Half()},
    )
    codes = np.zeros((2, *shape), np.float32)
    made = Pairs(bundle, Drawn(), codes, np.array([[0, 1]]), Striped())  # type: ignore[arg-type]
    rows = np.array([0])
    assert np.array_equal(made._taken("smile", rows)[0], after)
    (found,) = made._taken("hair", rows)
    assert np.array_equal(found[:80], after[:80])
    assert np.array_equal(found[100:], before[100:])
    whole = Pairs(bundle, Drawn(), codes, np.array([[0, 1]]))  # type: ignore[arg-type]
    assert np.array_equal(whole._taken("hair", rows)[0], after)
