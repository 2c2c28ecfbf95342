"""The edits on which the meter is judged, and the table of it."""

from collections import Counter

import numpy as np

from training.judging.meter import VALUES, edits_of, spans


def test_every_slider_goes_both_ways_and_several_go_at_once() -> None:
    names = [f"slider{i}" for i in range(7)]
    edits = edits_of(names, 8)
    alone, several = edits[: 7 * len(VALUES)], edits[7 * len(VALUES) :]
    assert [(*edit.items(),) for edit in alone] == [((name, value),) for name in names for value in VALUES]
    assert Counter(map(len, several)) == {2: 2, 3: 2, 4: 2, 5: 2}
    assert all(value and abs(value) <= 3 for edit in several for value in edit.values())
    assert edits == edits_of(names, 8)
    assert edits_of(["one"], 2)[len(VALUES) :] != []  # fewer sliders than are moved at once


def test_each_span_has_what_the_judge_says() -> None:
    meter, judged = np.array([0.9, 0.6, 0.2, 0.75]), np.array([0.95, 0.7, 0.3, 0.85])
    assert spans(meter, judged, [0.75, 0.5, 0.1]) == [
        {"from": 0.75, "edits": 2, "least": 0.85, "mean": 0.9, "most": 0.95},
        {"from": 0.5, "edits": 1, "least": 0.7, "mean": 0.7, "most": 0.7},
        {"from": 0.1, "edits": 1, "least": 0.3, "mean": 0.3, "most": 0.3},
    ]
