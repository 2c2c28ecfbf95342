"""The published encoders' mathematics in float64, written on their files' tensors by their names there."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

LAST_OF_STAGE = {6, 20, 23}  # where the pyramid taps the trunk
STRIDED = {0, 3, 7, 21}  # the first unit of each stage


class Encoder:
    """tensors: what a file holds, and the prefix under which the encoder's lie."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "encoder.") -> None:
        self.tensors, self.prefix = tensors, prefix

    def __call__(self, name: str) -> Tensor:
        # One at a time: all of the full size in float64 would be 2 GB.
        return self.tensors[self.prefix + name].double()

    def has(self, name: str) -> bool:
        return self.prefix + name in self.tensors

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Batch norm by its running statistics."""
        mean, var = self(f"{name}.running_mean"), self(f"{name}.running_var")
        scale = self(f"{name}.weight") / (var + 1e-5).sqrt()
        return (x - mean[:, None, None]) * scale[:, None, None] + self(f"{name}.bias")[:, None, None]

    def unit(self, number: int, x: Tensor) -> Tensor:
        """An IR-SE unit."""
        name, stride = f"body.{number}.res_layer", 2 if number in STRIDED else 1
        y = F.conv2d(self.norm(f"{name}.0", x), self(f"{name}.1.weight"), padding=1)
        y = torch.where(y > 0, y, self(f"{name}.2.weight")[:, None, None] * y)
        y = self.norm(f"{name}.4", F.conv2d(y, self(f"{name}.3.weight"), stride=stride, padding=1))
        squeezed = self(f"{name}.5.fc1.weight")[:, :, 0, 0] @ y.mean((2, 3))[..., None]
        gates = self(f"{name}.5.fc2.weight")[:, :, 0, 0] @ squeezed.clamp_min(0)
        y = y / (1 + torch.exp(-gates))[..., None]
        x = x[:, :, ::stride, ::stride]
        shortcut = f"body.{number}.shortcut_layer"
        if self.has(f"{shortcut}.0.weight"):
            x = torch.einsum("oi,bihw->bohw", self(f"{shortcut}.0.weight")[:, :, 0, 0], x)
            x = self.norm(f"{shortcut}.1", x)
        return x + y

    def features(self, image: Tensor) -> list[Tensor]:
        """Coarse, middle and fine features."""
        x = self.norm("input_layer.1", F.conv2d(image, self("input_layer.0.weight"), padding=1))
        x = torch.where(x > 0, x, self("input_layer.2.weight")[:, None, None] * x)
        taps = []
        for number in range(24):
            x = self.unit(number, x)
            if number in LAST_OF_STAGE:
                taps.append(x)
        fine, middle, coarse = taps
        found = [coarse]
        for lateral, tap in (("latlayer1", middle), ("latlayer2", fine)):
            up = enlarged(found[-1], tap.shape[-1])
            weight, bias = self(f"{lateral}.weight")[:, :, 0, 0], self(f"{lateral}.bias")
            found.append(up + torch.einsum("oi,bihw->bohw", weight, tap) + bias[:, None, None])
        return found

    def head(self, code: int, x: Tensor) -> Tensor:
        """map2style: (B, D, s, s) -> (B, D)."""
        layer = 0
        while self.has(f"styles.{code}.convs.{layer}.weight"):
            name = f"styles.{code}.convs.{layer}"
            x = F.conv2d(x, self(f"{name}.weight"), self(f"{name}.bias"), stride=2, padding=1)
            x, layer = torch.where(x > 0, x, 0.01 * x), layer + 2
        assert x.shape[2:] == (1, 1)
        weight = self(f"styles.{code}.linear.weight")
        return x[:, :, 0, 0] @ weight.T / math.sqrt(len(weight)) + self(f"styles.{code}.linear.bias")

    def codes(self, kind: str, image: Tensor, count: int) -> Tensor:
        """Offsets of pSp ("psp") or e4e ("e4e"): (B, 3, S, S) -> (B, L, D)."""
        features = self.features(image)
        heads = [self.head(c, features[0 if c < 3 else 1 if c < 7 else 2]) for c in range(count)]
        if kind == "e4e":
            heads = [heads[0]] + [heads[0] + other for other in heads[1:]]
        return torch.stack(heads, 1)

    def attend(self, name: str, q: Tensor, kv: Tensor, heads: int = 4) -> Tensor:
        """Multi-head attention: q (L, D), kv (M, D) -> (L, D)."""
        (wq, wk, wv), (bq, bk, bv) = (self(f"{name}.in_proj_{x}").chunk(3) for x in ("weight", "bias"))
        q, k, v = q @ wq.T + bq, kv @ wk.T + bk, kv @ wv.T + bv
        parts = []
        for a, b, c in zip(q.chunk(heads, 1), k.chunk(heads, 1), v.chunk(heads, 1), strict=True):
            parts.append(torch.softmax(a @ b.T / math.sqrt(a.shape[1]), 1) @ c)
        return torch.cat(parts, 1) @ self(f"{name}.out_proj.weight").T + self(f"{name}.out_proj.bias")

    def layer(self, name: str, x: Tensor, feature: Tensor) -> Tensor:
        """Post-norm decoder layer: x (L, D), feature (D, h, w) -> (L, D)."""

        def norm(number: int, y: Tensor) -> Tensor:
            y = (y - y.mean(1, keepdim=True)) / (y.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
            return y * self(f"{name}.norm{number}.weight") + self(f"{name}.norm{number}.bias")

        x = norm(1, x + self.attend(f"{name}.self_attn", x, x))
        x = norm(2, x + self.attend(f"{name}.multihead_attn", x, feature.flatten(1).T))
        hidden = (x @ self(f"{name}.linear1.weight").T + self(f"{name}.linear1.bias")).clamp_min(0)
        return norm(3, x + hidden @ self(f"{name}.linear2.weight").T + self(f"{name}.linear2.bias"))


def enlarged(x: Tensor, side: int) -> Tensor:
    """Bilinear, corner on corner, as two matrices."""
    place = torch.arange(side, dtype=torch.float64) * (x.shape[-1] - 1) / (side - 1)
    matrix = (1 - (place[:, None] - torch.arange(x.shape[-1])).abs()).clamp_min(0)  # (side, s)
    return matrix @ x @ matrix.T


def mapped(style: Mapping[str, Tensor], z: Tensor) -> Tensor:
    """The generator's mapping network; style: tensors named 1.weight and so on, z: (B, D)."""
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for number in range(1, len(style) // 2 + 1):
        weight, bias = style[f"{number}.weight"].double(), style[f"{number}.bias"].double()
        x = x @ weight.T * 0.01 / math.sqrt(weight.shape[1]) + 0.01 * bias
        x = torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)
    return x
