"""The implicit GEMM behind `ugatit::convolution` and `ugatit::convolution_bias_relu`; what they do says convolution.py.

Traffic: x and the weights read, y written, each once as far as memory is concerned: the R S reads of a pixel are of
L2 and closer. A program multiplies a tile of rows, which are padded pixels in the order of memory, with the weights of
some channels. A tap of the kernel is then a shift of all rows alike, and both operands are boxes of two-dimensional
tensors: whole descriptors on Hopper and later (TMA, and products out of shared memory), plain pointers elsewhere. The
few rows that are border, between one line and the next, are multiplied for nothing and left out afterwards.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.statistics_triton import load_channels, publish_statistics
from ugatit_fast.kernels.tiles_triton import real_channels, store_row


@triton.jit
def product_tile(
    x,  # pixels by inputs: a pointer to those of the image, or a descriptor of those of all images
    weight,  # outputs by (R, S, inputs): pointer or descriptor
    first,  # pixel of x under the kernel's first tap, for the first row
    output,  # the first of the weights' rows
    pixels: tl.constexpr,  # of an image of x
    outputs: tl.constexpr,
    pitch: tl.constexpr,  # width of x, border included
    inputs: tl.constexpr,
    R: tl.constexpr,
    S: tl.constexpr,
    DESCRIPTORS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
    INPUTS: tl.constexpr,  # channels of x that are multiplied at once
):
    """float32 (ROWS, CHANNELS)."""
    steps: tl.constexpr = (inputs + INPUTS - 1) // INPUTS
    ragged: tl.constexpr = inputs % INPUTS != 0
    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    for step in range(R * S * steps):
        tap, start = step // steps, step % steps * INPUTS
        shift = (tap // S) * pitch + tap % S
        if DESCRIPTORS:  # beyond either tensor, and beyond the inputs, there are zeros
            pixel_box = x.load([first + shift, start])
            weight_box = weight.load([output, tap * inputs + start])
        else:
            pixel = first + shift + tl.arange(0, ROWS)
            row = output + tl.arange(0, CHANNELS)
            channel = start + tl.arange(0, INPUTS)
            real = (pixel < pixels)[:, None]
            known = (row < outputs)[:, None]
            if ragged:
                real &= (channel < inputs)[None, :]
                known &= (channel < inputs)[None, :]
            pixel_box = tl.load(x + (pixel * inputs)[:, None] + channel[None, :], mask=real, other=0.0)
            weight_place = (row * (R * S * inputs))[:, None] + (tap * inputs + channel)[None, :]
            weight_box = tl.load(weight + weight_place, mask=known, other=0.0)
        total = tl.dot(pixel_box, weight_box.T, total)
    return total


@triton.jit
def tile_statistics(
    value,  # (ROWS, CHANNELS) as it is stored, 0 where nothing is
    real,  # (ROWS,) mask; one at least
):
    """(mean, sum of squared deviations from it), each (CHANNELS,), and of how many pixels."""
    inside = real.to(tl.float32)
    count = tl.sum(inside)
    value = value.to(tl.float32)
    mean = tl.sum(value, axis=0) / count
    apart = value - mean[None, :] * inside[:, None]
    return mean, tl.sum(apart * apart, axis=0), count


@triton.jit
def convolution_kernel(
    x,  # (n, padded_h, pitch, inputs): pointer, or descriptor of all pixels by channels
    weight,  # (PHASES c, R, S, inputs): pointer, or descriptor of outputs by all the others
    bias,  # float32 (c,) or None
    y,  # (n, h, w, c) with PAD around it; or (n, 2 h, 2 w, c) of four phases
    channel_partials,  # float32 (n, PHASES * splits, 2, c), or None where nothing follows that normalises
    layer_partials,  # float32 (n, PHASES * splits, channel tiles, 2), or None where nobody needs them
    h: tl.constexpr,  # of the result, or of one of its phases
    w: tl.constexpr,
    padded_h: tl.constexpr,
    pitch: tl.constexpr,
    inputs: tl.constexpr,
    c: tl.constexpr,
    R: tl.constexpr,
    S: tl.constexpr,
    PHASES: tl.constexpr,  # 4, woven into one image, else 1
    PAD: tl.constexpr,  # border that is stored, of bias and ReLU only; at most 1 unless it reflects
    REFLECT: tl.constexpr,
    ZERO: tl.constexpr,  # whether the border is zeros
    TILES: tl.constexpr,  # of a split, one below the other
    DESCRIPTORS: tl.constexpr,
    ROWS: tl.constexpr,  # padded pixels of a tile; more than the border between two lines
    CHANNELS: tl.constexpr,
    INPUTS: tl.constexpr,
):
    """Grid: n * splits * PHASES * channel tiles. Programs that read the same pixels are neighbours."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    tiles: tl.constexpr = ((h - 1) * pitch + w + ROWS - 1) // ROWS
    splits: tl.constexpr = (tiles + TILES - 1) // TILES
    program = tl.program_id(0)
    channel_tile, phase = program % channel_tiles, program // channel_tiles % PHASES
    split = program // (channel_tiles * PHASES) % splits
    image = program // (channel_tiles * PHASES * splits)
    scale: tl.constexpr = 2 if PHASES == 4 else 1
    a, b = phase // 2, phase % 2
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    first = a * pitch + b
    if DESCRIPTORS:
        first += image * (padded_h * pitch)
    else:
        x += image.to(tl.int64) * (padded_h * pitch * inputs)
    y += image.to(tl.int64) * ((scale * h + 2 * PAD) * (scale * w + 2 * PAD) * c)

    mean = tl.zeros((CHANNELS,), tl.float32)
    square = tl.zeros((CHANNELS,), tl.float32)
    seen = 0.0
    for tile in range(split * TILES, tl.minimum(split * TILES + TILES, tiles)):
        value = product_tile(
            x, weight, first + tile * ROWS, phase * c + channel_tile * CHANNELS, padded_h * pitch, PHASES * c, pitch,
            inputs, R, S, DESCRIPTORS, ROWS, CHANNELS, INPUTS,
        )  # fmt: skip
        row = tile * ROWS + tl.arange(0, ROWS)
        i, j = row // pitch, row % pitch
        inside = (i < h) & (j < w)
        real = inside[:, None] & real_channels(channels, c)[None, :]
        if channel_partials is None:
            value = tl.maximum(value + load_channels(bias, 0, channels, c)[None, :], 0.0).to(y.dtype.element_ty)
            store_row(y, value, i, j, channels, real, h, w, c, 0, PAD, REFLECT, ZERO)
            if PAD:
                if tile * ROWS // pitch <= PAD:
                    store_row(y, value, i, j, channels, real, h, w, c, 1, PAD, REFLECT, ZERO)
                if (tile * ROWS + ROWS - 1) // pitch >= h - 1 - PAD:
                    store_row(y, value, i, j, channels, real, h, w, c, 2, PAD, REFLECT, ZERO)
        else:
            value = value.to(y.dtype.element_ty)
            place = (((scale * i + a) * (scale * w) + scale * j + b) * c)[:, None] + channels[None, :]
            tl.store(y + place, value, mask=real)
            # Read again, out of L1 or L2, as it is stored: eight channels of a pixel together. Sums over pixels take
            # half the instructions then that they take in the layout which products leave.
            tl.debug_barrier()
            value = tl.load(y + place, mask=real, other=0.0)
            tile_mean, tile_square, count = tile_statistics(value, inside)
            if TILES == 1:
                mean, square, seen = tile_mean, tile_square, count
            else:  # Chan's rule
                apart, seen = tile_mean - mean, seen + count
                mean += apart * (count / seen)
                square += tile_square + apart * apart * (count * (seen - count) / seen)

    if channel_partials is not None:
        part = phase * splits + split
        channel_partials += image.to(tl.int64) * (PHASES * splits * 2 * c)
        if layer_partials is not None:
            layer_partials += image.to(tl.int64) * (PHASES * splits * 2 * channel_tiles)
        moved = load_channels(bias, 0, channels, c)
        publish_statistics(mean, square, seen, moved, channel_partials, layer_partials, part, channel_tile, c, CHANNELS)
