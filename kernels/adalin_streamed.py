"""AdaLIN and its family where the convolution before has begun: one pass, without a barrier.

    m_c, v_c   mean and variance of a channel, from the partial statistics of `ugatit::convolution`

and from there as `ugatit::adalin` (formula at the top of adalin.py), of which this is the second half.

Traffic on a GPU: x and the residual read once, y written once, and a program reads the partials of its channels, 4 KiB
of 256x64x64: 2.00 MiB + 2.13 MiB as the resident schedule, but nobody waits for anybody.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.kernels.adalin import AdalinCall, check_adalin
from ugatit_fast.kernels.affine import affine_of
from ugatit_fast.kernels.checks import check_parameter
from ugatit_fast.kernels.convolution_layout import RowSplits, combined
from ugatit_fast.kernels.padding import pad_reference


@dataclass(frozen=True)
class StreamedCall:
    """The arguments of `adalin_from_partials`, where they are described."""

    x: Tensor
    channel_partials: Tensor
    layer_partials: Tensor
    pitch: int
    rows: int
    channels: int
    phases: bool
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    residual: Tensor | None
    relu: bool
    pad: int
    pad_mode: str
    unbiased: bool
    eps: float

    @property
    def splits(self) -> RowSplits:
        return RowSplits.of(self.x.shape, self.pitch, self.rows, self.phases)

    @property
    def rest(self) -> AdalinCall:
        """What is asked for, but for the partials."""
        of_norm = (self.gamma, self.beta, self.rho, self.bias, self.residual)
        return AdalinCall(self.x, *of_norm, self.relu, self.pad, self.pad_mode, self.unbiased, self.eps)


def adalin_from_partials_reference(call: StreamedCall) -> Tensor:
    """The meaning of `adalin_from_partials`, in plain PyTorch. Layer statistics follow from those of the channels."""
    x, splits = call.x, call.splits
    mean, variance = combined(call.channel_partials, splits)
    pixels = x.shape[2] * x.shape[3]
    a, b = affine_of(mean, variance, pixels, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps)
    y = a[:, :, None, None] * (x - mean[:, :, None, None]) + b[:, :, None, None]
    y = torch.relu(y) if call.relu else y
    y = y if call.residual is None else y + call.residual
    return pad_reference(y.to(x.dtype), call.pad, call.pad_mode).contiguous(memory_format=torch.channels_last)


def check_streamed(call: StreamedCall) -> None:
    """ValueError where an argument of `adalin_from_partials` doesn't fit."""
    op, x = "adalin_from_partials", call.x
    check_adalin(call.rest)
    if call.phases and (x.shape[2] % 2 or x.shape[3] % 2):
        raise ValueError(f"{op}: an image of phases has even sides, got {tuple(x.shape)}")
    if min(call.rows, call.channels) < 1 or call.pitch < call.splits.w:
        raise ValueError(f"{op}: no convolution has rows={call.rows}, channels={call.channels}, pitch={call.pitch}")
    n, c, _, _ = x.shape
    of_channels, of_layer = (n, call.splits.count, 2, c), (n, call.splits.count, -(-c // call.channels), 2)
    check_parameter(op, "channel_partials", call.channel_partials, [of_channels], x)
    check_parameter(op, "layer_partials", call.layer_partials, [of_layer, *([] if call.rho is not None else [(0,)])], x)


@torch.library.custom_op("ugatit::adalin_from_partials", mutates_args=())
def adalin_from_partials(
    x: Tensor,
    channel_partials: Tensor,
    layer_partials: Tensor,
    pitch: int,
    rows: int,
    channels: int,
    phases: bool,
    gamma: Tensor | None,
    beta: Tensor | None,
    rho: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    relu: bool,
    pad: int,
    pad_mode: str,
    unbiased: bool,
    eps: float,
) -> Tensor:
    """Normalise, activate, add and pad what `ugatit::convolution` made.

    x, channel_partials, layer_partials: its results; the last may be empty where there is no rho.
    pitch: width of the convolution's input, border included. rows: of a split, `rows * tiles` of the convolution.
    channels, phases: as the convolution's.
    The others as in `ugatit::adalin`. Returns (n, c, h + 2 pad, w + 2 pad) in x's dtype, channels-last. Raises
    ValueError where something doesn't fit.
    """
    call = StreamedCall(
        x, channel_partials, layer_partials, pitch, rows, channels, phases, gamma, beta, rho, bias, residual, relu, pad,
        pad_mode, unbiased, eps,
    )  # fmt: skip
    check_streamed(call)
    return adalin_from_partials_reference(call)


@adalin_from_partials.register_kernel("cuda")
def _(*arguments: Any, **options: Any) -> Tensor:
    from ugatit_fast.kernels.adalin_launch import Normalised
    from ugatit_fast.kernels.adalin_streamed_launch import adalin_streamed_on_gpu

    call = StreamedCall(*arguments, **options)
    check_streamed(call)
    if call.x.dtype == torch.float64 or (call.pad > 1 and call.pad_mode != "reflect"):
        return adalin_from_partials_reference(call)
    inputs = Normalised(call.x, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps)
    partials = (call.channel_partials, call.layer_partials, call.splits, call.channels)
    return adalin_streamed_on_gpu(inputs, *partials, call.residual, call.relu, call.pad, call.pad_mode)


@adalin_from_partials.register_fake
def _(*arguments: Any, **options: Any) -> Tensor:
    call = StreamedCall(*arguments, **options)
    n, c, h, w = call.x.shape
    shape = (n, c, h + 2 * call.pad, w + 2 * call.pad)
    return torch.empty(shape, dtype=call.x.dtype, device=call.x.device, memory_format=torch.channels_last)
