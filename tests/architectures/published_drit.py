"""DRIT's two generators as their repository computes them, on what a run saves: functions of the facts.

Apart from `ugatit_fast.architectures.drit` and `drit_network`, which they are held against.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


class Sizes(NamedTuple):
    concat: int = 1
    dim: int = 4
    nz: int = 3


def layer(name: str, *shape: int, outputs: int | None = None) -> Shapes:
    """outputs: of a transposed convolution, whose shape has them second."""
    return {f"{name}.weight": shape, f"{name}.bias": (outputs or shape[0],)}


def block(name: str, c: int) -> Shapes:
    return layer(f"{name}.model.1", c, c, 3, 3) | layer(f"{name}.model.5", c, c, 3, 3)


def doubling(name: str, inputs: int, outputs: int) -> Shapes:
    norm = {f"{name}.model.1.{one}": (outputs, 1, 1) for one in ("weight", "bias")}
    return layer(f"{name}.model.0", inputs, outputs, 3, 3, outputs=outputs) | norm


def shapes_of(sizes: Sizes) -> dict[str, Shapes]:
    """The keys of the networks that draw, both domains' in each."""
    concat, dim, nz = sizes
    wide = 4 * dim
    content, seen, drawn = block("conv_share.0", wide), Shapes(), Shapes()
    for d in "AB":
        content |= layer(f"conv{d}.0.model.1", dim, 3, 7, 7)
        content |= layer(f"conv{d}.1.model.1", 2 * dim, dim, 3, 3) | layer(f"conv{d}.2.model.1", wide, 2 * dim, 3, 3)
        for i in (3, 4, 5):
            content |= block(f"conv{d}.{i}", wide)
        if concat:
            seen |= layer(f"conv_{d}.1", dim, 3, 4, 4)
            seen |= layer(f"fc_{d}.0", nz, wide) | layer(f"fcVar_{d}.0", nz, wide)
            for i in (2, 3, 4):
                c = (i - 1) * dim
                seen |= layer(f"conv_{d}.{i}.conv.2", c, c, 3, 3) | layer(f"conv_{d}.{i}.conv.4.1", c + dim, c, 3, 3)
                seen |= layer(f"conv_{d}.{i}.shortcut.1", c + dim, c, 1, 1)
                drawn |= block(f"dec{d}1.{i - 2}", wide + nz)
            half, full = 2 * dim + nz, dim + nz
            drawn |= block("dec_share.0", wide)
            drawn |= doubling(f"dec{d}2.0", wide + 2 * nz, half) | doubling(f"dec{d}3.0", half + nz, full)
            drawn |= layer(f"dec{d}4.0", full + nz, 3, 1, 1, outputs=3)
        else:
            widths = [3, dim, 2 * dim, wide, wide, wide]
            for i in range(5):
                kernel = 4 if i else 7
                seen |= layer(f"model_{d.lower()}.{1 + 3 * i}", widths[i + 1], widths[i], kernel, kernel)
            seen |= layer(f"model_{d.lower()}.16", nz, wide, 1, 1)
            for i in (1, 2, 3, 4):
                for j in (1, 2):
                    drawn |= layer(f"dec{d}{i}.conv{j}.0.1", wide, wide, 3, 3)
                    drawn |= layer(f"dec{d}{i}.blk{j}.0", 2 * wide, 2 * wide, 1, 1)
                    drawn |= layer(f"dec{d}{i}.blk{j}.2", wide, 2 * wide, 1, 1)
            drawn |= doubling(f"dec{d}5.0", wide, 2 * dim) | doubling(f"dec{d}5.1", 2 * dim, dim)
            drawn |= layer(f"dec{d}5.2", dim, 3, 1, 1, outputs=3)
            drawn |= layer(f"mlp{d}.0", wide, nz) | layer(f"mlp{d}.2", wide, wide) | layer(f"mlp{d}.4", 4 * wide, wide)
    return {"enc_c": content, "enc_a": seen, "gen": drawn}


def random_file(sizes: Sizes, seed: int = 0, *, statistics: bool = False) -> dict[str, Any]:
    """Every tensor matters but those of the training. statistics: also those that PyTorch 0.3 left beside norms."""
    noise = torch.Generator().manual_seed(seed)
    file: dict[str, Any] = {}
    for part, shapes in shapes_of(sizes).items():
        file[part] = {}
        for name, shape in shapes.items():
            norm = len(shape) == 3
            spread = 0.3 if len(shape) in (1, 3) else (2 / torch.Size(shape[1:]).numel()) ** 0.5
            drawn = torch.randn(shape, generator=noise) * spread
            file[part][name] = drawn + float(norm and name.endswith("weight"))
    if statistics:
        file["enc_c"] |= {"convA.1.model.2.running_mean": torch.zeros(8), "convA.1.model.2.running_var": torch.ones(8)}
    discriminator = {"model.0.model.1.weight": torch.zeros(4, 3, 3, 3)}
    adam = {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
    return file | {"disA": discriminator, "disContent": discriminator, "gen_opt": adam, "ep": 3, "total_it": 9}


# What it computes -------------------------------------------------------------------------------------------------


def at(state: State, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    return state[f"{name}.weight"].to(x.dtype), state[f"{name}.bias"].to(x.dtype)


def conv(state: State, name: str, x: Tensor, pad: int = 1, stride: int = 1) -> Tensor:
    return F.conv2d(F.pad(x, (pad,) * 4, "reflect"), *at(state, name, x), stride)


def residual(state: State, name: str, x: Tensor) -> Tensor:
    hidden = torch.relu(F.instance_norm(conv(state, f"{name}.model.1", x)))
    return x + F.instance_norm(conv(state, f"{name}.model.5", hidden))


def doubled(state: State, name: str, x: Tensor) -> Tensor:
    x = F.conv_transpose2d(x, *at(state, f"{name}.model.0", x), 2, 1, 1)
    weight, bias = at(state, f"{name}.model.1", x)
    return torch.relu(F.layer_norm(x, x.shape[1:], weight.expand_as(x[0]), bias.expand_as(x[0])))


def with_style(x: Tensor, z: Tensor) -> Tensor:
    return torch.cat([x, z[:, :, None, None].expand(*z.shape, *x.shape[2:])], 1)


def encode(state: State, d: str, x: Tensor) -> Tensor:
    x = F.leaky_relu(conv(state, f"conv{d}.0.model.1", x, 3), 0.01)
    for i in (1, 2):
        x = torch.relu(F.instance_norm(conv(state, f"conv{d}.{i}.model.1", x, 1, 2)))
    for i in (3, 4, 5):
        x = residual(state, f"conv{d}.{i}", x)
    return residual(state, "conv_share.0", x)


def decode(state: State, d: str, x: Tensor, z: Tensor) -> Tensor:
    if "dec_share.0.model.1.weight" in state:
        x = with_style(residual(state, "dec_share.0", x), z)
        for i in range(3):
            x = residual(state, f"dec{d}1.{i}", x)
        for part in (f"dec{d}2.0", f"dec{d}3.0"):
            x = doubled(state, part, with_style(x, z))
        x = with_style(x, z)
        return torch.tanh(F.conv_transpose2d(x, *at(state, f"dec{d}4.0", x)))
    for i in (0, 2, 4):
        z = F.linear(z, *at(state, f"mlp{d}.{i}", z))
        z = torch.relu(z) if i < 4 else z
    for i, own in enumerate(z.split(x.shape[1], 1), start=1):
        hidden = x
        for j in (1, 2):
            hidden = with_style(F.instance_norm(conv(state, f"dec{d}{i}.conv{j}.0.1", hidden)), own)
            for k in (0, 2):
                hidden = torch.relu(conv(state, f"dec{d}{i}.blk{j}.{k}", hidden, 0))
        x = x + hidden
    for i in (0, 1):
        x = doubled(state, f"dec{d}5.{i}", x)
    return torch.tanh(F.conv_transpose2d(x, *at(state, f"dec{d}5.2", x)))


def style_of(file: Mapping[str, State], d: str, x: Tensor) -> Tensor:
    """What is seen in a picture of a domain, (n, nz); of a distribution its mean."""
    state = file["enc_a"]
    if f"fc_{d}.0.weight" not in state:
        for i in (1, 4, 7, 10, 13):
            name = f"model_{d.lower()}.{i}"
            x = torch.relu(conv(state, name, x, 3) if i == 1 else conv(state, name, x, 1, 2))
        return F.conv2d(x.mean((2, 3), keepdim=True), *at(state, f"model_{d.lower()}.16", x)).flatten(1)
    x = conv(state, f"conv_{d}.1", x, 1, 2)
    for i in (2, 3, 4):
        hidden = conv(state, f"conv_{d}.{i}.conv.2", F.leaky_relu(x, 0.2))
        hidden = F.avg_pool2d(conv(state, f"conv_{d}.{i}.conv.4.1", F.leaky_relu(hidden, 0.2)), 2)
        x = hidden + conv(state, f"conv_{d}.{i}.shortcut.1", F.avg_pool2d(x, 2), 0)
    return F.linear(F.leaky_relu(x, 0.2).mean((2, 3)), *at(state, f"fc_{d}.0", x))


def translated(file: Mapping[str, State], direction: str, image: Tensor, z: Tensor) -> Tensor:
    """image (n, 3, h, w), z (n, nz). direction: A2B or B2A."""
    source, target = direction[0], direction[2]
    return decode(file["gen"], target, encode(file["enc_c"], source, image), z)
