import numpy as np
import pytest
import torch

from core.config import GeneratorConfig
from core.editing.explore import explorations, explore_steps
from core.generators.family import CodeLayout
from core.generators.stylegan2.network import Generator

D = 16
GROUPS = {"coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, None)}


def generator(code_rank: int, resolution: int = 128, w_dim: int = D) -> Generator:
    """Random weights, of widths that differ, and w of a mean and a spread that differ in every direction."""
    num_blocks = resolution.bit_length() - 2
    channels = tuple(24 - 2 * i for i in range(num_blocks))
    config = GeneratorConfig(
        resolution, channels, w_dim=w_dim, z_dim=20, mapping_layers=2, code_rank=code_rank
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Generator(config)
        network.mapping.layers[-1].weight.data *= torch.linspace(1, 3, w_dim)[:, None]
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.data += 0.3 * torch.randn_like(parameter)
        for buffer in (network.w_mean, network.code_mean, network.code_basis):
            torch.nn.init.normal_(buffer)
    return network


def layout(resolution: int) -> CodeLayout:
    return CodeLayout(tuple(4 * 2 ** (code // 2) for code in range(2 * resolution.bit_length() - 4)))


def samples(network: Generator) -> np.ndarray:
    """(N, L * D) float64: enough of them that a standard deviation is known to 1 %."""
    with torch.no_grad():
        return network.sample(20_000, seed=77).flatten(1).double().numpy()


@pytest.fixture(scope="module", params=[0, 12], ids=["through the mapping", "Gaussian"])
def network(request: pytest.FixtureRequest) -> Generator:
    return generator(request.param)


@pytest.fixture(scope="module")
def steps(network: Generator) -> np.ndarray:
    """(E, L, D)."""
    found = explore_steps(network)
    assert found.dtype == torch.float32
    return found.double().numpy()


def test_sliders_have_names_of_their_own_and_come_where_the_generator_has_the_codes() -> None:
    for resolution, count in ((4, 12), (32, 16), (128, 20), (1024, 20)):
        found = explorations(layout(resolution))
        assert len(found) == len({one.name for one in found}) == count
        assert all(one.name.startswith("explore-") and one.hint for one in found)
        assert [one.label for one in found] == [f"Direction {i + 1}" for i in range(count)]
    assert explorations(layout(32)) == explorations(layout(128))[:16]


def test_the_first_are_the_principal_components_of_the_samples(network: Generator, steps: np.ndarray) -> None:
    codes = samples(network)
    _, deviations, components = np.linalg.svd(codes - codes.mean(0), full_matrices=False)
    deviations = deviations / np.sqrt(len(codes))
    flat = steps[:8].reshape(8, -1)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), deviations[:8], rtol=0.03)
    for step, component in zip(flat, components, strict=False):
        # Two sets of samples: components of nearly the same variance turn into each other a little.
        assert abs(step @ component) / np.linalg.norm(step) > 0.9


def test_principal_components_of_a_gaussian_are_exact() -> None:
    network = generator(12)
    _, deviations, components = np.linalg.svd(network.code_basis.double().numpy(), full_matrices=False)
    wanted = (deviations[:, None] * components)[:8]
    found = explore_steps(network)[:8].flatten(1).double().numpy()
    wanted *= np.sign((wanted * found).sum(1, keepdims=True))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS)
def test_the_others_are_eigenvectors_of_the_style_weights(
    network: Generator, steps: np.ndarray, group: str
) -> None:
    """The parameter's own names say which layer a code drives, as in the authors' code for StyleGAN2."""
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    layers = ["first"] + [f"blocks.{b}.{kind}" for b in range(5) for kind in ("up", "conv")]
    layers.append("blocks.4.to_rgb")
    weights = [state[f"{layer}.affine.weight"] for layer in layers[GROUPS[group]]]
    rows = np.concatenate([a / np.linalg.norm(a, axis=1, keepdims=True) for a in weights])
    _, vectors = np.linalg.eigh(rows.T @ rows)
    own = steps[8 + 4 * list(GROUPS).index(group) :][:4]
    others = np.ones(12, bool)
    others[GROUPS[group]] = False
    assert not own[:, others].any()
    for step, vector in zip(own, vectors.T[::-1], strict=False):
        unit = step[~others] / np.linalg.norm(step[~others], axis=1, keepdims=True)
        assert np.allclose(unit, vector, atol=1e-5) or np.allclose(unit, -vector, atol=1e-5)


def test_steps_are_as_long_as_the_samples_are_wide(network: Generator, steps: np.ndarray) -> None:
    codes = samples(network)
    flat = steps.reshape(len(steps), -1)
    lengths = np.linalg.norm(flat, axis=1)
    along = codes @ (flat[:8] / lengths[:8, None]).T
    np.testing.assert_allclose(lengths[:8], along.std(0), rtol=0.03)
    for number, own in enumerate(GROUPS.values()):
        moved = codes.reshape(len(codes), 12, D)[:, own].reshape(len(codes), -1)
        widest = np.sqrt(np.linalg.eigvalsh(np.cov(moved.T))[-1])
        np.testing.assert_allclose(lengths[8 + 4 * number :][:4], widest, rtol=0.03)


def test_steps_are_the_same_every_time_and_their_sign_follows_a_rule(
    network: Generator, steps: np.ndarray
) -> None:
    random = torch.get_rng_state()
    np.testing.assert_array_equal(explore_steps(network).double().numpy(), steps)
    assert torch.equal(torch.get_rng_state(), random)
    flat = steps.reshape(len(steps), -1)
    assert (flat[np.arange(len(flat)), np.abs(flat).argmax(1)] > 0).all()


@pytest.mark.parametrize(("code_rank", "w_dim", "some"), [(3, 8, 11), (0, 2, 6)])
def test_a_generator_with_fewer_directions_has_steps_of_zero_for_the_rest(
    code_rank: int, w_dim: int, some: int
) -> None:
    network = generator(code_rank, resolution=32, w_dim=w_dim)
    found = explore_steps(network)
    assert found.shape == (len(explorations(network.layout)), 8, w_dim)
    assert found.isfinite().all()
    assert int((found.flatten(1).norm(dim=1) > 1e-6).sum()) == some


def test_the_smallest_generator_has_steps_too() -> None:
    assert explore_steps(generator(0, resolution=4)).shape == (12, 2, D)
