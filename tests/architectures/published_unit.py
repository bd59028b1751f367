"""UNIT's and MUNIT's generators as their repositories compute them, on their state dicts: functions of the facts.

Apart from `ugatit_fast.architectures.unit` and `munit`, which they are held against.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


class Sizes(NamedTuple):
    dim: int = 4
    n_down: int = 2
    n_res: int = 2
    style: int | None = None
    mlp: int = 6


def convolution(name: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    return {f"{name}.conv.weight": (outputs, inputs, kernel, kernel), f"{name}.conv.bias": (outputs,)}


def blocks(name: str, channels: int, count: int) -> Shapes:
    each = [convolution(f"{name}.model.{i}.model.{j}", channels, channels, 3) for i in range(count) for j in range(2)]
    return {key: shape for one in each for key, shape in one.items()}


def shapes_of(sizes: Sizes) -> Shapes:
    """The keys of one domain."""
    dim, n_down, n_res, style, mlp = sizes
    encoder, wide = ("enc" if style is None else "enc_content"), dim << n_down
    found = convolution(f"{encoder}.model.0", dim, 3, 7)
    for i in range(n_down):
        found |= convolution(f"{encoder}.model.{1 + i}", dim << i + 1, dim << i, 4)
    found |= blocks(f"{encoder}.model.{1 + n_down}", wide, n_res) | blocks("dec.model.0", wide, n_res)
    for i in range(n_down):
        channels = wide >> i + 1
        found |= convolution(f"dec.model.{2 + 2 * i}", channels, 2 * channels, 5)
        found |= {f"dec.model.{2 + 2 * i}.norm.{name}": (channels,) for name in ("gamma", "beta")}
    found |= convolution(f"dec.model.{1 + 2 * n_down}", 3, dim, 7)
    if style is None:
        return found
    found |= convolution("enc_style.model.0", dim, 3, 7)
    widths = [dim, 2 * dim, 4 * dim, 4 * dim, 4 * dim]
    for i in range(4):
        found |= convolution(f"enc_style.model.{1 + i}", widths[i + 1], widths[i], 4)
    found |= {"enc_style.model.6.weight": (style, 4 * dim, 1, 1), "enc_style.model.6.bias": (style,)}
    for i, (inputs, outputs) in enumerate(((style, mlp), (mlp, mlp), (mlp, 4 * wide * n_res))):
        found |= {f"mlp.model.{i}.fc.weight": (outputs, inputs), f"mlp.model.{i}.fc.bias": (outputs,)}
    return found


def random_state(sizes: Sizes, seed: int = 0, *, statistics: bool = False) -> dict[str, Tensor]:
    """Of one domain: every tensor matters. statistics: also the dummies and leftovers that files have."""
    noise = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes_of(sizes).items():
        spread = 0.3 if len(shape) == 1 else (2 / torch.Size(shape[1:]).numel()) ** 0.5
        state[name] = torch.randn(shape, generator=noise) * spread + float(name.endswith("gamma"))
    if statistics:
        found = [name for name in state if name.endswith("model.0.model.0.model.0.conv.bias")]
        state |= {name.replace("conv.bias", "norm.running_mean"): torch.zeros(9) for name in found}
        state |= {name.replace("conv.bias", "norm.running_var"): torch.ones(9) for name in found}
    return state


def conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.conv.weight"].to(x.dtype)
    pad = {7: 3, 4: 1, 3: 1, 5: 2}[weight.shape[3]]
    return F.conv2d(F.pad(x, (pad,) * 4, "reflect"), weight, state[f"{name}.conv.bias"].to(x.dtype), stride)


def encode(state: State, encoder: str, sizes: Sizes, image: Tensor) -> Tensor:
    x = torch.relu(F.instance_norm(conv(state, f"{encoder}.model.0", image)))
    for i in range(sizes.n_down):
        x = torch.relu(F.instance_norm(conv(state, f"{encoder}.model.{1 + i}", x, 2)))
    for i in range(sizes.n_res):
        block = f"{encoder}.model.{1 + sizes.n_down}.model.{i}.model"
        hidden = torch.relu(F.instance_norm(conv(state, f"{block}.0", x)))
        x = x + F.instance_norm(conv(state, f"{block}.1", hidden))
    return x


def decode(state: State, sizes: Sizes, x: Tensor, style: Tensor | None = None) -> Tensor:
    """style (n, length): MUNIT's, whose norms each take the next of shift and scale from the MLP."""
    numbers = None if style is None else iter(mlp(state, style).split(x.shape[1], dim=1))

    def norm(y: Tensor) -> Tensor:
        y = F.instance_norm(y)
        if numbers is None:
            return y
        shift, scale = next(numbers)[:, :, None, None], next(numbers)[:, :, None, None]
        return y * scale + shift

    for i in range(sizes.n_res):
        block = f"dec.model.0.model.{i}.model"
        x = x + norm(conv(state, f"{block}.1", torch.relu(norm(conv(state, f"{block}.0", x)))))
    for i in range(sizes.n_down):
        name = f"dec.model.{2 + 2 * i}"
        x = conv(state, name, F.interpolate(x, scale_factor=2, mode="nearest"))
        flat = x.flatten(1)
        mean, std = flat.mean(1)[:, None, None, None], flat.std(1)[:, None, None, None]
        gamma, beta = (state[f"{name}.norm.{one}"].to(x.dtype)[:, None, None] for one in ("gamma", "beta"))
        x = torch.relu((x - mean) / (std + 1e-5) * gamma + beta)
    return torch.tanh(conv(state, f"dec.model.{1 + 2 * sizes.n_down}", x))


def mlp(state: State, style: Tensor) -> Tensor:
    x = style
    for i in range(3):
        x = F.linear(x, *(state[f"mlp.model.{i}.fc.{name}"].to(x.dtype) for name in ("weight", "bias")))
        x = torch.relu(x) if i < 2 else x
    return x


def style_of(state: State, image: Tensor) -> Tensor:
    """What MUNIT's style encoder sees in a picture: (n, length)."""
    x = torch.relu(conv(state, "enc_style.model.0", image))
    for i in range(4):
        x = torch.relu(conv(state, f"enc_style.model.{1 + i}", x, 2))
    last = (state[f"enc_style.model.6.{name}"].to(x.dtype) for name in ("weight", "bias"))
    x = F.conv2d(x.mean((2, 3), keepdim=True), *last)
    return x[:, :, 0, 0]


def translated(a: State, b: State, sizes: Sizes, image: Tensor, style: Tensor | None = None) -> Tensor:
    """From a's domain to b's."""
    encoder = "enc" if sizes.style is None else "enc_content"
    return decode(b, sizes, encode(a, encoder, sizes, image), style)
