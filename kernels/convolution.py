"""Convolutions of stride 1 that also do what follows them: first halves of a normalisation, or bias, ReLU and border.

    convolution             y = weight * x, and the partial statistics of y that `ugatit::adalin_from_partials` combines
    convolution_bias_relu   y = pad(relu(weight * x + bias))

x has its border already, so nothing is added outside. With `phases` the kernel is 2x2, its outputs are the four phases
of an image of twice the size (rewrite 3 in docs/design.md), and y is that image, woven:

    y[k, 2 i + a, 2 j + b] = sum over (c, r, s) of weight[(2 a + b) K + k, c, r, s] x[c, i + a + r, j + b + s]

x, weight and y share a dtype; sums and statistics are float32 (float64 beside a float64 x). Statistics are those of y
as it is stored, rounded: a normalisation reads just that, so that a constant channel comes out as zero. They are means
and sums of squared deviations from these, never E[y^2] - E[y]^2, over splits: runs of `rows * tiles` padded pixels
(convolution_layout.py), and the same of all channels of a tile together for what normalises whole layers.

Traffic on a GPU: x and weight read once, y written once; partial statistics of 256x64x64 are 66 KiB.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.kernels.checks import check_activation, check_pad, check_parameter
from ugatit_fast.kernels.convolution_layout import RowSplits, layer_statistics, result_shape, split_statistics, woven
from ugatit_fast.kernels.padding import pad_reference

HALF = (torch.float16, torch.bfloat16)
"""What the kernel multiplies; any other dtype is PyTorch's everywhere."""


class Convolved(NamedTuple):
    """A convolution's result, and what its normalisation needs to know of it."""

    y: Tensor
    channel_partials: Tensor
    """float32 (n, splits, 2, c)"""
    layer_partials: Tensor
    """float32 (n, splits, channel tiles, 2), or empty"""


def check_convolution(op: str, x: Tensor, weight: Tensor, bias: Tensor | None, phases: bool = False) -> None:
    """ValueError where the tensors of a convolution don't fit each other."""
    check_activation(op, "x", x)
    check_activation(op, "weight", weight, x.dtype, x.device)
    if weight.shape[1] != x.shape[1]:
        raise ValueError(f"{op}: weight must be (outputs, {x.shape[1]}, r, s), got {tuple(weight.shape)}")
    if phases and (weight.shape[0] % 4 or weight.shape[2:] != (2, 2)):
        raise ValueError(f"{op}: weight of phases must be (4 k, c, 2, 2), got {tuple(weight.shape)}")
    _, c, h, w = result_shape(x.shape, weight.shape, phases)
    if min(h, w) < 1:
        raise ValueError(f"{op}: x {tuple(x.shape)} is smaller than the kernel of weight {tuple(weight.shape)} needs")
    check_parameter(op, "bias", bias, [(c,)], x)


def check_split(op: str, x: Tensor, weight: Tensor, phases: bool, rows: int, channels: int, tiles: int) -> None:
    """ValueError where a split could be without a pixel, or isn't one."""
    between = weight.shape[3] - 1 + phases
    if rows <= between or channels < 1 or tiles < 1:
        raise ValueError(
            f"{op}: a split must have more than {between} rows, a channel and a tile at least, "
            f"got rows={rows}, channels={channels}, tiles={tiles}"
        )


def convolved(x: Tensor, weight: Tensor, phases: bool) -> Tensor:
    """y in plain PyTorch, in the memory format that x has."""
    return woven(F.conv2d(x, weight), phases)


@torch.library.custom_op("ugatit::convolution", mutates_args=())
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    layer: bool,
    phases: bool,
    rows: int,
    channels: int,
    tiles: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Convolve, and begin to normalise; formula at the top of this file.

    x: (n, c, h + r - 1, w + s - 1) with its border, float32, float16 or bfloat16.
    weight: (k, c, r, s) in x's dtype; (4 k, c, 2, 2) where `phases`, and then y has twice the size, 2 less the border.
    bias: float32 (k,): not added to y, but to what `layer_partials` describe; None is 0.
    layer: whether layer statistics are wanted too.
    rows, channels, tiles: the tile of a program on a GPU (convolution_schedule.py), and how many make a split.
    Returns y, channels-last, and the partials of `Convolved`. Raises ValueError where something doesn't fit.
    """
    check_convolution("convolution", x, weight, bias, phases)
    check_split("convolution", x, weight, phases, rows, channels, tiles)
    return convolution_reference(x, weight, bias, layer, phases, rows, channels, tiles)


def convolution_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    layer: bool,
    phases: bool,
    rows: int,
    channels: int,
    tiles: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The meaning of `convolution`, in plain PyTorch."""
    y = convolved(x, weight, phases).contiguous(memory_format=torch.channels_last)
    splits = RowSplits.of(y.shape, x.shape[3], rows * tiles, phases)
    of_channels = split_statistics(y, splits)
    of_layer = layer_statistics(of_channels, bias, splits, channels) if layer else of_channels.new_empty(0)
    return y, of_channels, of_layer


@convolution.register_kernel("cuda")
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    layer: bool,
    phases: bool,
    rows: int,
    channels: int,
    tiles: int,
) -> tuple[Tensor, Tensor, Tensor]:
    from ugatit_fast.kernels.convolution_launch import convolution_on_gpu

    check_convolution("convolution", x, weight, bias, phases)
    check_split("convolution", x, weight, phases, rows, channels, tiles)
    run = convolution_on_gpu if x.dtype in HALF else convolution_reference
    return run(x, weight, bias, layer, phases, rows, channels, tiles)


@convolution.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    layer: bool,
    phases: bool,
    rows: int,
    channels: int,
    tiles: int,
) -> tuple[Tensor, Tensor, Tensor]:
    n, c, h, w = shape = result_shape(x.shape, weight.shape, phases)
    splits = RowSplits.of(shape, x.shape[3], rows * tiles, phases).count
    dtype = torch.promote_types(x.dtype, torch.float32)
    y = torch.empty((n, c, h, w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    layer_shape = (n, splits, -(-c // channels), 2) if layer else (0,)
    return y, x.new_empty((n, splits, 2, c), dtype=dtype), x.new_empty(layer_shape, dtype=dtype)


@torch.library.custom_op("ugatit::convolution_bias_relu", mutates_args=())
def convolution_bias_relu(
    x: Tensor, weight: Tensor, bias: Tensor, pad: int, pad_mode: str, rows: int, channels: int
) -> Tensor:
    """x (n, c, h + r - 1, w + s - 1) with its border, weight (k, c, r, s) in its dtype; bias float32 (k,).

    rows, channels: as for `convolution`. Returns (n, k, h + 2 pad, w + 2 pad), channels-last, the bias added in float32
    before anything is rounded. Raises ValueError where something doesn't fit.
    """
    check_bias_relu(x, weight, bias, pad, pad_mode, rows, channels)
    return convolution_bias_relu_reference(x, weight, bias, pad, pad_mode)


def check_bias_relu(x: Tensor, weight: Tensor, bias: Tensor, pad: int, pad_mode: str, rows: int, channels: int) -> None:
    op = "convolution_bias_relu"
    check_convolution(op, x, weight, bias)
    check_split(op, x, weight, False, rows, channels, 1)
    check_pad(op, pad, pad_mode, *result_shape(x.shape, weight.shape, False)[2:])


def convolution_bias_relu_reference(x: Tensor, weight: Tensor, bias: Tensor, pad: int, pad_mode: str) -> Tensor:
    """The meaning of `convolution_bias_relu`, in plain PyTorch."""
    wide = torch.promote_types(x.dtype, torch.float32)
    y = torch.relu(F.conv2d(x.to(wide), weight.to(wide)) + bias[:, None, None]).to(x.dtype)
    return pad_reference(y, pad, pad_mode).contiguous(memory_format=torch.channels_last)


@convolution_bias_relu.register_kernel("cuda")
def _(x: Tensor, weight: Tensor, bias: Tensor, pad: int, pad_mode: str, rows: int, channels: int) -> Tensor:
    from ugatit_fast.kernels.convolution_launch import convolution_bias_relu_on_gpu

    check_bias_relu(x, weight, bias, pad, pad_mode, rows, channels)
    if x.dtype not in HALF or (pad > 1 and pad_mode != "reflect"):
        return convolution_bias_relu_reference(x, weight, bias, pad, pad_mode)
    return convolution_bias_relu_on_gpu(x, weight, bias, pad, pad_mode, rows, channels)


@convolution_bias_relu.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, pad: int, pad_mode: str, rows: int, channels: int) -> Tensor:
    n, c, h, w = result_shape(x.shape, weight.shape, False)
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
