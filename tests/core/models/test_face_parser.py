import torch
import torch.nn.functional as F

from core.models.face_parser import CLASSES, WIDTHS, FaceParser, Join


def test_it_says_what_each_pixel_is() -> None:
    torch.manual_seed(0)
    parser = FaceParser().eval()
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    scores = parser(pictures)
    assert scores.shape == (2, len(CLASSES), 64, 64)
    assert len(set(CLASSES)) == 19
    found = parser.classes(pictures)
    assert found.dtype == torch.uint8
    assert torch.equal(found.long(), scores.argmax(1))
    torch.testing.assert_close(parser(pictures[1:])[0], scores[1], rtol=1e-4, atol=1e-5)


def test_a_join_is_its_formula() -> None:
    torch.manual_seed(1)
    join = Join(6, 5, 8).double()
    coarse, fine = torch.randn(1, 6, 4, 4).double(), torch.randn(1, 5, 8, 8).double()

    found = join(coarse, fine)

    narrow = torch.einsum("oc,bchw->bohw", join.narrow.weight[:, :, 0, 0], coarse)
    narrow = narrow + join.narrow.bias[:, None, None]
    x = F.interpolate(narrow, scale_factor=2, mode="bilinear")
    x = x + torch.einsum("oc,bchw->bohw", join.lateral.weight[:, :, 0, 0], fine)
    x = x + join.lateral.bias[:, None, None]
    x = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    x = x.relu()  # eight groups of one channel each
    windows = F.unfold(x, 5, padding=2).view(1, 8, 25, 64)
    y = torch.einsum("ck,bckp->bcp", join.depthwise.weight.flatten(1), windows).view(1, 8, 8, 8)
    y = y + join.depthwise.bias[:, None, None]
    y = torch.einsum("oc,bchw->bohw", join.mix.weight[:, :, 0, 0], y) + join.mix.bias[:, None, None]
    torch.testing.assert_close(found, x + y.relu())


def test_it_is_small() -> None:
    assert sum(p.numel() for p in FaceParser().parameters()) < 2.5e6
    assert tuple(sorted(WIDTHS, reverse=True)) == WIDTHS
