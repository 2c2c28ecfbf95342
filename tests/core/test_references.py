import numpy as np
import pytest

from core.errors import BadRequest
from core.references import MAX_TAKES, Reference, Take
from core.session import EditRequest

PICTURE = np.zeros((4, 4, 3), np.uint8)


def face(value: float, picture: np.ndarray = PICTURE) -> Reference:
    return Reference(np.full((2, 3), value, np.float32), picture)


def test_references_are_equal_where_their_codes_are() -> None:
    assert face(1) == face(1, PICTURE + 1)
    assert hash(face(1)) == hash(face(1, PICTURE + 1))
    assert face(1) != face(2)
    assert face(1) != "face"
    flat = Reference(np.full((3, 2), 1, np.float32), PICTURE)
    assert face(1) != flat


def test_a_reference_is_a_copy_that_cannot_be_changed() -> None:
    code = np.zeros((2, 3), np.float32)
    reference = Reference(code, PICTURE)
    code += 1
    assert reference.w_plus.max() == 0
    for array in (reference.w_plus, reference.picture):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert reference.nbytes == 2 * 3 * 4 + 48


def test_takes_that_mean_the_same_are_equal() -> None:
    assert Take(face(1), ("smile", "age", "smile"), 1) == Take(face(1), ("age", "smile"))
    assert Take(face(1), ("age",), 0.5) != Take(face(1), ("age",))


@pytest.mark.parametrize("amount", [float("nan"), -1.01, 2.01, "1", None])
def test_the_amount_is_a_number_from_minus_1_to_2(amount: object) -> None:
    with pytest.raises(BadRequest, match=r"amount .* from -1 to 2\.$"):
        Take(face(1), ("age",), amount)


@pytest.mark.parametrize("what", ["age", (1,), (None,)])
def test_what_to_take_is_a_list_of_names(what: object) -> None:
    with pytest.raises(BadRequest, match="What to take"):
        Take(face(1), what)


def test_a_request_keeps_the_takes_that_take_something_in_their_order() -> None:
    one, other = Take(face(1), ("age",)), Take(face(2), ("age",), -1)
    nothing = Take(face(3), ("age",), 0), Take(face(3), ())
    request = EditRequest(takes=(one, *nothing, other))
    assert request.takes == (one, other)
    assert request == EditRequest(takes=[one, other])
    assert hash(request) == hash(EditRequest(takes=(one, other)))
    assert request != EditRequest(takes=(other, one))
    assert EditRequest(takes=nothing) == EditRequest()


def test_a_stack_has_an_end() -> None:
    takes = [Take(face(i), ("age",)) for i in range(MAX_TAKES + 1)]
    assert len(EditRequest(takes=takes[:-1]).takes) == MAX_TAKES
    with pytest.raises(BadRequest, match="at most 16 references"):
        EditRequest(takes=takes)
