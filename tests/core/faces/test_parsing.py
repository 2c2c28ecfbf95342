"""core.faces.parsing: from a parser's classes to kinds, which is what outlines are drawn between."""

import numpy as np
import pytest
import torch

from core.faces.kinds import PERSON, Kind
from core.faces.parsing import Parsing, kinds_in
from core.models.cover_finder import CoverFinder
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
def test_kinds_are_classes_as_far_as_outlines_go(dtype: torch.dtype) -> None:
    parsing = Parsing(Quarters(), torch.device("cpu"), dtype)
    kinds = kinds_in(parsing.classes(torch.zeros(1, 3, 512, 512)))
    assert kinds.shape == (SIDE, SIDE)
    assert kinds.dtype == np.uint8
    half = SIDE // 2
    assert (kinds[:half, :half] == Kind.HAIR).all()
    assert (kinds[:half, half:] == Kind.SKIN).all()
    assert (kinds[half:, :half] == Kind.CLOTHES).all()
    assert (kinds[half:, half:] == Kind.BACKGROUND).all()


def test_every_class_has_its_kind() -> None:
    found = dict(zip(CLASSES, kinds_in(np.arange(len(CLASSES), dtype=np.uint8)), strict=True))
    assert [found[name] for name in ("hat", "glasses", "hair")] == [Kind.HAT, Kind.GLASSES, Kind.HAIR]
    assert {name for name, kind in found.items() if kind < PERSON} == {"background", "cloth"}
    assert all(found[name] == Kind.SKIN for name in ("skin", "neck", "left ear", "earring", "mouth"))


def test_pictures_of_any_size_are_seen_at_the_parsers_own_and_clipped() -> None:
    parser = Quarters()
    parsing = Parsing(parser, torch.device("cpu"), torch.float32)
    picture = torch.randn(1, 3, 2 * SIDE, 2 * SIDE) * 3
    found = parsing.classes(picture)
    assert found.shape == (SIDE, SIDE)
    assert found[0, 0] == CLASSES.index("hair")
    wanted = torch.nn.functional.avg_pool2d(picture, 2).clamp(-1, 1)
    torch.testing.assert_close(parser.seen[0], wanted)


def test_things_are_found_on_the_parsers_trunk_in_the_same_small_picture() -> None:
    torch.manual_seed(0)
    parser, finder = FaceParser().eval(), CoverFinder().eval()
    picture = torch.randn(1, 3, 2 * SIDE, 2 * SIDE) * 3
    found = Parsing(parser, torch.device("cpu"), torch.float32, finder).things(picture)
    assert found is not None
    assert found.dtype == np.float32
    small = torch.nn.functional.avg_pool2d(picture, 2).clamp(-1, 1)
    wanted = finder.likely(parser.trunk(small))[0].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert Parsing(parser, torch.device("cpu"), torch.float32).things(picture) is None
