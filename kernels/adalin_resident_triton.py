"""The resident schedule of `ugatit::adalin`: an image stays in registers between its statistics and its store.

Traffic: x read once, residual once, y written once. For 256x64x64 float16: 2 + 2.1 MiB. Where an image is too large
for its half of the GPU, a program has several tiles and keeps none: it reads them again after the barrier, out of L2.
Everything that is the same in
every launch of a layer is known at compile time: sizes, so that places are additions; whether anything is ragged, so
that nothing else is masked; the residual's strides. Nothing that the second half needs and has no part in the
statistics waits for them: parameters and the residual are on their way before the barrier.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.meeting_triton import depart, met
from ugatit_fast.kernels.statistics_triton import (
    affine_of,
    combine_channels,
    combined_layer,
    load_channel_partials,
    load_channels,
    publish_statistics,
    run_counts,
)
from ugatit_fast.kernels.tiles_triton import below, pixel_offset, real_channels, rectified, store_row


@triton.jit
def load_tile(
    x,  # the image: (h, w, c), or its phases
    split,
    channel_tile,
    pixels: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    PHASES: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """(ROWS, CHANNELS) of x in its dtype, 0 outside."""
    pixel = split * ROWS + tl.arange(0, ROWS)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    real = below(pixel, pixels, pixels % ROWS != 0)[:, None] & real_channels(channels, c)[None, :]
    return tl.load(x + pixel_offset(pixel, w, c, PHASES)[:, None] + channels[None, :], mask=real, other=0.0)


@triton.jit
def mean_of_tile(
    tile,  # (ROWS, CHANNELS) as from `load_tile`
    split,
    pixels: tl.constexpr,
    ROWS: tl.constexpr,
):
    """(CHANNELS,) float32, and of how many pixels."""
    count = tl.minimum(pixels - split * ROWS, ROWS).to(tl.float32) if pixels % ROWS else ROWS * 1.0
    return tl.sum(tile.to(tl.float32), axis=0) / count, count


@triton.jit
def publish_tile(
    tile,  # (ROWS, CHANNELS) as from `load_tile`
    mean,  # as from `mean_of_tile`
    count,
    bias,  # (CHANNELS,) of the convolution, or None
    channel_partials,
    layer_partials,
    split,
    channel_tile,
    pixels: tl.constexpr,
    c: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Statistics of a tile: its mean, and deviations from that.

    The mean of float32 values is corrected by what rounding left. Half precision can't have a mean so far above its
    spread that it would show: 11 bits hold a mean of 2^11 spreads at most, float32 rounds that to 2^-12 of a spread.
    """
    inside = below(split * ROWS + tl.arange(0, ROWS), pixels, pixels % ROWS != 0)
    apart = tl.where(inside[:, None], tile.to(tl.float32) - mean[None, :], 0.0)
    square = tl.sum(apart * apart, axis=0)
    if tile.dtype == tl.float32:
        mean += tl.sum(apart, axis=0) / count
    publish_statistics(mean, square, count, bias, channel_partials, layer_partials, split, channel_tile, c, CHANNELS)


@triton.jit
def publish_missing(
    x,  # the image: (h, w, c), or its phases
    bias,  # float32 (c,) or None
    channel_partials,
    layer_partials,
    split,
    channel_tile,
    pixels: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    PHASES: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """What another program hasn't published, by the same sums. Reads the tile twice, so that it is never held whole
    beside what the program itself holds; the barrier keeps the compiler from making one read of the two.
    """
    tile = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
    mean, count = mean_of_tile(tile, split, pixels, ROWS)
    tl.debug_barrier()
    tile = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
    moved = load_channels(bias, 0, channel_tile * CHANNELS + tl.arange(0, CHANNELS), c)
    publish_tile(
        tile, mean, count, moved, channel_partials, layer_partials, split, channel_tile, pixels, c, ROWS, CHANNELS
    )


@triton.jit
def load_residual(
    residual,  # the image: (h, w, c), strided, or None
    split,
    channels,
    pixels: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    residual_row: tl.constexpr,
    residual_pixel: tl.constexpr,
    ROWS: tl.constexpr,
):
    """(ROWS, CHANNELS) beside the tile of x, or None where there is none."""
    added = None
    if residual is not None:
        pixel = split * ROWS + tl.arange(0, ROWS)
        place = ((pixel // w) * residual_row + (pixel % w) * residual_pixel)[:, None] + channels[None, :]
        real = below(pixel, pixels, pixels % ROWS != 0)[:, None] & real_channels(channels, c)[None, :]
        added = tl.load(residual + place, mask=real, other=0.0)
    return added


@triton.jit
def finish_tile(
    y,  # the padded image: (h + 2 PAD, w + 2 PAD, c)
    tile,  # (ROWS, CHANNELS) of x
    added,  # of the residual, or None
    a,  # (CHANNELS,): y = a * (x - centre) + b
    b,
    centre,  # or None for 0
    split,
    channels,
    h: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    ROWS: tl.constexpr,
    ZERO: tl.constexpr,
    SLOPE: tl.constexpr,
):
    """Normalise, activate, add, and store a tile to its place and to wherever the border repeats it."""
    value = tile.to(tl.float32)
    if centre is not None:
        value -= centre[None, :]
    value = a[None, :] * value + b[None, :]
    if RELU:
        value = rectified(value, SLOPE)
    if added is not None:
        value += added.to(tl.float32)
    value = value.to(y.dtype.element_ty)
    pixel = split * ROWS + tl.arange(0, ROWS)
    real = below(pixel, h * w, h * w % ROWS != 0)[:, None] & real_channels(channels, c)[None, :]
    i, j = pixel // w, pixel % w
    store_row(y, value, i, j, channels, real, h, w, c, 0, PAD, REFLECT, ZERO)
    if PAD:
        first, last = split * ROWS, tl.minimum(split * ROWS + ROWS, h * w) - 1
        if first // w <= PAD:  # a pixel of the tile may appear above the image
            store_row(y, value, i, j, channels, real, h, w, c, 1, PAD, REFLECT, ZERO)
        if last // w >= h - 1 - PAD:
            store_row(y, value, i, j, channels, real, h, w, c, 2, PAD, REFLECT, ZERO)


@triton.jit
def spread(values):  # (CHANNELS,)
    """The same values, free of the layout in which they were summed. Otherwise the compiler takes that layout for the
    whole tile, which then goes through shared memory twice: a third of all instructions.
    """
    return tl.gather(values, tl.arange(0, values.shape[0]), 0)


@triton.jit
def resident_kernel(
    x,  # (n, h, w, c), or its phases
    gamma,  # float32 (n, c), (1, c) or None
    beta,  # float32 (n, c), (1, c) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    residual,  # (n, h, w, c), strided, or None
    channel_partials,  # float32 (n, splits, 2, c)
    layer_partials,  # float32 (n, splits, channel tiles, 2), or None where there is no rho
    counters,  # int32 (1 + n,), zero before and after: departures, arrivals of each image
    y,  # (n, h + 2 PAD, w + 2 PAD, c)
    n,
    gamma_stride,  # elements from one image's gamma to the next: c or 0
    beta_stride,
    residual_image,  # elements of residual from one image, row and pixel to the next
    patience,  # polls of the barrier before a program computes what is missing itself
    h: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    residual_row: tl.constexpr,
    residual_pixel: tl.constexpr,
    PHASES: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,  # at most 1 where the border replicates
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    SPLITS: tl.constexpr,  # power of two, at least splits
    PAIRS: tl.constexpr,  # power of two, at least splits * channel tiles
    TILES: tl.constexpr,  # of a program, one below the other; divides splits
    ROWS: tl.constexpr,  # pixels of a split
    CHANNELS: tl.constexpr,
    ZERO: tl.constexpr = False,  # whether the border is zeros, of a width of at most 1
    SLOPE: tl.constexpr = 0.0,  # of the ReLU below zero
    EPS_OUTSIDE: tl.constexpr = False,
):
    """Grid: n * splits / TILES * channel tiles. A program's only tile stays in registers across the image's barrier.

    Programs start in the order of their numbers, so those of an image start together, and an image waits for none that
    starts later than its own. No GPU promises that order, and something else may hold the processors that an image's
    last tiles need (kernels on other streams, waiting likewise); so nobody waits for ever: who has lost patience
    publishes every tile itself. The values are the same to the last bit, so it doesn't matter who wrote them.
    """
    pixels: tl.constexpr = h * w
    splits: tl.constexpr = (pixels + ROWS - 1) // ROWS
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    programs: tl.constexpr = splits // TILES * channel_tiles
    image_elements: tl.constexpr = (h // 2 + 1) * (w // 2 + 1) * 4 * c if PHASES else pixels * c
    program = tl.program_id(0) % programs
    image = (tl.program_id(0) // programs).to(tl.int64)
    first, channel_tile = program // channel_tiles * TILES, program % channel_tiles
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * image_elements
    y += image * ((h + 2 * PAD) * (w + 2 * PAD) * c)
    channel_partials += image * (splits * 2 * c)
    if layer_partials is not None:
        layer_partials += image * (splits * 2 * channel_tiles)
    if residual is not None:
        residual += image * residual_image

    moved = load_channels(bias, 0, channels, c)
    if TILES == 1:
        held = load_tile(x, first, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
        mean, count = mean_of_tile(held, first, pixels, ROWS)
        publish_tile(
            held, mean, count, moved, channel_partials, layer_partials, first, channel_tile, pixels, c, ROWS, CHANNELS
        )
        added = load_residual(residual, first, channels, pixels, w, c, residual_row, residual_pixel, ROWS)
    else:
        for split in range(first, first + TILES):
            tile = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
            mean, count = mean_of_tile(tile, split, pixels, ROWS)
            publish_tile(
                tile, mean, count, moved, channel_partials, layer_partials, split, channel_tile, pixels, c, ROWS,
                CHANNELS,
            )  # fmt: skip
    scale = load_channels(gamma, image * gamma_stride, channels, c)
    shift = load_channels(beta, image * beta_stride, channels, c)
    mix = load_channels(rho, 0, channels, c)

    if not met(counters + 1 + image, programs, patience):
        for other in range(splits * channel_tiles):
            publish_missing(
                x, bias, channel_partials, layer_partials, other // channel_tiles, other % channel_tiles, pixels, w, c,
                PHASES, ROWS, CHANNELS,
            )  # fmt: skip
        tl.debug_barrier()
        if TILES == 1:  # read again, so that it needs no registers meanwhile
            held = load_tile(x, first, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)

    means, squares = load_channel_partials(channel_partials, channels, splits, c, SPLITS)
    layer_mean, layer_square = None, None
    if layer_partials is not None:
        layer_mean, layer_square = combined_layer(layer_partials, pixels, ROWS, splits, c, CHANNELS, PAIRS)
    count = run_counts(tl.arange(0, SPLITS), pixels, ROWS, splits)
    mean, square = combine_channels(means, squares, count, pixels, True)
    a, b = affine_of(
        mean, square, layer_mean, layer_square, scale, shift, mix, moved, pixels, c, UNBIASED, EPS, EPS_OUTSIDE
    )
    centre = None
    if x.dtype.element_ty == tl.float32:
        centre = spread(mean)
    else:  # one multiply-add: half precision has no mean so far above its spread that it would cancel in float32
        b -= a * mean
    a, b = spread(a), spread(b)
    if TILES == 1:
        finish_tile(y, held, added, a, b, centre, first, channels, h, w, c, RELU, PAD, REFLECT, ROWS, ZERO, SLOPE)
    else:
        for split in range(first, first + TILES):
            tile = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
            beside = load_residual(residual, split, channels, pixels, w, c, residual_row, residual_pixel, ROWS)
            finish_tile(y, tile, beside, a, b, centre, split, channels, h, w, c, RELU, PAD, REFLECT, ROWS, ZERO, SLOPE)

    depart(counters, n, n * programs)
