import torch

from core.checkpoints import Bundle
from training.loops.bundle import GALLERY_PSI, with_gallery


def test_a_gallery_is_of_the_faces_that_its_seeds_sample(tiny_bundle: Bundle) -> None:
    made = with_gallery(tiny_bundle, [7, 3])
    assert made.config.gallery == len(made.gallery) == 2
    for code, seed in zip(made.gallery, (7, 3), strict=True):
        assert torch.equal(code, tiny_bundle.generator.sample(1, GALLERY_PSI, seed)[0])
    assert tiny_bundle.config.gallery == 0
