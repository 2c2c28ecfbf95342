import pytest
import torch

from core.editing.mixing import available_mixes, mix, mixed_codes


@pytest.mark.parametrize(
    ("num_codes", "coarse", "middle", "fine"),
    [
        (2, [0, 1], [], []),
        (8, [0, 1, 2, 3], [4, 5, 6, 7], []),
        (12, [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]),
        (18, [0, 1, 2, 3], [4, 5, 6, 7], list(range(8, 18))),
    ],
)
def test_codes_are_split_by_resolution(
    num_codes: int, coarse: list[int], middle: list[int], fine: list[int]
) -> None:
    found = {name: list(mixed_codes(name, num_codes)) for name in ("coarse", "middle", "fine")}
    assert found == {"coarse": coarse, "middle": middle, "fine": fine}
    assert available_mixes(num_codes) == (*(name for name, codes in found.items() if codes), "colour")


@pytest.mark.parametrize("amount", [-1.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(
    ("names", "codes", "rgb"),
    [
        (["coarse"], [0, 1, 2, 3], [0, 1, 2, 3]),
        (["fine", "middle"], range(4, 12), range(4, 12)),
        (["colour"], [], range(12)),
        (["coarse", "colour"], [0, 1, 2, 3], range(12)),
        ([], [], []),
    ],
)
def test_a_mix_moves_its_codes_once_and_leaves_the_others(
    names: list[str], codes: list[int], rgb: list[int], amount: float
) -> None:
    random = torch.Generator().manual_seed(0)
    w, reference = torch.randn(2, 12, 5, generator=random), torch.randn(12, 5, generator=random)
    before = w.clone()
    found = mix(w, reference, names, amount)
    for row, moved in ((0, codes), (1, rgb)):
        for code in range(12):
            wanted = w[row, code]
            if code in moved:
                wanted = wanted + amount * (reference[code] - wanted)
                torch.testing.assert_close(found[row, code], wanted)
            else:
                assert torch.equal(found[row, code], wanted)
            if code in moved and amount == 1:
                assert torch.equal(found[row, code], reference[code])
    assert torch.equal(w, before)


@pytest.mark.parametrize("amount", [-1.0, 0.3, 0.7, 1.0, 2.0])
def test_a_face_mixed_with_itself_stays_bit_for_bit(amount: float) -> None:
    w = torch.randn(12, 64, generator=torch.Generator().manual_seed(1))
    both = w.expand(2, -1, -1)
    assert torch.equal(mix(both, w, ["coarse", "middle", "fine", "colour"], amount), both)
