"""Launches the kernel of convolution_triton.py for `ugatit::convolution` and `ugatit::convolution_bias_relu`."""

from math import prod

import torch
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ugatit_fast.kernels.convolution_layout import RowSplits, result_shape
from ugatit_fast.kernels.convolution_schedule import ConvolutionTile, convolution_tile, uses_descriptors
from ugatit_fast.kernels.convolution_triton import convolution_kernel
from ugatit_fast.kernels.launch import channels_last, check_size, contiguous, on_device_of
from ugatit_fast.kernels.schedule import cdiv, gpu_of


def convolution_on_gpu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    layer: bool,
    phases: bool,
    rows: int,
    channels: int,
    tiles: int,
    tile: ConvolutionTile | None = None,
    descriptors: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`convolution` for checked arguments in half precision, on the current stream, by `tile` (default: that of the
    schedule). Raises ValueError at 2^31 elements, and for a tile that the schedule doesn't have.
    """
    n, c, _, _ = shape = result_shape(x.shape, weight.shape, phases)
    check_size("convolution", x.numel(), weight.numel(), prod(shape))
    splits = RowSplits.of(shape, x.shape[3], rows * tiles, phases).count
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    of_channels = torch.empty((n, splits, 2, c), dtype=torch.float32, device=x.device)
    layer_shape = (n, splits, cdiv(c, channels), 2) if layer else (0,)
    of_layer = torch.empty(layer_shape, dtype=torch.float32, device=x.device)
    if n:
        tile = tile or convolution_tile(rows, channels, x.shape[1], c, gpu_of(x.device))
        partials = (of_channels, of_layer if layer else None)
        run(x, weight, bias, y, partials, phases, 0, "reflect", tiles, tile, descriptors)
    return y, of_channels, of_layer


def convolution_bias_relu_on_gpu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    pad: int,
    pad_mode: str,
    rows: int,
    channels: int,
    tile: ConvolutionTile | None = None,
    descriptors: bool | None = None,
) -> Tensor:
    """`convolution_bias_relu`, likewise; a border that doesn't reflect is at most 1 wide."""
    n, c, h, w = result_shape(x.shape, weight.shape, False)
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    check_size("convolution_bias_relu", x.numel(), weight.numel(), prod(shape))
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if n:
        tile = tile or convolution_tile(rows, channels, x.shape[1], c, gpu_of(x.device))
        run(x, weight, bias, y, (None, None), False, pad, pad_mode, 1, tile, descriptors)
    return y


def run(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor,
    partials: tuple[Tensor | None, Tensor | None],
    phases: bool,
    pad: int,
    pad_mode: str,
    tiles: int,
    tile: ConvolutionTile,
    descriptors: bool | None,
) -> None:
    n, inputs, padded_h, pitch = x.shape
    outputs, _, kernel_h, kernel_w = weight.shape
    _, c, h, w = result_shape(x.shape, weight.shape, phases)
    inner_h, inner_w = (h // 2, w // 2) if phases else (h, w)
    splits = RowSplits(inner_h, inner_w, pitch, tile.rows * tiles).of_phase
    count = 4 if phases else 1
    with on_device_of(x):
        if descriptors is None:
            descriptors = uses_descriptors(gpu_of(x.device), inputs)
        pixels = matrix(x, n * padded_h * pitch, (tile.rows, tile.inputs), descriptors)
        weights = matrix(weight, outputs, (tile.channels, tile.inputs), descriptors)
        convolution_kernel[(n * splits * count * cdiv(c, tile.channels),)](
            pixels, weights, contiguous(bias), y, *partials,
            h=inner_h, w=inner_w, padded_h=padded_h, pitch=pitch, inputs=inputs, c=c, R=kernel_h, S=kernel_w,
            PHASES=count, PAD=pad, REFLECT=pad_mode == "reflect", ZERO=pad_mode == "zero",
            TILES=tiles, DESCRIPTORS=descriptors, ROWS=tile.rows, CHANNELS=tile.channels, INPUTS=tile.inputs,
            **tile.options(tiles),
        )  # fmt: skip


def matrix(x: Tensor, rows: int, box: tuple[int, int], descriptor: bool) -> "Tensor | TensorDescriptor":
    """x as the kernel reads it: (rows, all that is left) in the order of channels-last memory."""
    dense = channels_last(x)
    if not descriptor:
        return dense
    columns = dense.numel() // rows
    return TensorDescriptor(dense, [rows, columns], [columns, 1], list(box))
