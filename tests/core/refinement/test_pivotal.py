"""Plain tuning: Adam on the weights, through the same loop."""

import torch

from core.checkpoints import Bundle
from core.refinement.losses import picture_loss
from core.refinement.optimise import TuningSettings
from core.refinement.pivotal import PivotalTuning, tune_weights
from core.rendering.renderer import Renderer


def test_shifts_are_adams_own_and_the_callers_copy() -> None:
    random = torch.Generator().manual_seed(0)
    kernel = torch.randn(4, 3, 3, 3, generator=random)
    tuning = PivotalTuning([kernel], rate=0.1)
    weight = torch.nn.Parameter(kernel.clone())
    adam = torch.optim.Adam([weight], lr=0.1 * float(kernel.square().mean().sqrt()), betas=(0.9, 0.99))
    for _ in range(3):
        gradient = torch.randn(4, 3, 3, 3, generator=random)
        tuning.shifts()[0].fill_(9)
        tuning.learn([gradient], pace=1.0)
        weight.grad = gradient
        adam.step()
    torch.testing.assert_close(tuning.shifts()[0], weight.detach() - kernel)


def test_a_tuned_portrait_is_nearer_to_the_photo(tiny_bundle: Bundle) -> None:
    generator = tiny_bundle.generator
    photo = generator.synthesis(generator.sample(1, seed=4)) + 0.3
    w_plus = generator.sample(1, seed=5)[0]
    settings = TuningSettings(iterations=12)
    likeness = picture_loss(tiny_bundle.inverter, photo, settings.weights, None)
    found = tune_weights(generator, likeness, w_plus, settings)
    renderer = Renderer(generator, torch.device("cpu"))
    off, tuned = (
        float((renderer.render(w_plus[None], residual) - photo).square().mean()) for residual in (None, found)
    )
    assert tuned < 0.8 * off
