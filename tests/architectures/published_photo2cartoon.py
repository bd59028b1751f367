"""photo2cartoon's generator as its repository computes it, on its state dict: functions of the facts.

Apart from `ugatit_fast.architectures.photo2cartoon`, which it is held against: nothing is folded, shared or left out.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
SKIPS = ("ConvBlock1_1", "ConvBlock2_1", "ConvBlock3_1", "ConvBlock4_1")
DOWNS = ("ConvBlock1_2", "ConvBlock2_2", "ConvBlock3_2", "ConvBlock4_2")
UPS = ("ConvBlock6", "ConvBlock7", "ConvBlock8", "ConvBlock9")
"""From the lowest resolution up."""
HOURGLASSES = ("HourGlass1", "HourGlass2", "HourGlass3", "HourGlass4")


def linear(name: str, outputs: int, inputs: int, *plane: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, *plane), f"{name}.bias": (outputs,)}


def block_shapes(name: str, c: int) -> Shapes:
    """With the convolution that is there for other widths, and has nothing to do."""
    return {
        f"{name}.ConvBlock1.3.weight": (c // 2, c, 3, 3),
        f"{name}.ConvBlock2.3.weight": (c // 4, c // 2, 3, 3),
        f"{name}.ConvBlock3.3.weight": (c // 4, c // 4, 3, 3),
        f"{name}.ConvBlock4.2.weight": (c, c, 1, 1),
    }


def hourglass_shapes(name: str, c: int) -> Shapes:
    found: Shapes = {}
    for block in (*SKIPS, *DOWNS, "ConvBlock5", *UPS):
        found |= block_shapes(f"{name}.HG.0.{block}", c)
    found |= block_shapes(f"{name}.HG.1", c) | {f"{name}.HG.2.weight": (c, c, 1, 1)}
    found |= linear(f"{name}.Conv1", 3, c, 1, 1)
    if name == HOURGLASSES[-1]:
        return found
    return found | linear(f"{name}.Conv2", c, c, 1, 1) | linear(f"{name}.Conv3", c, 3, 1, 1)


def norm_shapes(name: str, c: int) -> Shapes:
    found: Shapes = {f"{name}.w_gamma": (1, c), f"{name}.w_beta": (1, c), f"{name}.norm.rho": (1, c, 1, 1)}
    for layer in ("c_gamma.0", "c_gamma.2", "c_beta.0", "c_beta.2", "s_gamma", "s_beta"):
        found |= linear(f"{name}.{layer}", c, c)
    return found


def shapes_of(ngf: int, style_inputs: int) -> Shapes:
    wide = 4 * ngf
    found: Shapes = {"ConvBlock1.1.weight": (ngf, 3, 7, 7)}
    for name in HOURGLASSES:
        found |= hourglass_shapes(name, ngf)
    for i, c in enumerate((ngf, 2 * ngf)):
        found[f"DownBlock{i + 1}.1.weight"] = (2 * c, c, 3, 3)
    for i in range(1, 5):
        found |= {f"EncodeBlock{i}.conv_block.{layer}.weight": (wide, wide, 3, 3) for layer in (1, 5)}
        found |= {f"DecodeBlock{i}.conv{j}.weight": (wide, wide, 3, 3) for j in (1, 2)}
        for j in (1, 2):
            found |= norm_shapes(f"DecodeBlock{i}.norm{j}", wide)
    found |= linear("gap_fc", 1, wide) | linear("gmp_fc", 1, wide) | linear("conv1x1", wide, 2 * wide, 1, 1)
    found |= linear("FC.0", wide, style_inputs) | linear("FC.2", wide, wide)
    for i, c in enumerate((wide, 2 * ngf)):
        found[f"UpBlock{i + 1}.2.weight"] = (c // 2, c, 3, 3)
        found |= {f"UpBlock{i + 1}.3.{name}": (1, c // 2, 1, 1) for name in ("rho", "gamma", "beta")}
    return found | {"ConvBlock2.1.weight": (3, 3, 7, 7)}


def random_state(ngf: int = 4, *, full: int = 0, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor matters: shares and rho within 0 to 1, scales around 1, matrices as wide as PyTorch begins with:
    sixty norms in a row make too much of errors where they are wider. full: the side that it was trained at.
    """
    noise = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes_of(ngf, 4 * ngf * ((full // 4) ** 2 or 1)).items():
        if name.endswith(("rho", "w_gamma", "w_beta")):
            state[name] = torch.rand(shape, generator=noise)
        elif name.endswith(("bias", "gamma", "beta")):
            state[name] = torch.randn(shape, generator=noise) * 0.3 + float(name.endswith(".gamma"))
        else:
            inputs = torch.Size(shape[1:]).numel()
            state[name] = torch.randn(shape, generator=noise) * (1 / (3 * inputs)) ** 0.5
    return state


def instance(x: Tensor) -> Tensor:
    return F.instance_norm(x)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    pad = weight.shape[3] // 2
    return F.conv2d(F.pad(x, (pad,) * 4, "reflect") if pad else x, weight, bias, stride)


def block(state: State, name: str, x: Tensor) -> Tensor:
    made, parts = x, []
    for i in (1, 2, 3):
        made = conv(torch.relu(instance(made)), state[f"{name}.ConvBlock{i}.3.weight"])
        parts.append(made)
    return x + torch.cat(parts, 1)


def hourglass(state: State, name: str, x: Tensor) -> Tensor:
    inside, y, skipped = f"{name}.HG.0", x, []
    for skip, down in zip(SKIPS, DOWNS, strict=True):
        skipped.append(block(state, f"{inside}.{skip}", y))
        y = block(state, f"{inside}.{down}", F.avg_pool2d(y, 2))
    y = block(state, f"{inside}.ConvBlock5", y)
    for up in UPS:
        y = skipped.pop() + F.interpolate(block(state, f"{inside}.{up}", y), scale_factor=2)
    y = block(state, f"{name}.HG.1", y)
    y = torch.relu(instance(conv(y, state[f"{name}.HG.2.weight"])))
    colours = conv(y, state[f"{name}.Conv1.weight"], state[f"{name}.Conv1.bias"])
    if name == HOURGLASSES[-1]:
        return colours
    added = conv(colours, state[f"{name}.Conv3.weight"], state[f"{name}.Conv3.bias"])
    return x + conv(y, state[f"{name}.Conv2.weight"], state[f"{name}.Conv2.bias"]) + added


def applied(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def mixed_norm(x: Tensor, rho: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """By unbiased variances."""
    by_channel = (x - x.mean((2, 3), True)) / torch.sqrt(x.var((2, 3), keepdim=True) + 1e-5)
    by_layer = (x - x.mean((1, 2, 3), True)) / torch.sqrt(x.var((1, 2, 3), keepdim=True) + 1e-5)
    return (rho * by_channel + (1 - rho) * by_layer) * gamma + beta


def soft_norm(state: State, name: str, x: Tensor, content: Tensor, style: Tensor) -> Tensor:
    mixed = []
    for part in ("gamma", "beta"):
        by_content = applied(state, f"{name}.c_{part}.2", torch.relu(applied(state, f"{name}.c_{part}.0", content)))
        share = state[f"{name}.w_{part}"]
        mixed.append((1 - share) * applied(state, f"{name}.s_{part}", style) + share * by_content)
    gamma, beta = (one[:, :, None, None] for one in mixed)
    return mixed_norm(x, state[f"{name}.norm.rho"], gamma, beta)


def translated(state: State, image: Tensor) -> tuple[Tensor, Tensor]:
    """The picture, and the heat map."""
    x = torch.relu(instance(conv(image, state["ConvBlock1.1.weight"])))
    x = hourglass(state, "HourGlass2", hourglass(state, "HourGlass1", x))
    for i in (1, 2):
        x = torch.relu(instance(conv(x, state[f"DownBlock{i}.1.weight"], stride=2)))
    contents = []
    for i in range(1, 5):
        inside = f"EncodeBlock{i}.conv_block"
        x = x + instance(conv(torch.relu(instance(conv(x, state[f"{inside}.1.weight"]))), state[f"{inside}.5.weight"]))
        contents.append(x.mean((2, 3)))
    by_class = torch.cat([x * state[f"{name}.weight"][:, :, None, None] for name in ("gap_fc", "gmp_fc")], 1)
    x = torch.relu(conv(by_class, state["conv1x1.weight"], state["conv1x1.bias"]))
    heatmap = x.sum(1)
    pooled = state["FC.0.weight"].shape[1] == x.shape[1]
    style = torch.relu(applied(state, "FC.0", x.mean((2, 3)) if pooled else x.flatten(1)))
    style = torch.relu(applied(state, "FC.2", style))
    for i in range(1, 5):
        name, content = f"DecodeBlock{i}", contents[4 - i]
        y = soft_norm(state, f"{name}.norm1", conv(x, state[f"{name}.conv1.weight"]), content, style)
        x = x + soft_norm(state, f"{name}.norm2", conv(torch.relu(y), state[f"{name}.conv2.weight"]), content, style)
    for i in (1, 2):
        norm = (state[f"UpBlock{i}.3.{name}"] for name in ("rho", "gamma", "beta"))
        x = torch.relu(mixed_norm(conv(F.interpolate(x, scale_factor=2), state[f"UpBlock{i}.2.weight"]), *norm))
    x = hourglass(state, "HourGlass4", hourglass(state, "HourGlass3", x))
    return torch.tanh(conv(x, state["ConvBlock2.1.weight"])), heatmap
