import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.checkpoints import Bundle
from core.editing.taking import take_all
from core.references import Reference, Take


def face(seed: int) -> Reference:
    code = np.random.default_rng(seed).standard_normal((8, 32), np.float32)
    return Reference(code, np.zeros((4, 4, 3), np.uint8))


def taken(w: Tensor, takes: list[Take], bundle: Bundle) -> Tensor:
    return take_all(w, takes, bundle.reference_editors, bundle.generator.layout)


def plainly(w: Tensor, takes: list[Take], editors: dict[str, nn.Module]) -> Tensor:
    """Code by code: rows 0 and 1 are the convolutions' and toRGB's."""
    rows = [w.double(), w.double()]
    for take in takes:
        reference = torch.tensor(take.reference.w_plus).double()
        here = []
        for row, codes in enumerate(rows):
            codes = codes.clone()
            for i in range(8):
                mixed = ("coarse" in take.what and i < 4) or ("middle" in take.what and i >= 4)
                if mixed or (row == 1 and i % 2 == 1 and "colour" in take.what):
                    codes[i] += take.amount * (reference[i] - codes[i])
            here.append(codes)
        steps = [
            editors[name](here[0][None].float(), reference[None].float())[0].double()
            for name in take.what
            if name in editors
        ]
        rows = [codes + take.amount * sum(steps) for codes in here]
    return torch.stack(rows).float()


@pytest.mark.parametrize(
    "stack",
    [
        [("smile",)],
        [("smile", "young")],
        [("coarse", "smile")],
        [("colour",), ("smile", "middle"), ("young",)],
        [("smile",), ("coarse",), ("colour", "young")],
    ],
    ids=str,
)
def test_a_stack_is_taken_one_after_the_other(stack: list[tuple[str, ...]], taking_bundle: Bundle) -> None:
    w = torch.tensor(face(0).w_plus)
    takes = [
        Take(face(1 + i), what, amount)
        for i, (what, amount) in enumerate(zip(stack, (0.8, -0.5, 2.0), strict=False))
    ]
    found = taken(w, takes, taking_bundle)
    torch.testing.assert_close(
        found, plainly(w, takes, dict(taking_bundle.reference_editors)), rtol=1e-4, atol=1e-4
    )
    assert (found - w).norm() > 1


def test_the_order_counts(taking_bundle: Bundle) -> None:
    w, takes = torch.tensor(face(0).w_plus), [Take(face(1), ("smile",)), Take(face(2), ("smile",))]
    there, back = (taken(w, t, taking_bundle) for t in (takes, takes[::-1]))
    assert (there - back).norm() > 0.01


@pytest.mark.parametrize("amount", [-1.0, 0.3, 1.0, 2.0])
def test_a_face_takes_nothing_from_itself(amount: float, taking_bundle: Bundle) -> None:
    w = torch.tensor(face(0).w_plus)
    own = Take(face(0), ("coarse", "colour", "middle", "smile", "young"), amount)
    assert torch.equal(taken(w, [own, own], taking_bundle), torch.stack([w, w]))
    assert torch.equal(taken(w, [], taking_bundle), torch.stack([w, w]))
