import torch

from training.data.photo_variation import photo_variation


def test_pictures_stay_pictures_and_each_changes_in_its_own_way() -> None:
    grey = torch.zeros(6, 3, 32, 32)

    changed = photo_variation(grey, seed=1)

    assert changed.shape == grey.shape
    assert float(changed.abs().max()) <= 1
    means = changed.mean((1, 2, 3))
    assert len(set(means.tolist())) == 6
    assert 0.02 < float(means.abs().max()) < 0.3
    assert torch.equal(changed, photo_variation(grey, seed=1))
    assert not torch.equal(changed, photo_variation(grey, seed=2))


def test_edges_are_softened_and_colours_cast() -> None:
    steps = torch.ones(20, 3, 32, 32) * 0.5
    steps[:, :, :, 16:] = -0.5

    changed = photo_variation(steps, seed=0).mean(2)  # noise averaged out over rows: (B, 3, W)

    left, right = changed[:, :, 4:12].mean(2), changed[:, :, 20:28].mean(2)
    edge = (changed[:, :, 15] - changed[:, :, 16]) / (left - right)
    assert float(edge.mean(1).min()) < 0.7 < 0.9 < float(edge.mean(1).max())
    assert float((left[:, 0] - left[:, 2]).abs().max()) > 0.02
