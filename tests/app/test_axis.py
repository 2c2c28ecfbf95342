"""Which keys of a slider are rendered, against plain formulas of what lies between them."""

from collections.abc import Callable

import numpy as np
import pytest

from app.axis import COARSE, HIGH, LEAST, LOW, MOST_OFF, STEP, Keys, off_by, reached


def followed(truth: Callable[[float], float], at: int = 0, most: int = 200) -> Keys:
    """All keys that a finger at rest asks for, where a picture is one number: a plain walk of the rule."""
    keys = Keys(at)
    while (place := keys.next(at)) is not None and len(keys.made) < most:
        around, off = keys.around(place), None
        if around is not None:
            low, high = around
            share = (place - low) / (high - low)
            off = abs((1 - share) * truth(low) + share * truth(high) - truth(place))
        keys = keys.after(place, off)
    return keys


def test_places_are_steps_of_a_slider() -> None:
    assert (LOW * STEP, HIGH * STEP) == (-3, 3)


def test_keys_come_at_the_finger_first_then_outwards() -> None:
    keys, order = Keys(7), []
    while (place := keys.next(7)) is not None:
        order.append(place)
        keys = keys.after(place, 0.0 if keys.around(place) else None)
    # Before the middles of what is not known to be even come those that let the finger go on.
    assert order[:6] == [7, 0, 20, -20, 40, 3]
    assert {*range(LOW, HIGH + 1, COARSE)} <= {*order}
    coarse = [place for place in order if place % COARSE == 0]
    assert coarse == sorted(coarse, key=lambda place: (abs(place - 7), -place))


def test_where_the_finger_goes_is_rendered_next() -> None:
    keys = Keys(0).after(0, None)
    assert [keys.next(at) for at in (0, 1, -1, 45, -60)] == [20, 20, -20, 40, -60]


def test_a_fast_hand_has_its_next_key_where_it_goes() -> None:
    keys = Keys(0, (-20, 0, 20))
    assert keys.next(15, 45) == 60
    assert keys.next(15, 40) == 40
    assert keys.next(-5, -60) == -60
    # As far as that there are keys: what is nearest comes first.
    assert keys.next(15, 18) == keys.next(15, 15) == keys.next(15) == 40
    assert Keys(7).next(7, 60) == 7


def test_where_a_finger_will_be_follows_from_its_speed() -> None:
    assert reached([(5.0, 30)], 1.0) == 30
    assert reached([(5.0, 10), (5.1, 12), (5.2, 20)], 0.1) == 25
    assert reached([(5.0, 10), (5.2, -10)], 0.2) == -30
    assert reached([(5.0, 10), (5.2, 30)], 9.0) == HIGH
    assert reached([(5.0, 10), (5.0, 30)], 9.0) == 30  # two moves at once are no speed


@pytest.mark.parametrize("bend", [0.0, 5.0, 60.0, 400.0])
def test_every_blend_between_keys_is_as_good_as_it_must_be(bend: float) -> None:
    def truth(place: float) -> float:
        return 128 + 10 * place + bend * (place / 60) ** 2

    keys = followed(truth)
    for low, high in zip(keys.made, keys.made[1:], strict=False):
        for place in range(low, high + 1):
            share = (place - low) / (high - low)
            off = abs((1 - share) * truth(low) + share * truth(high) - truth(place))
            assert off <= MOST_OFF or high - low <= LEAST, (low, place, high)
    assert keys.made[0] == LOW
    assert keys.made[-1] == HIGH


def test_what_is_bent_only_here_has_its_keys_here() -> None:
    keys = followed(lambda place: 0.1 * max(0.0, place) ** 2, at=0)
    right, left = (sum(1 for place in keys.made if sign * place > 0) for sign in (1, -1))
    assert right >= 2 * left
    assert left == 2 * 60 / COARSE  # the coarse keys, and a middle each that shows that they are enough


def test_no_axis_has_more_keys_than_a_browser_holds() -> None:
    noisy = np.random.default_rng(0).uniform(0, 255, HIGH - LOW + 1)
    keys = followed(lambda place: noisy[int(place) - LOW])
    assert len(keys.made) <= (HIGH - LOW) / (LEAST // 2)


def test_a_blend_off_its_middle_is_judged_by_what_it_would_be_there() -> None:
    keys = Keys(0, (0, 20))
    # At a tenth a parabola is off by 4 * .1 * .9 = .36 of what it is in the middle.
    assert keys.after(2, 0.35 * MOST_OFF).even == {(0, 2), (2, 20)}
    assert keys.after(2, 0.37 * MOST_OFF).even == set()
    # What was even, and has a key within now, is two.
    assert Keys(0, (0, 20), frozenset({(0, 20)})).after(10, 99.0).even == set()


def test_keys_are_not_changed_in_place() -> None:
    keys = Keys(0, (0, 20))
    keys.after(10, 0.0)
    assert keys == Keys(0, (0, 20))


def test_a_blend_is_off_by_the_mean_of_what_the_plain_formula_says() -> None:
    low, true, high = np.random.default_rng(1).integers(0, 256, (3, 5, 7, 3)).astype(np.uint8)
    share, total = 0.3, 0.0
    for a, b, c in zip(low.ravel().tolist(), true.ravel().tolist(), high.ravel().tolist(), strict=True):
        total += abs((1 - share) * a + share * c - b)
    assert off_by(low, true, high, share) == pytest.approx(total / low.size, rel=1e-5)
