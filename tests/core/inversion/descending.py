"""A descent as plain as can be, for tests of what is made of it: Adam on the code itself, by pixels alone."""

import cv2
import numpy as np
import torch
from torch import Tensor

from core.generators.stylegan2.network import Generator
from core.images import to_tensor

STEPS = 8


class PixelDescent:
    """Of one face (S, S, 3) uint8, from a code (L, D) or the mean; after STEPS steps it stays where it is."""

    def __init__(self, generator: Generator, crop: np.ndarray, code: Tensor | None) -> None:
        size = generator.config.resolution
        self.photo = to_tensor(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA))
        start = generator.w_mean if code is None else code
        self._generator, self._w = generator, start.detach().clone().requires_grad_()
        self._adam = torch.optim.Adam([self._w], lr=0.05)
        self.steps, self._loss = 0, 0.0

    @property
    def codes(self) -> Tensor:
        return self._w.detach().clone()

    def step(self) -> float:
        self.steps += 1
        if self.steps > STEPS:
            return self._loss
        loss = (self._generator.synthesis(self._w[None]) - self.photo).square().mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._loss = float(loss.detach())
        return self._loss


class Beginner:
    """Begins such descents, and remembers them and the codes that they were given."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.begun: list[PixelDescent] = []
        self.given: list[Tensor | None] = []

    def __call__(self, crop: np.ndarray, landmarks: np.ndarray, code: Tensor | None) -> PixelDescent:
        assert crop.dtype == np.uint8
        assert landmarks.shape == (68, 2)
        assert landmarks.min() > -0.5 * len(crop)  # in the crop's pixels
        assert landmarks.max() < 1.5 * len(crop)
        self.given.append(code)
        self.begun.append(PixelDescent(self._generator, crop, code))
        return self.begun[-1]
