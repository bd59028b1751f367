"""The Triton kernels of `ugatit::style`: pooling, and matrix-vector products that read every weight once.

    light   style_kernel                           pool -> first -> second -> heads
    full    split_product_kernel -> style_kernel           (first)  second -> heads

In `style_kernel` the programs of an image share each layer out among them, by rows, and meet between layers. Every
layer leaves sums that the next one finishes: it takes its input as partial sums (splits, n, k), adds them up in order,
then the bias of the layer before and its ReLU. So no result depends on which program was faster.

Traffic of the full generator: the weights of `first` once for up to 16 images, 537 MB in float16 at 256x256.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.meeting_triton import depart, met


@triton.jit
def pool(
    x,  # the image: (h, w, c), strided
    sums,  # float32 (splits, n, c), from the image's first row on
    start,  # parts of this program: from here on, in steps
    step,
    n,
    row_stride,  # elements of x from one row and pixel to the next
    pixel_stride,
    pixels,
    w,
    split_pixels,  # a multiple of ROWS
    splits,
    c: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums of each channel over a split of the pixels; a part is a split and a channel tile."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    for part in range(start, splits * channel_tiles, step):
        channels = part % channel_tiles * CHANNELS + tl.arange(0, CHANNELS)
        split = part // channel_tiles
        total = tl.zeros((ROWS, CHANNELS), tl.float32)
        end = tl.minimum(split * split_pixels + split_pixels, pixels)
        for first in range(split * split_pixels, end, ROWS):
            pixel = first + tl.arange(0, ROWS)
            place = ((pixel // w) * row_stride + (pixel % w) * pixel_stride)[:, None] + channels[None, :]
            real = (pixel < end)[:, None] & (channels < c)[None, :]
            total += tl.load(x + place, mask=real, other=0.0).to(tl.float32)
        tl.store(sums + split * n * c + channels, tl.sum(total, axis=0), mask=channels < c)


@triton.jit
def layer(
    partials,  # float32 (splits, n, k), from the image's first row on: the input, as sums still to be added
    input_bias,  # float32 (k,) or None
    weight,  # (m, k), any float dtype
    bias,  # float32 (m,) or None
    y,  # float32 (m / output_rows, n, output_rows), from the image's first row on
    start,  # parts of this program: from here on, in steps
    step,
    n,
    m: tl.constexpr,
    output_rows: tl.constexpr,  # m, or the rows of each of several stacked results
    splits,
    divisor,  # of the input's sums
    k: tl.constexpr,
    RELU: tl.constexpr,  # of the input
    SPLITS: tl.constexpr,  # sums added at once, a power of two
    ROWS: tl.constexpr,  # outputs of a part
    INPUTS: tl.constexpr,  # inputs read at once
):
    """y = weight @ relu(sum(partials) / divisor + input_bias) + bias; a part is a run of rows."""
    for part in range(start, (m + ROWS - 1) // ROWS, step):
        row = part * ROWS + tl.arange(0, ROWS)
        total = tl.zeros((ROWS, INPUTS), tl.float32)
        for at in range(0, k, INPUTS):
            lane = at + tl.arange(0, INPUTS)
            value = tl.zeros((INPUTS,), tl.float32)
            for first in range(0, splits, SPLITS):
                split = first + tl.arange(0, SPLITS)
                real = (split < splits)[:, None] & (lane < k)[None, :]
                # From L2: another multiprocessor may have written them during this launch.
                rows = tl.load(
                    partials + split[:, None] * n * k + lane[None, :], mask=real, other=0.0, cache_modifier=".cg"
                )
                value += tl.sum(rows, axis=0)
            value = value / divisor
            if input_bias is not None:
                value += tl.load(input_bias + lane, mask=lane < k, other=0.0)
            if RELU:
                value = tl.maximum(value, 0.0)
            real = (row < m)[:, None] & (lane < k)[None, :]
            weights = tl.load(weight + row[:, None] * k + lane[None, :], mask=real, other=0.0).to(tl.float32)
            total += weights * value[None, :]
        result = tl.sum(total, axis=1)
        if bias is not None:
            result += tl.load(bias + row, mask=row < m, other=0.0)
        tl.store(y + row // output_rows * n * output_rows + row % output_rows, result, mask=row < m)


@triton.jit
def style_kernel(
    x,  # (n, h, w, c), strided, or None where `sums` is the first layer's result
    first,  # (c, c), any float dtype, or None beside no x
    second,  # float32 (c, c)
    heads,  # float32 (2 c, c)
    bias1,  # float32 (c,) or None, as the other two
    bias2,
    bias3,
    sums,  # float32 (splits, n, c): pooled here, or the first layer's products
    hidden,  # float32 (2, n, c)
    y,  # float32 (2, n, c)
    counters,  # int32 (1 + n,), zero before and after
    n,
    image_stride,  # elements of x from one image, row and pixel to the next
    row_stride,
    pixel_stride,
    pixels,
    w,
    split_pixels,
    splits,
    patience,
    c: tl.constexpr,
    PROGRAMS: tl.constexpr,  # of an image
    SPLITS: tl.constexpr,  # sums added at once, a power of two
    POOL_ROWS: tl.constexpr,
    POOL_CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    INPUTS: tl.constexpr,
):
    """Grid: n * PROGRAMS. Who misses others at a meeting does all parts: those from 0 on, in steps of one."""
    program = tl.program_id(0) % PROGRAMS
    image = (tl.program_id(0) // PROGRAMS).to(tl.int64)
    arrivals = counters + 1 + image
    sums += image * c
    y += image * c
    after_first, after_second = hidden + image * c, hidden + (n + image) * c
    if x is not None:
        x += image * image_stride
        pool(x, sums, program, PROGRAMS, n, row_stride, pixel_stride, pixels, w, split_pixels, splits,
             c, POOL_ROWS, POOL_CHANNELS)  # fmt: skip
        if not met(arrivals, PROGRAMS, patience):
            pool(x, sums, 0, 1, n, row_stride, pixel_stride, pixels, w, split_pixels, splits,
                 c, POOL_ROWS, POOL_CHANNELS)  # fmt: skip
            tl.debug_barrier()
        layer(sums, None, first, None, after_first, program, PROGRAMS, n, c, c, splits, pixels,
              c, False, SPLITS, ROWS, INPUTS)  # fmt: skip
        if not met(arrivals, 2 * PROGRAMS, patience):
            layer(sums, None, first, None, after_first, 0, 1, n, c, c, splits, pixels,
                  c, False, SPLITS, ROWS, INPUTS)  # fmt: skip
            tl.debug_barrier()
        layer(after_first, bias1, second, None, after_second, program, PROGRAMS, n, c, c, 1, 1,
              c, True, 1, ROWS, INPUTS)  # fmt: skip
        if not met(arrivals, 3 * PROGRAMS, patience):
            layer(after_first, bias1, second, None, after_second, 0, 1, n, c, c, 1, 1,
                  c, True, 1, ROWS, INPUTS)  # fmt: skip
            tl.debug_barrier()
    else:
        layer(sums, bias1, second, None, after_second, program, PROGRAMS, n, c, c, splits, 1,
              c, True, SPLITS, ROWS, INPUTS)  # fmt: skip
        if not met(arrivals, PROGRAMS, patience):
            layer(sums, bias1, second, None, after_second, 0, 1, n, c, c, splits, 1,
                  c, True, SPLITS, ROWS, INPUTS)  # fmt: skip
            tl.debug_barrier()
    layer(after_second, bias2, heads, bias3, y, program, PROGRAMS, n, 2 * c, c, 1, 1,
          c, True, 1, ROWS, INPUTS)  # fmt: skip
    depart(counters, n, n * PROGRAMS)


@triton.jit
def split_product_kernel(
    weight,  # (m, k), float16, bfloat16 or float32
    features,  # (n, k), weight's dtype
    sums,  # float32 (splits, n, m)
    n,
    m,
    k,
    split_k,  # inputs of a split, a multiple of INPUTS
    ROWS: tl.constexpr,  # outputs of a program
    INPUTS: tl.constexpr,  # inputs read at once
    IMAGES: tl.constexpr,  # images of a program: what a tensor core wants at least
):
    """Grid: (splits, row tiles, image tiles). features @ weight.T over a split of the inputs."""
    split = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    image = tl.program_id(2) * IMAGES + tl.arange(0, IMAGES)
    lane = tl.arange(0, INPUTS)
    weights = weight + split * split_k + row.to(tl.int64)[:, None] * k + lane[None, :]
    inputs = features + split * split_k + image.to(tl.int64)[None, :] * k + lane[:, None]
    left = tl.minimum(k - split * split_k, split_k).to(tl.int32)
    total = tl.zeros((ROWS, IMAGES), tl.float32)
    for start in range(0, left, INPUTS):
        real = start + lane < left
        a = tl.load(weights + start, mask=(row < m)[:, None] & real[None, :], other=0.0)
        b = tl.load(inputs + start, mask=(image < n)[None, :] & real[:, None], other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    place = (split * n + image)[None, :] * m + row[:, None]
    tl.store(sums + place, total, mask=(image < n)[None, :] & (row < m)[:, None])
