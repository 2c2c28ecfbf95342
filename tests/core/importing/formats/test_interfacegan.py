import pytest
import torch
from encoder_files import direction_content

from core.errors import BadCheckpoint
from core.importing.formats import interfacegan


@pytest.mark.parametrize("shape", [(512,), (1, 512), (18, 512), (1, 18, 512)])
def test_a_tensor_becomes_a_slider_named_after_its_file(shape: tuple[int, ...]) -> None:
    content = direction_content(*shape)
    assert interfacegan.recognises(content)
    (direction,) = interfacegan.convert(content * 7, "age").directions
    assert (direction.name, direction.label, direction.unit) == ("age", "Age", None)
    assert (direction.low, direction.high) == ("younger", "older")
    torch.testing.assert_close(direction.step, content.reshape(-1, 512))
    assert direction.step.dtype == torch.float32


def test_codes_of_unlike_length_stay_so() -> None:
    content = direction_content(3, 8) * torch.tensor([[4.0], [0.0], [1.0]])
    (direction,) = interfacegan.convert(content, "x").directions
    torch.testing.assert_close(direction.step.norm(dim=1), torch.tensor([1.0, 0.0, 0.25]))
    torch.testing.assert_close(direction.step * 4, content)


@pytest.mark.parametrize(
    ("stem", "name", "label"),
    [
        ("smile", "smile", "Smile"),
        ("my hair_colour", "my-hair_colour", "My hair colour"),
        ("../../näse<script>", "n-se-script", "N se script"),
    ],
)
def test_the_name_is_letters_digits_hyphens_underscores(stem: str, name: str, label: str) -> None:
    (direction,) = interfacegan.convert(direction_content(512), stem).directions
    assert (direction.name, direction.label) == (name, label)


@pytest.mark.parametrize(
    ("content", "stem", "message"),
    [
        (torch.zeros(1, 512), "age", "zero or holds numbers that are not finite"),
        (torch.full((512,), torch.inf), "age", "not finite"),
        (torch.full((512,), torch.nan), "age", "not finite"),
        (torch.ones(2, 18, 512), "age", r"its shape is \(2, 18, 512\)"),
        (torch.ones(0, 512), "age", r"its shape is \(0, 512\)"),
        (torch.ones(512), "***", "has no letter or digit"),
    ],
)
def test_what_is_no_direction_is_refused(content: torch.Tensor, stem: str, message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        interfacegan.convert(content, stem)


@pytest.mark.parametrize("content", [None, [1.0], {}, torch.tensor(1.0), torch.ones(3, dtype=torch.int64)])
def test_other_contents_are_not_recognised(content: object) -> None:
    assert not interfacegan.recognises(content)
