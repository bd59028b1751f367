"""The kernel of `ugatit::adalin_from_partials`: the second half of the resident schedule, for an image whose statistics
the convolution before has published (convolution_triton.py). No barrier, and no program waits for another.

A program has one tile. Its pixels, the residual, the parameters and the partials are all on their way before anything
is computed; sizes and what is ragged are known at compile time, as in adalin_resident_triton.py.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.adalin_resident_triton import finish_tile, load_residual, load_tile, spread
from ugatit_fast.kernels.statistics_triton import (
    affine_of,
    combine_channels,
    combine_layer,
    load_channel_partials,
    load_channels,
    load_layer_partials,
    tile_width,
)


@triton.jit
def pixels_before(
    row,  # a vector of rows of the convolution's product
    h: tl.constexpr,
    w: tl.constexpr,
    pitch: tl.constexpr,
):
    """How many rows before each are pixels of the result, and no border: see `RowSplits.pixels`."""
    row = tl.minimum(row, h * pitch)
    return row // pitch * w + tl.minimum(row % pitch, w)


@triton.jit
def row_counts(
    split,  # a vector of splits, from the first phase's first on
    splits: tl.constexpr,  # of all phases
    h: tl.constexpr,  # of a phase
    w: tl.constexpr,
    pitch: tl.constexpr,
    PHASES: tl.constexpr,
    SPLIT_ROWS: tl.constexpr,
):
    """Pixels of each split, float32, 0 beyond the last."""
    first = split % (splits // PHASES) * SPLIT_ROWS
    count = pixels_before(first + SPLIT_ROWS, h, w, pitch) - pixels_before(first, h, w, pitch)
    return tl.where(split < splits, count, 0).to(tl.float32)


@triton.jit
def streamed_kernel(
    x,  # (n, h, w, c)
    gamma,  # float32 (n, c), (1, c) or None
    beta,  # float32 (n, c), (1, c) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    residual,  # (n, h, w, c), strided, or None
    channel_partials,  # float32 (n, splits, 2, c)
    layer_partials,  # float32 (n, splits, partial channel tiles, 2); not looked at without rho
    y,  # (n, h + 2 PAD, w + 2 PAD, c)
    gamma_stride,  # elements from one image's gamma to the next: c or 0
    beta_stride,
    residual_image,  # elements of residual from one image, row and pixel to the next
    h: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    residual_row: tl.constexpr,
    residual_pixel: tl.constexpr,
    pitch: tl.constexpr,  # width of the convolution's input
    PHASES: tl.constexpr,  # of the convolution: 4 or 1
    SPLIT_ROWS: tl.constexpr,  # of a split of the convolution
    PARTIAL_CHANNELS: tl.constexpr,  # of a channel tile of the convolution
    RELU: tl.constexpr,
    SLOPE: tl.constexpr,  # of the ReLU below zero
    PAD: tl.constexpr,  # at most 1 unless the border reflects
    REFLECT: tl.constexpr,
    ZERO: tl.constexpr,  # whether the border is zeros
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    SPLITS: tl.constexpr,  # power of two: splits that are combined at once
    PAIRS: tl.constexpr,  # power of two, at least splits * partial channel tiles
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * tiles of ROWS pixels * channel tiles."""
    pixels: tl.constexpr = h * w
    scale: tl.constexpr = 2 if PHASES == 4 else 1
    phase_h: tl.constexpr = h // scale
    phase_w: tl.constexpr = w // scale
    splits: tl.constexpr = ((phase_h - 1) * pitch + phase_w + SPLIT_ROWS - 1) // SPLIT_ROWS * PHASES
    partial_tiles: tl.constexpr = (c + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS
    tiles: tl.constexpr = (pixels + ROWS - 1) // ROWS
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * (pixels * c)
    y += image * ((h + 2 * PAD) * (w + 2 * PAD) * c)
    channel_partials += image * (splits * 2 * c)

    held = load_tile(x, tile, channel_tile, pixels, w, c, False, ROWS, CHANNELS)
    added = None
    if residual is not None:
        added = load_residual(
            residual + image * residual_image, tile, channels, pixels, w, c, residual_row, residual_pixel, ROWS
        )
    scale_by = load_channels(gamma, image * gamma_stride, channels, c)
    shift_by = load_channels(beta, image * beta_stride, channels, c)
    mix = load_channels(rho, 0, channels, c)
    moved = load_channels(bias, 0, channels, c)

    split = tl.arange(0, SPLITS)
    means, squares = load_channel_partials(channel_partials, channels, splits, c, SPLITS)
    layer_mean, layer_square = None, None
    if rho is not None:
        layer_partials += image * (splits * 2 * partial_tiles)
        pair = tl.arange(0, PAIRS)
        of_pair = row_counts(pair // partial_tiles, splits, phase_h, phase_w, pitch, PHASES, SPLIT_ROWS)
        of_pair *= tile_width(pair % partial_tiles, c, PARTIAL_CHANNELS)
        layer_means, layer_squares = load_layer_partials(layer_partials, splits, partial_tiles, PAIRS)
        layer_mean, layer_square = combine_layer(layer_means, layer_squares, of_pair, pixels * 1.0 * c)
    count = row_counts(split, splits, phase_h, phase_w, pitch, PHASES, SPLIT_ROWS)
    seen = tl.sum(count)
    mean, square = combine_channels(means, squares, count, seen, True)
    for start in range(SPLITS, splits, SPLITS):  # Chan's rule once more
        means, squares = load_channel_partials(channel_partials + start * 2 * c, channels, splits - start, c, SPLITS)
        count = row_counts(start + split, splits, phase_h, phase_w, pitch, PHASES, SPLIT_ROWS)
        more = tl.sum(count)
        other_mean, other_square = combine_channels(means, squares, count, more, True)
        apart, seen = other_mean - mean, seen + more
        mean += apart * (more / seen)
        square += other_square + apart * apart * (more * (seen - more) / seen)

    a, b = affine_of(mean, square, layer_mean, layer_square, scale_by, shift_by, mix, moved, pixels, c, UNBIASED, EPS)
    centre = None
    if x.dtype.element_ty == tl.float32:
        centre = spread(mean)
    else:  # one multiply-add: half precision has no mean so far above its spread that it would cancel in float32
        b -= a * mean
    a, b = spread(a), spread(b)
    finish_tile(y, held, added, a, b, centre, tile, channels, h, w, c, RELU, PAD, REFLECT, ROWS, ZERO, SLOPE)
