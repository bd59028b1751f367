"""The normalisation kernels as TensorRT calls them: pointers to inputs, then to outputs, and nothing else.

A plugin's kernel gets no scalars that TensorRT doesn't compute from shapes, and shapes are fixed in an engine, so all
sizes are compile-time constants; only the grid depends on the batch. Channels-last kernels (TensorRT's HWC8 and HWC)
are those of ugatit_fast.kernels under another order of arguments. The linear ones (n, c, h, w) are written here, with
the same statistics and the same affine map.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.adalin_triton import apply_kernel
from ugatit_fast.kernels.statistics_triton import (
    affine,
    combined_channels,
    load_channels,
    publish_statistics,
    statistics_kernel,
)
from ugatit_fast.kernels.tiles_triton import is_border, source_of_padded


@triton.jit
def stats_channels_last(
    x,  # (n, h, w, c)
    bias,  # float32 (c,)
    channels,  # out: float32 (n, SPLITS, 2, c)
    layer,  # out: float32 (n, SPLITS, channel tiles, 2)
    PIXELS: tl.constexpr,  # h * w, a multiple of SPLITS
    WIDTH: tl.constexpr,
    C: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,  # pixels read at once
    CHANNELS: tl.constexpr,  # of a channel tile: a power of two
):
    """Grid: n * SPLITS * channel tiles."""
    statistics_kernel(
        x, bias, channels, layer, PIXELS * C, PIXELS, WIDTH, PIXELS // SPLITS, SPLITS, C, False, ROWS, CHANNELS
    )


@triton.jit
def stats_linear(
    x,  # (n, c, h, w)
    bias,  # float32 (c,)
    channels,  # out: float32 (n, SPLITS, 2, c)
    layer,  # out: float32 (n, SPLITS, channel tiles, 2)
    PIXELS: tl.constexpr,  # h * w, a multiple of SPLITS
    WIDTH: tl.constexpr,
    C: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,  # pixels read at once
    CHANNELS: tl.constexpr,  # of a channel tile: a power of two
):
    """Grid: n * SPLITS * channel tiles. Two sweeps, mean and then deviations; the second finds its pixels in cache."""
    channel_tiles: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    count: tl.constexpr = PIXELS // SPLITS
    program = tl.program_id(0)
    channel_tile, split = program % channel_tiles, program // channel_tiles % SPLITS
    image = (program // (channel_tiles * SPLITS)).to(tl.int64)
    channel = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    rows = x + image * (C * PIXELS) + (channel * PIXELS)[:, None] + split * count
    lane = tl.arange(0, ROWS)
    total = tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, count, ROWS):
        real = (channel < C)[:, None] & (start + lane < count)[None, :]
        total += tl.sum(tl.load(rows + (start + lane)[None, :], mask=real, other=0.0).to(tl.float32), axis=1)
    mean = total / count
    square = tl.zeros((CHANNELS,), tl.float32)
    rest = tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, count, ROWS):
        real = (channel < C)[:, None] & (start + lane < count)[None, :]
        value = tl.load(rows + (start + lane)[None, :], mask=real, other=0.0).to(tl.float32)
        apart = tl.where(real, value - mean[:, None], 0.0)
        square += tl.sum(apart * apart, axis=1)
        rest += tl.sum(apart, axis=1)
    mean += rest / count  # what rounding left
    channels += image * (SPLITS * 2 * C)
    layer += image * (SPLITS * 2 * channel_tiles)
    moved = load_channels(bias, 0, channel, C)
    publish_statistics(mean, square, count * 1.0, moved, channels, layer, split, channel_tile, C, CHANNELS)


@triton.jit
def apply_channels_last(
    x,  # (n, h, w, c)
    channels,  # as from `stats_channels_last`
    layer,
    gamma,  # float32 (1, c) or (n, c)
    beta,
    rho,  # float32 (c,)
    bias,  # float32 (c,)
    residual,  # (n, h + 2, w + 2, c), or None
    y,  # out: (n, h + 2 PAD, w + 2 PAD, c)
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    C: tl.constexpr,
    STYLE_STRIDE: tl.constexpr,  # elements from one image's gamma, and beta, to the next: C or 0
    SPLITS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,  # CHANNELS of the statistics
    POWER_OF_TWO_SPLITS: tl.constexpr,
    POWER_OF_TWO_PAIRS: tl.constexpr,  # at least SPLITS * channel tiles of the statistics
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    TILE_PIXELS: tl.constexpr,  # padded pixels of a program, a multiple of ROWS
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
    ZERO: tl.constexpr,  # whether the border is zeros
):
    """Grid: n * padded tiles * channel tiles."""
    row: tl.constexpr = (WIDTH + 2) * C
    if residual is not None:
        residual += row + C  # the interior of a border of 1
    apply_kernel(
        x, gamma, beta, rho, bias, residual, channels, layer, y,
        HEIGHT * WIDTH * C, STYLE_STRIDE, STYLE_STRIDE, (HEIGHT + 2) * row, row, C, HEIGHT, WIDTH,
        HEIGHT * WIDTH // SPLITS, SPLITS, TILE_PIXELS, C, False, RELU, PAD, REFLECT, UNBIASED, EPS,
        PARTIAL_CHANNELS, POWER_OF_TWO_SPLITS, POWER_OF_TWO_PAIRS, ROWS, CHANNELS, ZERO,
    )  # fmt: skip


@triton.jit
def apply_linear(
    x,  # (n, c, h, w)
    channels,  # as from `stats_linear`
    layer,
    gamma,  # float32 (1, c) or (n, c)
    beta,
    rho,  # float32 (c,)
    bias,  # float32 (c,)
    residual,  # (n, c, h + 2, w + 2), or None
    y,  # out: (n, c, h + 2 PAD, w + 2 PAD)
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    C: tl.constexpr,
    STYLE_STRIDE: tl.constexpr,  # elements from one image's gamma, and beta, to the next: C or 0
    SPLITS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,  # CHANNELS of the statistics
    POWER_OF_TWO_SPLITS: tl.constexpr,
    POWER_OF_TWO_PAIRS: tl.constexpr,  # at least SPLITS * channel tiles of the statistics
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    TILE_PIXELS: tl.constexpr,  # padded pixels of a program, a multiple of ROWS
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
    ZERO: tl.constexpr,  # whether the border is zeros
):
    """Grid: n * padded tiles * channel tiles. A program gathers, as that of the other format."""
    pixels: tl.constexpr = HEIGHT * WIDTH
    padded_pixels: tl.constexpr = (HEIGHT + 2 * PAD) * (WIDTH + 2 * PAD)
    residual_pixels: tl.constexpr = (HEIGHT + 2) * (WIDTH + 2)
    channel_tiles: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    pairs: tl.constexpr = SPLITS * ((C + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS)
    tiles: tl.constexpr = (padded_pixels + TILE_PIXELS - 1) // TILE_PIXELS
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channel = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    mean, square = combined_channels(
        channels + image * (SPLITS * 2 * C), channel, pixels, pixels // SPLITS, SPLITS, C, POWER_OF_TWO_SPLITS
    )
    a, b = affine(
        channel, mean, square, layer + image * (pairs * 2),
        gamma + image * STYLE_STRIDE, beta + image * STYLE_STRIDE, rho, bias,
        pixels, pixels // SPLITS, SPLITS, C, UNBIASED, EPS, PARTIAL_CHANNELS, POWER_OF_TWO_PAIRS,
    )  # fmt: skip
    x += image * (C * pixels)
    y += image * (C * padded_pixels)
    if residual is not None:
        residual += image * (C * residual_pixels)
    first = tile * TILE_PIXELS
    end = tl.minimum(first + TILE_PIXELS, padded_pixels)
    for start in range(first, end, ROWS):
        padded_pixel = start + tl.arange(0, ROWS)
        real = (channel < C)[:, None] & (padded_pixel < end)[None, :]
        i, j = source_of_padded(padded_pixel, HEIGHT, WIDTH, PAD, REFLECT)
        place = (channel * pixels)[:, None] + (i * WIDTH + j)[None, :]
        value = tl.load(x + place, mask=real, other=0.0).to(tl.float32)
        value = a[:, None] * (value - mean[:, None]) + b[:, None]
        if RELU:
            value = tl.maximum(value, 0.0)
        if residual is not None:
            place = (channel * residual_pixels)[:, None] + ((i + 1) * (WIDTH + 2) + j + 1)[None, :]
            value += tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
        if ZERO:
            value = tl.where(is_border(padded_pixel, HEIGHT, WIDTH, PAD)[None, :], 0.0, value)
        place = (channel * padded_pixels)[:, None] + padded_pixel[None, :]
        tl.store(y + place, value.to(y.dtype.element_ty), mask=real)
