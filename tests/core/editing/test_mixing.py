import pytest
import torch

from core.editing.mixing import available_mixes, mix, mixed_codes
from core.generators.family import CodeLayout

# As StyleGAN2's of 128 px, and one whose codes reach no colour of their own.
TWELVE = CodeLayout((4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128), colour=(1, 3, 5, 7, 9, 11))
PLAIN = CodeLayout((4, 8, 8, 16, 16, 32))


@pytest.mark.parametrize(
    ("acts_at", "coarse", "middle", "fine"),
    [
        ((4, 4), [0, 1], [], []),
        (TWELVE.acts_at[:8], [0, 1, 2, 3], [4, 5, 6, 7], []),
        (TWELVE.acts_at, [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]),
        (PLAIN.acts_at, [0, 1, 2], [3, 4, 5], []),
        ((8, 64, 1024), [0], [], [1, 2]),
    ],
)
@pytest.mark.parametrize("colour", [(), (1,)])
def test_codes_are_split_by_the_pixels_where_they_act(
    acts_at: tuple[int, ...], coarse: list[int], middle: list[int], fine: list[int], colour: tuple[int, ...]
) -> None:
    layout = CodeLayout(acts_at, colour)
    found = {name: mixed_codes(name, layout) for name in ("coarse", "middle", "fine")}
    assert found == {"coarse": coarse, "middle": middle, "fine": fine}
    there = [name for name, codes in found.items() if codes]
    assert available_mixes(layout) == (*there, *(["colour"] if colour else []))


@pytest.mark.parametrize("amount", [-1.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(
    ("names", "codes", "rgb"),
    [
        (["coarse"], [0, 1, 2, 3], [0, 1, 2, 3]),
        (["fine", "middle"], range(4, 12), range(4, 12)),
        (["colour"], [], [1, 3, 5, 7, 9, 11]),
        (["coarse", "colour"], [0, 1, 2, 3], [0, 1, 2, 3, 5, 7, 9, 11]),
        ([], [], []),
    ],
)
def test_a_mix_moves_its_codes_once_and_leaves_the_others(
    names: list[str], codes: list[int], rgb: list[int], amount: float
) -> None:
    random = torch.Generator().manual_seed(0)
    w, reference = torch.randn(2, 12, 5, generator=random), torch.randn(12, 5, generator=random)
    before = w.clone()
    found = mix(w, reference, names, amount, TWELVE)
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
    assert torch.equal(mix(both, w, ["coarse", "middle", "fine", "colour"], amount, TWELVE), both)
