"""From labelled samples to the file behind the sliders."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from core.config import AttributeConfig
from training.data.label import NAMES
from training.data.label_table import LabelTable
from training.loops.directions import LOGARITHMIC, fit, held_weights, report, save_directions, step_of
from training.loops.slider import Slider
from training.loops.slider_table import SLIDERS

CODES, WIDTH, COUNT = 6, 80, 1600
SMILE = Slider(
    "smile",
    "Smile",
    "serious",
    "smiling",
    target="smile",
    step=0.3,
    codes=(2, 5),
    free=("squint",),
    labels_held=60.0,
)


def world() -> tuple[np.ndarray, LabelTable, np.ndarray]:
    """Faces whose smile goes with squinting and with age, and with an identity that smiling people share.

    Returns codes (N, L, D), their labels, and the gradients (A, D) of all labels.
    """
    random = np.random.default_rng(5)
    w = random.normal(size=(COUNT, CODES, WIDTH))
    w[: COUNT // 2] = w[: COUNT // 2, :1]
    gradients = random.normal(size=(len(NAMES), WIDTH)) / WIDTH**0.5
    for name in ("squint", "age"):
        gradients[NAMES.index(name)] += gradients[NAMES.index("smile")]
    made = w.mean(1)
    values = made @ gradients.T + 0.05 * random.normal(size=(COUNT, len(NAMES)))
    for name in LOGARITHMIC:
        values[:, NAMES.index(name)] = np.exp(values[:, NAMES.index(name)])
    who = random.normal(size=(WIDTH, 128)) / WIDTH**0.5
    who[:, 0] = 3 * gradients[NAMES.index("smile")]
    surround = made @ random.normal(size=(WIDTH, 20))
    values[7] = np.nan  # a face that no network found
    return w, LabelTable(NAMES, values, made @ who, surround), gradients


@pytest.fixture(scope="module")
def fitted() -> tuple:
    codes, table, gradients = world()
    return (*fit(codes, table), gradients)


def test_a_step_moves_its_label_as_far_as_it_says_and_holds_the_rest(fitted: tuple) -> None:
    whitening, labels, gradients = fitted
    step, moved = step_of(SMILE, whitening, labels)
    assert step.shape == (CODES, WIDTH)
    assert np.abs(step[:2]).max() == np.abs(step[5:]).max() == 0
    np.testing.assert_allclose(step[2], step[4])
    done = gradients @ step.mean(0)  # of the world itself, whatever the regression believes
    assert done[NAMES.index("smile")] == pytest.approx(0.3, rel=0.2)  # ridge regression shrinks what it finds
    assert moved[labels.index("smile")] == pytest.approx(0.3 / labels.deviation[labels.index("smile")])
    nothing = {"labels_held": 0.0, "identity_held": 0.0, "surround_held": 0.0}
    loose, _ = step_of(Slider(**{**vars(SMILE), **nothing}), whitening, labels)
    free = gradients @ loose.mean(0)
    age, squint = NAMES.index("age"), NAMES.index("squint")
    assert free[age] > 0.1
    assert abs(done[age]) < 0.5 * free[age]
    assert done[squint] > 0.5 * free[squint]


def test_strict_labels_are_held_ten_times_as_firmly(fitted: tuple) -> None:
    _, labels, _ = fitted
    slider = Slider(**{**vars(SMILE), "strict": ("age",), "labels_held": 3.0, "identity_held": 0.5})
    weights = dict(zip(labels.names, held_weights(slider, labels.names), strict=True))
    assert (weights["age"], weights["yaw"], weights["smile"], weights["squint"]) == (30, 3, 0, 0)
    assert (weights["identity 0"], weights["surround 0"]) == (0.5, slider.surround_held)


def test_labels_that_move_too_move_as_far(fitted: tuple) -> None:
    whitening, labels, _ = fitted
    nothing = {"labels_held": 0.0, "identity_held": 0.0, "surround_held": 0.0, "codes": (0, CODES)}
    alone, both = (Slider(**{**vars(SMILE), **nothing, "also": also}) for also in ((), ("yaw",)))
    (_, first), (_, second) = (step_of(slider, whitening, labels) for slider in (alone, both))
    smile, yaw = labels.index("smile"), labels.index("yaw")
    assert abs(first[yaw]) < 0.3 * first[smile]
    assert second[yaw] == pytest.approx(second[smile], rel=0.35)
    with pytest.raises(ValueError, match="beauty"):
        Slider(**{**vars(SMILE), "also": ("beauty",)})


def test_labels_are_told_of_faces_unseen(fitted: tuple) -> None:
    whitening, labels, _ = fitted
    codes, table, _ = world()
    last = LabelTable(NAMES, *(part[-200:] for part in (table.values, table.identity, table.surround)))
    lines = report(labels, whitening, codes[-200:], last).splitlines()
    assert len(lines) == len(NAMES)
    assert min(float(line.split()[1]) for line in lines) > 0.8


def test_the_file_holds_unit_directions_and_the_table_their_lengths(tmp_path: Path) -> None:
    steps = np.zeros((2, CODES, WIDTH))
    steps[0, 1, 3], steps[0, 2, 3] = 2.0, 1.0
    steps[1, 4, 5] = 0.5
    other = Slider("yaw", "Turn", "left", "right", target="yaw", step=8.0, codes=(0, 5))
    save_directions(tmp_path, steps, (SMILE, other))
    directions = load_file(tmp_path / "directions.safetensors")["directions"]
    assert str(directions.dtype) == "torch.float16"
    attributes = [AttributeConfig(**row) for row in json.loads((tmp_path / "attributes.json").read_text())]
    assert [(a.name, a.unit, a.high) for a in attributes] == [
        ("smile", 2.0, "smiling"),
        ("yaw", 0.5, "right"),
    ]
    units = np.array([a.unit for a in attributes])[:, None, None]
    np.testing.assert_allclose(directions.numpy() * units, steps, atol=1e-3)


def test_the_sliders_have_names_of_their_own_and_know_their_labels() -> None:
    names = [slider.name for slider in SLIDERS]
    assert len(set(names)) == len(names) >= 40
    assert {s.codes[1] <= 16 for s in SLIDERS} == {True}
    with pytest.raises(ValueError, match="beauty"):
        Slider("x", "X", "", "", target="beauty", step=1.0, codes=(0, 2))
    with pytest.raises(ValueError, match="none"):
        Slider("x", "X", "", "", target="age", step=1.0, codes=(3, 3))
