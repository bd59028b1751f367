"""Launches the kernels of pointwise_triton.py on CUDA tensors. Arguments are checked; results are channels-last."""

from math import prod

import torch
from torch import Tensor

from ugatit_fast.kernels.launch import channels_last, check_size, contiguous, on_device_of, pixel_strides, span
from ugatit_fast.kernels.phase_layout import image_shape
from ugatit_fast.kernels.pointwise_triton import (
    bias_relu_kernel,
    interleave_kernel,
    normalise_image_kernel,
    rows_to_image_kernel,
)
from ugatit_fast.kernels.schedule import FLAT_TILE, NORM_TILES, cdiv


def bias_relu_on_gpu(
    x: Tensor, bias: Tensor, pad: int, pad_mode: str, slope: float = 0.0, residual: Tensor | None = None
) -> Tensor:
    n, c, h, w = x.shape
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    check_size("bias_relu", x.numel(), prod(shape), 0 if residual is None else span(residual))
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    tile = NORM_TILES[x.dtype].apply.fitted(shape[2] * shape[3], c)
    grid = (n * cdiv(shape[2] * shape[3], tile.rows) * cdiv(c, tile.channels),)
    if residual is not None and residual.stride(1) != 1:
        residual = channels_last(residual)
    if n:
        with on_device_of(x):
            bias_relu_kernel[grid](
                channels_last(x), bias.contiguous(), residual, y, *pixel_strides(residual), h, w,
                c=c, SLOPE=slope, PAD=pad, REFLECT=pad_mode == "reflect", ZERO=pad_mode == "zero",
                ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
            )  # fmt: skip
    return y


def interleave_on_gpu(phases: Tensor) -> Tensor:
    n, c, h, w = image_shape(phases, True)
    check_size("interleave_phases", phases.numel())
    y = torch.empty((n, c, h, w), dtype=phases.dtype, device=phases.device, memory_format=torch.channels_last)
    tile = NORM_TILES[phases.dtype].apply.fitted(h * w, c)
    grid = (n * cdiv(h * w, tile.rows) * cdiv(c, tile.channels),)
    if n:
        with on_device_of(phases):
            interleave_kernel[grid](
                channels_last(phases), y, phases[0].numel(), h, w,
                c=c, ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
            )  # fmt: skip
    return y


def normalise_image_on_gpu(
    image: Tensor, pad: int, dtype: torch.dtype, channels: int, pad_mode: str = "reflect"
) -> Tensor:
    n, h, w, _ = image.shape
    shape = (n, channels, h + 2 * pad, w + 2 * pad)
    check_size("normalise_image", prod(shape))
    x = torch.empty(shape, dtype=dtype, device=image.device, memory_format=torch.channels_last)
    if n:
        with on_device_of(image):
            normalise_image_kernel[(n * cdiv(x[0].numel(), FLAT_TILE.rows),)](
                image.contiguous(), x, h, w,
                CHANNELS=channels, PAD=pad, REFLECT=pad_mode == "reflect", ZERO=pad_mode == "zero",
                BLOCK=FLAT_TILE.rows, **FLAT_TILE.options,
            )  # fmt: skip
    return x


def rows_to_image_on_gpu(rows: Tensor, bias: Tensor | None, kernel_rows: int) -> Tensor:
    n, channels, padded_h, w = rows.shape
    h = padded_h - kernel_rows + 1
    check_size("rows_to_image", rows.numel())
    image = torch.empty((n, h, w, 3), dtype=torch.uint8, device=rows.device)
    if n:
        with on_device_of(rows):
            rows_to_image_kernel[(n * cdiv(h * w * 3, FLAT_TILE.rows),)](
                channels_last(rows), contiguous(bias), image, h * w * 3, h, w,
                CHANNELS=channels, KERNEL_ROWS=kernel_rows, BLOCK=FLAT_TILE.rows, **FLAT_TILE.options,
            )  # fmt: skip
    return image
