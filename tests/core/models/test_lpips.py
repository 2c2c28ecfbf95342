from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import BadCheckpoint
from core.models.lpips import Lpips, load_lpips

WIDTHS = (3, 4, 5, 6, 7)


@pytest.fixture
def tiny() -> Lpips:
    torch.manual_seed(0)
    return Lpips(WIDTHS).double().eval().requires_grad_(False)


def plain(model: Lpips, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Equation 1 of Zhang et al. 2018, a position at a time."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).double().view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).double().view(1, 3, 1, 1)
    x, y, total = (a - shift) / scale, (b - shift) / scale, torch.zeros(len(a)).double()
    for i, convolution in enumerate(model.trunk.values()):
        if i in (1, 2):
            x, y = (torch.nn.functional.max_pool2d(t, 3, 2) for t in (x, y))
        x, y = convolution(x).clamp(min=0), convolution(y).clamp(min=0)
        for n in range(len(a)):
            for row in range(x.shape[2]):
                for column in range(x.shape[3]):
                    p, q = x[n, :, row, column], y[n, :, row, column]
                    p, q = p / (p.norm() + 1e-10), q / (q.norm() + 1e-10)
                    total[n] += (model.weights[i] * (p - q) ** 2).sum() / (x.shape[2] * x.shape[3])
    return total


def test_it_is_the_papers_formula(tiny: Lpips) -> None:
    a, b = torch.rand(2, 2, 3, 67, 75).double() * 2 - 1

    torch.testing.assert_close(tiny(a, b), plain(tiny, a, b), rtol=1e-5, atol=1e-7)


def test_a_picture_is_like_itself(tiny: Lpips) -> None:
    a = torch.rand(1, 3, 64, 64).double()

    assert tiny(a, a).item() == 0
    assert tiny(a, 1 - a).item() > 1e-4


def test_a_grey_area_has_a_finite_gradient(tiny: Lpips) -> None:
    for convolution in tiny.trunk.values():
        convolution.bias.zero_()
    a = torch.tensor([-0.030, -0.088, -0.188]).double().view(1, 3, 1, 1).expand(1, 3, 64, 64).clone()
    a.requires_grad_()

    tiny(a, torch.rand(1, 3, 64, 64).double()).sum().backward()

    assert a.grad.isfinite().all()


def published(model: Lpips) -> dict[str, torch.Tensor]:
    """torchvision's `features`, in half precision, and the LPIPS repository's lin layers."""
    state = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("weights."):
            state[name.replace("weights.", "lin.lin")] = tensor.view(1, -1, 1, 1)
        else:
            state[name.replace("features_", "features.")] = tensor.half()
    return state


def test_a_published_file_is_read(tmp_path: Path) -> None:
    model, path = Lpips(), tmp_path / "lpips.safetensors"
    save_file(published(model), path)

    loaded = load_lpips(path)

    assert not any(p.requires_grad for p in loaded.parameters())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("damage", ["cut", "missing", "flat"])
def test_a_damaged_file_is_told(tmp_path: Path, damage: str) -> None:
    state, path = published(Lpips()), tmp_path / "lpips.safetensors"
    if damage == "missing":
        del state["lin.lin3"]
    if damage == "flat":
        state["trunk.features.0.weight"] = state["trunk.features.0.weight"].flatten()
    save_file(state, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(BadCheckpoint, match=r"lpips\.safetensors is damaged"):
        load_lpips(path)
