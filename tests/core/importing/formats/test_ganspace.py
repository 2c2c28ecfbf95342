import pytest
import torch
from encoder_files import ganspace_content

from core.errors import BadCheckpoint
from core.importing.formats import ganspace


def test_the_first_components_become_sliders_over_all_codes() -> None:
    content = ganspace_content(components=30, width=64)
    assert ganspace.recognises(content)
    directions = ganspace.convert(content, "my pca").directions
    assert [d.name for d in directions] == [f"my-pca-{k}" for k in range(1, 11)]
    for k, direction in enumerate(directions):
        assert direction.step.shape == (1, 64)
        torch.testing.assert_close(direction.step, content["comp"][k])
        assert direction.unit == pytest.approx(float(content["std"][k]))


def test_a_slider_adds_standard_deviations_whatever_the_components_length() -> None:
    content = ganspace_content(components=4, width=16)
    moved = content["comp"][2, 0] * content["std"][2]
    content["comp"] *= 5
    content["std"] /= 5
    direction = ganspace.convert(content, "pca").directions[2]
    assert direction.unit is not None
    torch.testing.assert_close(direction.unit * direction.step[0], moved)


@pytest.mark.parametrize(
    ("name", "component", "codes", "strength"),
    [
        ("eye_openness", 54, [7], 20),
        ("smile", 46, [4], -20),
        ("trimmed_beard", 58, [7, 8], 20),
        ("white_hair", 57, [7, 8, 9], -24),
        ("lipstick", 34, [10], 20),
    ],
)
def test_the_faces_file_has_the_published_edits(
    name: str, component: int, codes: list[int], strength: float
) -> None:
    content = ganspace_content(ffhq=True)
    directions = {d.name: d for d in ganspace.convert(content, "ffhq_pca").directions}
    assert len(directions) == 15
    direction = directions[f"ffhq_pca-{name}"]
    assert direction.unit is not None
    # At the slider's end, 3, the face has moved as far and to the side that GANSpace says.
    expected = torch.zeros(18, 512)
    expected[codes] = strength * content["std"][component] * content["comp"][component, 0]
    torch.testing.assert_close(3 * direction.unit * direction.step, expected)


def test_sliders_of_a_file_with_a_long_name_stay_short_and_apart() -> None:
    names = [d.name for d in ganspace.convert(ganspace_content(ffhq=True), "x" * 200).directions]
    assert len(set(names)) == 15
    assert max(map(len, names)) <= 40


@pytest.mark.parametrize(
    "content",
    [ganspace_content(), ganspace_content(ffhq=True, components=40), ganspace_content(ffhq=True, width=256)],
)
def test_another_basis_has_no_named_edits(content: dict[str, torch.Tensor]) -> None:
    assert len(ganspace.convert(content, "cars_pca").directions) == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"std": torch.ones(3)}, r"std \(3,\) in place of \(12,\)"),
        ({"comp": torch.ones(12, 64)}, "comp .* in place of"),
        ({"std": None}, "it lacks std"),
        ({"std": torch.zeros(12)}, "zero or not finite"),
        ({"std": torch.full((12,), torch.nan)}, "zero or not finite"),
        ({"std": torch.full((12,), torch.inf)}, "zero or not finite"),
        ({"comp": torch.zeros(12, 1, 64)}, "zero or not finite"),
        ({"comp": torch.zeros(0, 1, 64), "std": torch.zeros(0)}, "zero or not finite"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, torch.Tensor | None], message: str) -> None:
    content = {**ganspace_content(components=12, width=64), **changes}
    with pytest.raises(BadCheckpoint, match=message):
        ganspace.convert(content, "pca")


@pytest.mark.parametrize("content", [None, [], {}, {"comp": 1}, torch.ones(2)])
def test_other_contents_are_not_recognised(content: object) -> None:
    assert not ganspace.recognises(content)
