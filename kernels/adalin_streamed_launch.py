"""Launches the kernel of adalin_streamed_triton.py for `ugatit::adalin_from_partials` on CUDA tensors."""

from math import prod

import torch
from torch import Tensor

from ugatit_fast.kernels.adalin_launch import Normalised, ending_options
from ugatit_fast.kernels.adalin_streamed_triton import streamed_kernel
from ugatit_fast.kernels.convolution_layout import RowSplits
from ugatit_fast.kernels.convolution_schedule import SPLITS_AT_ONCE
from ugatit_fast.kernels.launch import channels_last, check_size, on_device_of, pixel_strides, span
from ugatit_fast.kernels.schedule import Tile, cdiv, gpu_of, power_of_two, streamed_tile


def adalin_streamed_on_gpu(
    inputs: Normalised,
    channel_partials: Tensor,
    layer_partials: Tensor,
    splits: RowSplits,
    width: int,
    residual: Tensor | None,
    relu: bool,
    pad: int,
    pad_mode: str,
    tile: Tile | None = None,
    splits_at_once: int = SPLITS_AT_ONCE,
) -> Tensor:
    """`adalin_from_partials` for checked arguments, on the current stream, by `tile` (default: the resident kernel's).

    splits, width: how the convolution split its result, and the channels of its tiles. A border that doesn't reflect
    is at most 1 wide. Raises ValueError at 2^31 elements.
    """
    n, c, h, w = inputs.shape
    x = inputs.x
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    check_size("adalin_from_partials", prod(shape), 0 if residual is None else span(residual))
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if n == 0:
        return y
    if residual is not None and residual.stride(1) != 1:
        residual = channels_last(residual)
    image_stride, row_stride, pixel_stride = pixel_strides(residual)
    with on_device_of(x):
        tile = tile or streamed_tile(x.dtype, gpu_of(x.device)).fitted(h * w, c)
        streamed_kernel[(n * cdiv(h * w, tile.rows) * cdiv(c, tile.channels),)](
            x, inputs.gamma, inputs.beta, inputs.rho, inputs.bias, residual,
            channel_partials.contiguous(), layer_partials.contiguous(), y, *inputs.strides(), image_stride,
            h=h, w=w, c=c, residual_row=row_stride, residual_pixel=pixel_stride, pitch=splits.pitch,
            PHASES=splits.phases, SPLIT_ROWS=splits.rows, PARTIAL_CHANNELS=width,
            PAD=pad, **ending_options(relu, 0.0, pad_mode), UNBIASED=int(inputs.unbiased), EPS=inputs.eps,
            SPLITS=min(splits_at_once, power_of_two(splits.count)),
            PAIRS=power_of_two(splits.count * cdiv(c, width)),
            ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
        )  # fmt: skip
    return y
