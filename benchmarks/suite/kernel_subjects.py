"""The operations of kernels/ on the shapes of the 256x256 generator, beside the same arithmetic in plain PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.backends import cudnn
from ugatit_fast.bench.results import Target
from ugatit_fast.kernels.adalin import adalin
from ugatit_fast.kernels.adalin_streamed import adalin_from_partials
from ugatit_fast.kernels.bias_relu import bias_relu
from ugatit_fast.kernels.convolution import convolution, convolution_bias_relu
from ugatit_fast.kernels.image import normalise_image, rows_to_image
from ugatit_fast.kernels.phase_layout import interleaved
from ugatit_fast.kernels.style import style
from ugatit_fast.model import layer_instance_norm

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Subject:
    """One operation on one shape."""

    op: str
    shape: tuple[int, ...]
    make: Callable[[tuple[int, ...], torch.dtype, torch.device], Inputs]
    fused: Callable[..., Tensor]
    plain: Callable[..., Tensor]
    aimed_at: bool = False
    """One of the operations whose speed is an aim."""

    @property
    def shape_text(self) -> str:
        return "x".join(map(str, self.shape))

    @property
    def name(self) -> str:
        return f"{self.op}, {self.shape_text}"


def activation(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Channels last, with a mean, as after a convolution of ReLUs."""
    x = torch.randn(tuple(shape), device=device) + 1
    return x.to(dtype, memory_format=torch.channels_last)


def parameters(n: int, c: int, device: torch.device) -> Inputs:
    """gamma, beta (n, c) and rho (c,)."""
    return torch.randn(n, c, device=device), torch.randn(n, c, device=device), torch.rand(c, device=device)


def norm_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    return activation(shape, dtype, device), *parameters(shape[0], shape[1], device)


def residual_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    return *norm_inputs(shape, dtype, device), activation(shape, dtype, device)


def phase_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    n, c, h, w = shape
    return activation((n, 4 * c, h // 2 + 1, w // 2 + 1), dtype, device), *parameters(1, c, device)


def bias_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    return activation(shape, dtype, device), torch.randn(shape[1], device=device)


def picture_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    return (torch.randint(0, 256, shape, dtype=torch.uint8, device=device),)


def style_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    n, c, h, w = shape
    first = torch.randn(c, c * h * w, device=device, dtype=dtype) / (c * h * w) ** 0.5
    second, heads = (torch.randn(rows, c, device=device) / c**0.5 for rows in (c, 2 * c))
    return activation((n, c, h, w), dtype, device), first, second, heads


def plain_norm(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    gamma, beta, rho = (one.to(x.dtype) for one in (gamma, beta, rho))
    return layer_instance_norm(x, rho[None, :, None, None]) * gamma[:, :, None, None] + beta[:, :, None, None]


def plain_norm_relu_pad(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    return F.pad(torch.relu(plain_norm(x, gamma, beta, rho)), (1, 1, 1, 1), mode="reflect")


def plain_norm_add_pad(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor, residual: Tensor) -> Tensor:
    return F.pad(plain_norm(x, gamma, beta, rho) + residual, (1, 1, 1, 1), mode="reflect")


def plain_phases(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    n, c, h, w = x.shape
    a, b, e, d = x.view(n, 4, c // 4, h, w).unbind(1)
    top = torch.stack([a[:, :, :-1, :-1], b[:, :, :-1, 1:]], dim=-1).flatten(-2)
    bottom = torch.stack([e[:, :, 1:, :-1], d[:, :, 1:, 1:]], dim=-1).flatten(-2)
    image = torch.stack([top, bottom], dim=-2).flatten(2, 3)
    return plain_norm_relu_pad(image, gamma, beta, rho)


def plain_bias(x: Tensor, bias: Tensor) -> Tensor:
    return F.pad(torch.relu(x + bias.to(x.dtype)[:, None, None]), (1, 1, 1, 1), mode="reflect")


def plain_normalise(image: Tensor, dtype: torch.dtype = torch.float16) -> Tensor:
    return F.pad((image.permute(0, 3, 1, 2).float() / 127.5 - 1).to(dtype), (3, 3, 3, 3), mode="reflect")


def plain_rows(rows: Tensor) -> Tensor:
    h = rows.shape[2] - 6
    total = sum(rows[:, 3 * r : 3 * r + 3, r : r + h].float() for r in range(7))
    return ((torch.tanh(torch.as_tensor(total)) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def plain_style(x: Tensor, first: Tensor, second: Tensor, heads: Tensor) -> Tensor:
    hidden = torch.relu(F.linear(x.flatten(1), first)).to(second.dtype)
    both = F.linear(torch.relu(F.linear(hidden, second)), heads)
    return both.view(len(x), 2, -1).transpose(0, 1).contiguous()


def row_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    return (activation(shape, dtype, device) * 0.2,)


def fused_norm(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    return adalin(x, gamma, beta, rho, relu=True, pad=1)


def fused_norm_add(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor, residual: Tensor) -> Tensor:
    return adalin(x, gamma, beta, rho, residual=residual, pad=1)


def fused_phases(x: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor) -> Tensor:
    return adalin(x, gamma, beta, rho, relu=True, pad=1, phases=True)


def fused_bias(x: Tensor, bias: Tensor) -> Tensor:
    return bias_relu(x, bias, 1, "reflect")


def fused_normalise(image: Tensor) -> Tensor:
    return normalise_image(image, 3, torch.float16)


def fused_rows(rows: Tensor) -> Tensor:
    return rows_to_image(rows)


def fused_style(x: Tensor, first: Tensor, second: Tensor, heads: Tensor) -> Tensor:
    return style(x, first, second, heads)


# Our convolution against cuDNN's, with what follows either in the network: "eager" has cuDNN's, and our `adalin`.


def stage_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    """For a result of that shape: x with a border of 1, as many channels, a 3x3 kernel, and AdaLIN's parameters."""
    n, c, h, w = shape
    weight = activation((c, c, 3, 3), dtype, device) / (3 * c**0.5)
    return activation((n, c, h + 2, w + 2), dtype, device), weight, *parameters(n, c, device)


def up_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    """The same of an up-convolution: half the size, twice the channels, four phases."""
    n, c, h, w = shape
    weight = activation((4 * c, 2 * c, 2, 2), dtype, device) / (2 * (2 * c) ** 0.5)
    return activation((n, 2 * c, h // 2 + 2, w // 2 + 2), dtype, device), weight, *parameters(1, c, device)


def attention_inputs(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Inputs:
    c = shape[1]
    weight = activation((c, c, 1, 1), dtype, device) / c**0.5
    return activation(shape, dtype, device), weight, torch.randn(c, device=device)


def fused_stage(
    x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor, *, phases: bool, tile: tuple[int, int, int]
) -> Tensor:
    """tile: rows, channels, and tiles of a split."""
    rows, channels, tiles = tile
    begun = convolution(x, weight, None, True, phases, rows, channels, tiles)
    norm = (gamma, beta, rho, None, None, True, 1, "reflect", True, 1e-5)
    return adalin_from_partials(*begun, x.shape[3], rows * tiles, channels, phases, *norm)


def plain_stage(x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, rho: Tensor, *, phases: bool) -> Tensor:
    y = cudnn.convolution(x, weight)
    if y.dtype == torch.float64:  # the truth, by other means than ours
        gamma, beta, rho = gamma.double(), beta.double(), rho.double()
        return plain_norm_relu_pad(interleaved(y) if phases else y, gamma, beta, rho)
    return adalin(y, gamma, beta, rho, relu=True, pad=1, phases=phases)


def fused_attention(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return convolution_bias_relu(x, weight, bias, 1, "reflect", 128, 64)


def plain_attention(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    y = cudnn.convolution(x, weight)
    return plain_bias(y, bias) if y.dtype == torch.float64 else bias_relu(y, bias, 1, "reflect")


def stage_subjects(*shapes: tuple[int, ...], tiles: Sequence[tuple[int, int]]) -> list[Subject]:
    return [
        Subject(
            f"convolution 3x3 by {rows}x{channels} or cuDNN's, AdaLIN, ReLU, pad",
            shape,
            stage_inputs,
            partial(fused_stage, phases=False, tile=(rows, channels, 1)),
            partial(plain_stage, phases=False),
        )
        for shape in shapes
        for rows, channels in tiles
    ]


def up_subjects(*shapes_and_tiles: tuple[tuple[int, ...], int]) -> list[Subject]:
    """With the tiles that a split has there."""
    return [
        Subject(
            "up-convolution by 128x64 or cuDNN's, ILN, ReLU, pad",
            shape,
            up_inputs,
            partial(fused_stage, phases=True, tile=(128, 64, tiles)),
            partial(plain_stage, phases=True),
        )
        for shape, tiles in shapes_and_tiles
    ]


def attention_subjects(*shapes: tuple[int, ...]) -> list[Subject]:
    name = "convolution 1x1 by 128x64 or cuDNN's, bias, ReLU, pad"
    return [Subject(name, shape, attention_inputs, fused_attention, plain_attention) for shape in shapes]


def adalin_subjects(*shapes: tuple[int, ...]) -> list[Subject]:
    return [
        subject
        for shape in shapes
        for subject in (
            Subject("AdaLIN, ReLU, pad", shape, norm_inputs, fused_norm, plain_norm_relu_pad, aimed_at=True),
            Subject("AdaLIN, residual, pad", shape, residual_inputs, fused_norm_add, plain_norm_add_pad, aimed_at=True),
        )
    ]


def phase_subjects(*shapes: tuple[int, ...]) -> list[Subject]:
    return [Subject("phases, ILN, ReLU, pad", shape, phase_inputs, fused_phases, plain_phases) for shape in shapes]


def image_subjects(*sides: tuple[int, int]) -> list[Subject]:
    """sides: batch and side of the picture."""
    return [
        subject
        for n, side in sides
        for subject in (
            Subject("picture to floats, pad", (n, side, side, 3), picture_inputs, fused_normalise, plain_normalise),
            Subject("rows to picture", (n, 21, side + 6, side), row_inputs, fused_rows, plain_rows),
        )
    ]


def bias_subjects(*shapes: tuple[int, ...]) -> list[Subject]:
    return [Subject("bias, ReLU, pad", shape, bias_inputs, fused_bias, plain_bias) for shape in shapes]


def style_subjects(*shapes: tuple[int, ...]) -> list[Subject]:
    return [Subject("style of a full generator", shape, style_inputs, fused_style, plain_style) for shape in shapes]


SUBJECTS: dict[Target, dict[str, list[Subject]]] = {
    "cuda": {
        "adalin": adalin_subjects((32, 256, 64, 64), (1, 256, 64, 64)),
        "convolution": [
            *stage_subjects((32, 256, 64, 64), (1, 256, 64, 64), tiles=[(128, 64), (128, 128), (128, 256)]),
            *up_subjects(((32, 64, 256, 256), 9), ((1, 64, 256, 256), 2)),
            *attention_subjects((32, 256, 64, 64)),
        ],
        "phases": phase_subjects((32, 128, 128, 128), (1, 64, 256, 256)),
        "style": style_subjects((1, 256, 64, 64)),
        "bias_relu": bias_subjects((32, 256, 64, 64)),
        "image": image_subjects((32, 256)),
    },
    "cpu": {
        "adalin": adalin_subjects((1, 256, 64, 64)),
        "convolution": [
            *stage_subjects((1, 64, 32, 32), tiles=[(128, 64)]),
            *up_subjects(((1, 32, 64, 64), 2)),
            *attention_subjects((1, 64, 32, 32)),
        ],
        "phases": phase_subjects((1, 64, 256, 256)),
        "style": style_subjects((1, 32, 64, 64)),
        "bias_relu": bias_subjects((1, 256, 64, 64)),
        "image": image_subjects((1, 256)),
    },
}
"""By the device, and the file of kernels/ that the operation is in."""
