"""The figures of a slider's row, on judgements made up for them."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.data.attribute_probe import ATTRIBUTES
from training.judging.opened import CODES, LINES
from training.judging.slider_measures import COLOUR_MEASURES, POINT_MEASURES
from training.judging.sliders import (
    JUDGED_AS,
    TURNS,
    Judged,
    figures,
    judge_published,
    opened_codes,
    placed,
)
from training.loops.slider_table import SLIDERS


def judged(names: tuple[str, ...], values: list[list[float]], angle: float = 0) -> Judged:
    who = np.tile([np.cos(angle), np.sin(angle)], (len(values), 1))
    return Judged(names, np.array(values, float), who, np.tile([1.0, 0.0], (len(values), 1)))


NAMES = ("smile", "age", "female", "glasses", "yaw")


def test_shares_moves_and_what_else_moves() -> None:
    before = judged(NAMES, [[0, 30, 0, 0, 0], [0, 30, 0, 0, 0]])
    up = judged(NAMES, [[2, 40, 0, 0, 0], [4, 30, 0, 0, 0]], angle=np.pi / 3)
    down = judged(NAMES, [[-1, 30, 0, 0, 0], [1, 30, 0, 0, 0]])
    row = figures("smile", before, up, down, np.array([2, 5, 1, 1, 1.0]))
    assert (row["moved"], row["moved_up"], row["moved_down"]) == (0.75, 1.0, 0.5)
    assert row["move"] == pytest.approx((3 - 0) / 2 / 2)
    assert row["identity"] == pytest.approx((0.5 + 1) / 2)
    assert row["else"]["age"] == pytest.approx(5 / 2 / 5)  # type: ignore[index]
    assert row["else_sum"] == pytest.approx(0.5)


def test_glasses_leave_only_those_who_have_them() -> None:
    before = judged(NAMES, [[0, 0, 0, 0.9, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0.1, 0]])
    up = judged(NAMES, [[0, 0, 0, 0.8, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0.9, 0]])
    down = judged(NAMES, [[0, 0, 0, 0.1, 0], [0, 0, 0, 0.2, 0], [0, 0, 0, 0.2, 0]])
    row = figures("glasses", before, up, down, np.ones(5))
    assert (row["moved_up"], row["moved_down"], row["can_fall"], row["moved"]) == (1.0, 1.0, 1, 1.0)


def test_gender_is_judged_as_female_and_turning_by_points_found_anew() -> None:
    before = judged(NAMES, [[0, 0, 0, 0, 0]])
    up, down = (judged(NAMES, [[0, 0, s, 0, s]], angle=1.0) for s in (1.0, -1.0))
    assert figures("gender", before, up, down, np.ones(5))["moved"] == 1
    assert figures("gender", before, up, down, np.ones(5))["identity"] == pytest.approx(np.cos(1.0))
    assert figures("yaw", before, up, down, np.ones(5))["identity"] == pytest.approx(1)


def test_a_slider_may_be_judged_by_what_falls() -> None:
    names = ("eyes_open", "age")
    before = judged(names, [[0.3, 30], [0.3, 30]])
    up, down = judged(names, [[0.1, 30], [0.4, 30]]), judged(names, [[0.4, 30], [0.5, 30]])
    row = figures("squint", before, up, down, np.array([0.1, 5.0]))
    assert (row["moved_up"], row["moved_down"]) == (0.5, 1.0)
    assert row["move"] == pytest.approx(1.0)
    assert row["else_sum"] == 0


def test_every_slider_has_a_judge() -> None:
    judges = {*POINT_MEASURES, *COLOUR_MEASURES, *TURNS, *ATTRIBUTES}
    assert {JUDGED_AS.get(slider.name, slider.name).removeprefix("-") for slider in SLIDERS} <= judges


def test_published_directions_are_laid_out_over_the_codes() -> None:
    np.testing.assert_array_equal(placed(np.arange(4.0), 3), np.tile(np.arange(4.0), (3, 1)))
    rows = np.arange(18.0)[:, None] * np.ones(4)
    np.testing.assert_array_equal(placed(rows, 16)[:, 0], np.arange(16))


def test_a_published_direction_is_stretched_to_the_same_move() -> None:
    """A judge that is linear in the codes: the published step of the wrong sign and length comes out
    equal."""

    def judges(codes: np.ndarray, pictures: np.ndarray) -> Judged:
        return judged(NAMES, [[w[0, 0], w[0, 1], 0, 0, 0] for w in codes])

    codes = np.random.default_rng(0).normal(size=(5, 2, 3))
    before = judges(codes, codes)
    direction = np.zeros(3)
    direction[:2] = -1.0, -0.5
    row = judge_published(
        judges, codes, before, direction, {"move": 1.3}, 1.0, "smile", codes  # type: ignore[arg-type]
    )  # fmt: skip
    assert row["move"] == pytest.approx(1.3)
    assert float(row["stretched"]) < 0  # type: ignore[arg-type]


def test_opened_codes_are_the_portraits_and_as_many_of_each_source(tmp_path: Path) -> None:
    names = [("p0", "portraits"), ("a0", "A"), ("a1", "A"), ("b0", "B"), ("b1", "B"), ("b2", "B")]
    (tmp_path / CODES).mkdir()
    lines = [json.dumps({"name": "bad", "source": "A", "failed": "no face"})]
    for number, (name, source) in enumerate(names):
        np.save(tmp_path / CODES / f"{source}-{name}.npy", np.full((2, 3), number))
        lines.append(json.dumps({"name": name, "source": source, "at": {}}))
    (tmp_path / LINES).write_text("".join(line + "\n" for line in lines))
    assert opened_codes(tmp_path, 5)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert opened_codes(tmp_path, 3)[:, 0, 0].tolist() == [0, 1, 3]
