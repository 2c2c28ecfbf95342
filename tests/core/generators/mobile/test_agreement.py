"""The real weights at full size: float64 of the same mathematics, and OpenVINO's own run of the files."""

import pytest
import torch
from torch import Tensor

from core.errors import BadCheckpoint
from core.generators.mobile.config import FFHQ_1024
from core.generators.mobile.folded import FoldedMobile
from core.generators.mobile.network import MobileGenerator
from core.generators.mobile.package import package_folder, read_weights

pytestmark = pytest.mark.slow
SEEDS = range(10)


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    try:
        weights = read_weights()
    except BadCheckpoint:
        pytest.skip("the package random-face is not installed")
    with torch.device("meta"):
        generator = MobileGenerator(FFHQ_1024)
    weights |= {"w_mean": torch.zeros(16, 512), "w_basis": torch.zeros(512, 512)}
    generator.load_state_dict(weights, assign=True)
    return generator.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def pictures(generator: MobileGenerator) -> list[tuple[Tensor, Tensor]]:
    """(w, the folded renderer's raw picture of it) for each seed, psi 1."""
    fast = FoldedMobile(generator, torch.float32)
    random = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    codes = [generator.mapped(torch.randn(1, 512, generator=each)) for each in random]
    return [(w, fast.raw(w)) for w in codes]


def test_float64_of_the_same_mathematics(
    generator: MobileGenerator, pictures: list[tuple[Tensor, Tensor]]
) -> None:
    exact = MobileGenerator(FFHQ_1024).double()
    exact.load_state_dict(generator.state_dict())
    for w, found in pictures:
        with torch.inference_mode():
            wanted = exact.synthesis(w.double())
        assert wanted.std() > 0.1
        assert (found - wanted).abs().max() <= 1e-4


@pytest.fixture(scope="module")
def openvino_run() -> object:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(str(package_folder() / "SynthesisNetwork.xml"), "CPU", options)


def test_openvinos_run_of_the_files(pictures: list[tuple[Tensor, Tensor]], openvino_run: object) -> None:
    for w, found in pictures:
        outputs = openvino_run(w[:, 0].numpy())  # type: ignore[operator]
        (wanted,) = (torch.from_numpy(o.copy()) for o in outputs.values() if o.shape == (1, 3, 1024, 1024))
        assert (found - wanted).abs().mean() <= 1e-5
        assert (found - wanted).abs().max() <= 5e-4


def test_folded_equals_plain(generator: MobileGenerator, pictures: list[tuple[Tensor, Tensor]]) -> None:
    for w, found in pictures[:3]:
        with torch.inference_mode():
            assert (found - generator.synthesis(w)).abs().mean() <= 1e-6
