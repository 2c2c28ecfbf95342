import torch

from core.checkpoints import Bundle
from core.refinement.fast import predict


def test_one_stage_reads_the_inverters_finest_features(refining_bundle: Bundle) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    refiner = refining_bundle.refiners["one_stage"]
    with torch.no_grad():
        small = image.unflatten(3, (32, 2)).unflatten(2, (32, 2)).mean((3, 5))  # the inverter's 32 px
        finest = refining_bundle.inverter.trunk(small)[2]
        wanted = refiner.one_stage(finest)
        found = predict(refiner, refining_bundle.inverter, image, torch.zeros_like(image))
    assert len(found.tokens) == 7
    assert found.tokens[:2] == (None, None)
    for pair, expected in zip(found.tokens[2:], wanted[2:], strict=True):
        assert pair[0].shape == (4, 16)
        for tensor, batch in zip(pair, expected, strict=True):
            torch.testing.assert_close(tensor, batch[0])


def test_two_stage_compares_the_photo_with_its_inversion(refining_bundle: Bundle) -> None:
    torch.manual_seed(0)
    image, inversion = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1
    refiner = refining_bundle.refiners["two_stage"]
    with torch.no_grad():
        found = predict(refiner, refining_bundle.inverter, image, inversion)
        wanted = refiner.two_stage(image, inversion)
        other = predict(refiner, refining_bundle.inverter, image, image)
    for pair, expected, changed in zip(found.tokens[2:], wanted[2:], other.tokens[2:], strict=True):
        for tensor, batch in zip(pair, expected, strict=True):
            torch.testing.assert_close(tensor, batch[0])
        assert not torch.equal(pair[0], changed[0])


def test_the_residual_knows_its_size(refining_bundle: Bundle) -> None:
    image = torch.zeros(1, 3, 32, 32)
    with torch.no_grad():
        found = predict(refining_bundle.refiners["one_stage"], refining_bundle.inverter, image, image)
    assert found.nbytes == 5 * 2 * 4 * 16 * 4  # layers, P and Q, tokens, channels, bytes
