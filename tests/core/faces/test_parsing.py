"""core.faces.parsing: from a parser's classes to where the person is."""

import numpy as np
import pytest
import torch

from core.faces.parsing import Parsing
from core.models.face_parser import CLASSES, SIDE, FaceParser


class Quarters(FaceParser):
    """Says hair above left, skin above right, cloth below left, and below right background."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen.append(pictures.float())
        half = SIDE // 2
        scores = pictures.new_zeros(len(pictures), len(CLASSES), SIDE, SIDE)
        for name, rows, columns in (
            ("hair", slice(None, half), slice(None, half)),
            ("skin", slice(None, half), slice(half, None)),
            ("cloth", slice(half, None), slice(None, half)),
            ("background", slice(half, None), slice(half, None)),
        ):
            scores[:, CLASSES.index(name), rows, columns] = 1
        return scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_person_is_what_is_neither_background_nor_clothes(dtype: torch.dtype) -> None:
    parsing = Parsing(Quarters(), torch.device("cpu"), dtype)
    person = parsing.person(torch.zeros(1, 3, 512, 512))
    assert person.shape == (SIDE, SIDE)
    assert person.dtype == np.float32
    assert person[: SIDE // 2 - 8].min() == 1
    assert person[SIDE // 2 + 16 :].max() == 0
    assert np.all(np.diff(person[:, 40]) <= 1e-6)  # falls off once, softly
    assert 0 < person[SIDE // 2 + 2, 40] < 1


def test_pictures_of_any_size_are_seen_at_the_parsers_own_and_clipped() -> None:
    parser = Quarters()
    parsing = Parsing(parser, torch.device("cpu"), torch.float32)
    picture = torch.randn(1, 3, 2 * SIDE, 2 * SIDE) * 3
    found = parsing.classes(picture)
    assert found.shape == (SIDE, SIDE)
    assert found[0, 0] == CLASSES.index("hair")
    wanted = torch.nn.functional.avg_pool2d(picture, 2).clamp(-1, 1)
    torch.testing.assert_close(parser.seen[0], wanted)
