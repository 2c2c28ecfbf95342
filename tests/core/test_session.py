import dataclasses
import math
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from core.errors import BadRequest, SessionExpired
from core.session import EditRequest, SessionStore, View


@dataclass(frozen=True)
class Thing:
    nbytes: int


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def holds(store: SessionStore[Thing], token: str) -> bool:
    try:
        store.get(token)
    except SessionExpired:
        return False
    return True


def test_requests_that_mean_the_same_are_equal() -> None:
    a = EditRequest({"smile": 1, "young": 0.5, "male": 0.0})
    b = EditRequest({"young": np.float32(0.5), "smile": 1.0, "yaw": -0.0})
    assert a == b
    assert hash(a) == hash(b)
    assert list(a.sliders.items()) == [("smile", 1.0), ("young", 0.5)]
    assert a != EditRequest({"smile": 1.0})
    assert a != a.seen(start="photo")


def test_a_request_cannot_be_changed() -> None:
    sliders = {"smile": 1.0}
    request = EditRequest(sliders)
    sliders["smile"] = 2.0
    assert request.sliders["smile"] == 1.0
    with pytest.raises(TypeError):
        request.sliders["smile"] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.order = "first"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9, -3.01, 10**400, "1", None, 1j])
def test_a_slider_takes_a_number_from_minus_3_to_3(value: object) -> None:
    with pytest.raises(BadRequest, match=r"slider smile .* from -3 to 3\.$"):
        EditRequest({"smile": value})


@pytest.mark.parametrize("value", [float("nan"), 1.01, -0.01, "1", None, 1e400])
def test_the_strength_is_a_number_from_0_to_1(value: object) -> None:
    with pytest.raises(BadRequest, match=r"strength is at .* from 0 to 1\.$"):
        EditRequest(strength=value)


def test_refinement_is_part_of_a_request() -> None:
    fast = EditRequest({"smile": 1}, refine="fast", strength=np.float32(0.5))
    assert fast.refinement == "fast"
    assert fast == EditRequest({"smile": 1.0}, refine="fast", strength=0.5)
    assert hash(fast) == hash(EditRequest({"smile": 1.0}, refine="fast", strength=0.5))
    for other in ({"refine": "best"}, {"strength": 0.4}, {"view": View(keep_detail=False)}):
        assert fast != dataclasses.replace(fast, **other)
        assert hash(fast) != hash(dataclasses.replace(fast, **other))
    assert dataclasses.replace(fast, strength=0).refinement is None
    assert EditRequest().refinement is None


@pytest.mark.parametrize(
    "words",
    [
        {"order": "third"},
        {"refine": "more"},
        {"order": None},
        {"refine": []},
    ],
)
def test_unknown_words(words: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="must be one of"):
        EditRequest({}, **words)


@pytest.mark.parametrize("words", [{"start": "face"}, {"output": ""}, {"start": []}, {"output": None}])
def test_unknown_views(words: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="must be one of"):
        View(**words)


def test_seen_otherwise_it_is_the_same_edit() -> None:
    edit = EditRequest({"smile": 1}, "second", "fast", 0.5, view=View("photo", "face", False))
    whole = edit.seen(output="photo")
    assert whole.view == View("photo", "photo", False)
    assert dataclasses.replace(whole, view=edit.view) == edit != whole


def test_the_range_ends_are_allowed() -> None:
    assert EditRequest({"a": -3, "b": 3}).sliders == {"a": -3.0, "b": 3.0}


def test_the_number_is_bounded_and_the_least_recently_used_goes() -> None:
    store = SessionStore[Thing](max_sessions=2, max_bytes=1000)
    store.put("a", Thing(1))
    store.put("b", Thing(1))
    store.get("a")
    store.put("c", Thing(1))
    assert len(store) == 2
    assert [holds(store, t) for t in "abc"] == [True, False, True]


def test_the_bytes_are_bounded() -> None:
    store = SessionStore[Thing](max_sessions=100, max_bytes=10)
    for token in "abc":
        store.put(token, Thing(4))
    assert [holds(store, t) for t in "abc"] == [False, True, True]
    store.put("b", Thing(10))  # replaces b's 4, leaves no room for c
    assert [holds(store, t) for t in "bc"] == [True, False]


def test_one_value_too_large_is_kept_alone() -> None:
    store = SessionStore[Thing](max_sessions=100, max_bytes=10)
    store.put("a", Thing(1))
    store.put("b", Thing(50))
    assert [holds(store, t) for t in "ab"] == [False, True]


def test_age_counts_from_the_last_use() -> None:
    clock = Clock()
    store = SessionStore[Thing](max_sessions=100, max_bytes=1000, max_age_seconds=60, clock=clock)
    store.put("a", Thing(1))
    store.put("b", Thing(1))
    clock.now = 50
    store.get("a")
    clock.now = 61
    assert len(store) == 1
    assert [holds(store, t) for t in "ab"] == [True, False]
    clock.now = 1000
    assert len(store) == 0


def test_dropping_frees_and_an_expired_session_says_what_to_do() -> None:
    store = SessionStore[Thing](max_sessions=2, max_bytes=10)
    store.put("a", Thing(1))
    store.drop("a")
    store.drop("never seen")
    assert len(store) == 0
    with pytest.raises(SessionExpired, match="open the photo again"):
        store.get("a")


def test_looking_at_a_value_and_putting_another_in_its_place_is_no_use_of_it() -> None:
    clock = Clock()
    store = SessionStore[Thing](10, 100, max_age_seconds=10, clock=clock)
    one, other = Thing(60), Thing(10)
    store.put("a", one)
    store.put("b", Thing(30))
    assert store.peek("a") is one
    assert store.peek("c") is None
    assert not store.replace("a", other, Thing(1))  # it holds another one
    assert not store.replace("c", one, other)
    assert store.idle("c") == math.inf
    clock.now += 6
    assert store.replace("a", one, other)
    assert store.idle("a") == 6
    assert store.peek("a") is other
    assert store.tokens() == ("a", "b")
    store.put("d", Thing(60))  # there is room for it now
    assert store.tokens() == ("a", "b", "d")
    clock.now += 6
    assert store.tokens() == ("d",)


def test_many_threads_keep_the_bounds() -> None:
    store = SessionStore[Thing](max_sessions=5, max_bytes=1000)
    problems: list[Exception] = []

    def visit(name: int) -> None:
        try:
            for i in range(300):
                store.put(f"{name}-{i % 7}", Thing(1))
                holds(store, f"{(name + 1) % 8}-{i % 7}")
                store.drop(f"{name}-{(i + 3) % 7}")
        except Exception as error:  # a dictionary changed while it was walked
            problems.append(error)

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(store) <= 5
