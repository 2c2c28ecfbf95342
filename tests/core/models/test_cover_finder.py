"""core.models.cover_finder: a face parser's joins, with one score a pixel."""

import torch
import torch.nn.functional as F

from core.models.cover_finder import CoverFinder
from core.models.face_parser import FaceParser


def test_it_joins_the_parsers_features_and_says_how_likely_a_thing_is() -> None:
    torch.manual_seed(0)
    trunk, finder = FaceParser().trunk.eval(), CoverFinder().eval()
    features = trunk(torch.rand(2, 3, 64, 64) * 2 - 1)

    found = finder.likely(features)

    x = features[4]
    for join, fine in zip(finder.joins, features[3::-1], strict=True):
        x = join(x, fine)
    scores = F.conv2d(x, finder.score.weight, finder.score.bias, padding=1)
    wanted = 1 / (1 + torch.exp(-F.interpolate(scores, size=(64, 64), mode="bilinear")))
    assert found.shape == (2, 64, 64)
    torch.testing.assert_close(found, wanted[:, 0])
    torch.testing.assert_close(
        finder.likely(tuple(f[1:] for f in features))[0], found[1], rtol=1e-4, atol=1e-5
    )


def test_it_is_small() -> None:
    assert sum(p.numel() for p in CoverFinder().parameters()) < 1e5
