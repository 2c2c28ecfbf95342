"""core.inversion.seeker: who goes first, what is told, what is done once."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.errors import Cancelled
from core.inversion import seeker as module
from core.inversion.seeker import Seeker, Sought
from core.keys import PortraitKey
from core.refinement.running import Precedence
from core.rendering.device_thread import DeviceThread

LONG = 1e6  # seconds that no test waits for


class Falling:
    """A descent whose loss halves with every step, and whose code counts them; `during` runs in each."""

    def __init__(self, code: torch.Tensor | None, during: Callable[[int], None]) -> None:
        self.steps = 0 if code is None else int(code[0, 0])
        self._during = during

    @property
    def codes(self) -> torch.Tensor:
        return torch.full((2, 3), float(self.steps))

    def step(self) -> float:
        self._during(self.steps)
        self.steps += 1
        return 0.5**self.steps


class Rising(Falling):
    """Whose loss rises, and whose codes are those that it begins with only to the last digits but one."""

    @property
    def codes(self) -> torch.Tensor:
        return super().codes + 1e-4

    def step(self) -> float:
        return 2 - super().step()


class Scene:
    """A seeker whose descents are of its `kind`; `remembered`: whether portraits are."""

    def __init__(self) -> None:
        self.begun: list[Falling] = []
        self.during: Callable[[int], None] = lambda step: None
        self.precedence = Precedence(quiet_seconds=0)
        self.remembered = True
        self.kind: type[Falling] = Falling
        self.seeker = Seeker(self._begin, DeviceThread(), self.precedence, lambda key: self.remembered)

    def _begin(self, crop: np.ndarray, landmarks: np.ndarray, code: torch.Tensor | None) -> Falling:
        self.begun.append(self.kind(code, lambda step: self.during(step)))
        return self.begun[-1]

    def until(self, count: int) -> Callable[[], bool]:
        """Cancelled once the first descent has made so many steps."""
        return lambda: bool(self.begun) and self.begun[0].steps >= count

    def seek(self, sought: Sought, seconds: float = LONG, **more) -> torch.Tensor:
        wishes = {"progress": lambda _: None, "better": None, "cancelled": lambda: False, **more}
        with self.precedence.first():
            return self.seeker.seek(sought, seconds, **wishes)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(module, "TOLD_SECONDS", 0.0)
    return Scene()


def face(number: int, code: float | None = None) -> Sought:
    known = None if code is None else torch.full((2, 3), code)
    return Sought(PortraitKey("photo", number), np.zeros((4, 4, 3), np.uint8), np.zeros((68, 2)), known)


def test_without_time_the_start_comes_back(scene: Scene) -> None:
    told: list[float] = []
    found = scene.seek(face(0), 0.0, better=lambda code: told.append(float(code[0, 0])))
    assert torch.equal(found, torch.zeros(2, 3))
    assert told == []
    assert scene.begun[0].steps == 0


def test_better_codes_are_told_and_the_best_comes_back_when_it_has_arrived(scene: Scene) -> None:
    told: list[float] = []
    found = scene.seek(face(0), better=lambda code: told.append(float(code[0, 0])), cancelled=lambda: False)
    assert told[:3] == [1, 2, 3]
    assert told == sorted(told)
    assert float(found[0, 0]) == told[-1] > 16


def test_the_first_move_is_told_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLD_SECONDS", 1e6)
    told: list[float] = []
    scene.seek(face(0), better=lambda code: told.append(float(code[0, 0])))
    assert told == [1]


def test_steps_end_an_opening_however_much_time_there_is(scene: Scene) -> None:
    assert float(scene.seek(face(0), most=5)[0, 0]) == 5
    assert scene.begun[0].steps == 5
    assert torch.equal(scene.seek(face(1), 0.0, most=5), torch.zeros(2, 3))


def test_what_judges_worse_leads_nowhere(scene: Scene) -> None:
    scene.kind = Rising
    assert torch.equal(scene.seek(face(0), most=5), torch.full((2, 3), 1e-4))  # where it began


def test_improving_by_steps_takes_the_last_move_too(scene: Scene) -> None:
    told: list[float] = []
    scene.seek(face(0), 0.0)
    scene.seeker.improve(face(0), LONG, lambda c: told.append(float(c[0, 0])), lambda: False, False, most=5)
    assert told == [5]


def test_a_cancelled_opening_leaves_nothing(scene: Scene) -> None:
    with pytest.raises(Cancelled, match=r"opening was cancelled"):
        scene.seek(face(0), cancelled=scene.until(3))
    assert scene.begun[0].steps == 3
    scene.seek(face(0), 0.0)
    assert len(scene.begun) == 2


def test_improving_goes_on_where_opening_stopped(scene: Scene) -> None:
    told: list[float] = []
    code = scene.seek(face(0), 0.0)
    scene.seeker.improve(face(0), LONG, lambda c: told.append(float(c[0, 0])), scene.until(3))
    assert (len(scene.begun), scene.begun[0].steps) == (1, 3)
    assert told == [1, 2]  # the start was known
    scene.seeker.improve(face(0, 2.0), LONG, lambda c: told.append(float(c[0, 0])), scene.until(5))
    assert told == [1, 2, 3, 4]  # the code that is known is not told again
    assert len(scene.begun) == 1
    assert torch.equal(code, torch.zeros(2, 3))


def test_a_descent_that_was_forgotten_begins_anew_from_the_code(scene: Scene) -> None:
    scene.seek(face(0), 0.0)
    scene.seeker.forget("another")
    scene.seek(face(0), 0.0)
    assert len(scene.begun) == 1
    scene.seeker.forget("photo")
    told: list[float] = []
    scene.seeker.improve(
        face(0, 7.0),
        LONG,
        lambda c: told.append(float(c[0, 0])),
        lambda: len(scene.begun) == 2 and bool(told),
    )
    assert (len(scene.begun), told[0]) == (2, 8)  # 7 is known


@pytest.mark.parametrize("remembered", [True, False])
def test_of_a_forgotten_portrait_no_descent_is_kept(scene: Scene, remembered: bool) -> None:
    scene.remembered = remembered
    told: list[torch.Tensor] = []
    scene.seeker.improve(face(0, 7.0), LONG, told.append, lambda: len(told) == 2)
    assert len(told) == 2
    scene.seek(face(0), 0.0)
    assert len(scene.begun) == (1 if remembered else 2)


def test_a_descent_that_begins_anew_tells_nothing_that_is_not_better(scene: Scene) -> None:
    scene.kind = Rising
    scene.seeker.improve(
        face(0, 7.0), LONG, lambda _: pytest.fail("is the code that is known"), lambda: steps_of(scene) == 12
    )
    assert steps_of(scene) == 12


def steps_of(scene: Scene) -> int:
    return scene.begun[0].steps if scene.begun else 0


def test_an_opening_whose_picture_fails_leaves_nothing(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError):
        scene.seek(face(0), better=lambda _: 1 / 0)
    scene.seek(face(0), 0.0)
    assert len(scene.begun) == 2


def test_improving_waits_as_long_as_anybody_waits(scene: Scene) -> None:
    steps, stepped = [], threading.Event()

    def during(step: int) -> None:
        steps.append(step)
        stepped.set()

    scene.during = during
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: scene.seeker.improve(face(0), LONG, lambda _: None, stop.is_set), daemon=True
    )
    with scene.precedence.first():
        thread.start()
        assert not stepped.wait(0.5)
    assert stepped.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert steps == list(range(len(steps)))


def test_an_opening_goes_before_what_improves(scene: Scene) -> None:
    """The opening begins during a step of the improvement, and is through before its next."""
    order: list[str] = []
    opening: list[threading.Thread] = []

    def open_other() -> None:
        with scene.precedence.first():  # until that is written down, too
            scene.seek(face(1))
            order.append("opened")

    def during(step: int) -> None:
        order.append("step")
        if not opening:
            opening.append(threading.Thread(target=open_other, daemon=True))
            opening[0].start()
            while not scene.precedence._first:
                pass

    scene.during = during
    scene.seeker.improve(face(0), LONG, lambda _: None, lambda: "opened" in order)
    opening[0].join(30)
    # Its own steps are in between; the improvement made none, as it had but one.
    assert scene.begun[0].steps == 1
    assert scene.begun[1].steps > 1
    assert order[-1] == "opened"


def test_openings_take_turns_and_are_told_so(scene: Scene) -> None:
    told: list[str] = []
    others: list[threading.Thread] = []
    waits = threading.Event()

    def progress(step: str) -> None:
        told.append(step)
        waits.set()

    def during(step: int) -> None:
        if not others:
            others.append(threading.Thread(target=lambda: scene.seek(face(1), 0.0, progress=progress)))
            others[0].start()
            assert waits.wait(30)

    scene.during = during
    scene.seek(face(0))
    others[0].join(30)
    assert set(told) == {"Waiting for another portrait"}
    assert len(scene.begun) == 2
