"""The Triton kernels of `ugatit::style`: pooling, and matrix-vector products that read every weight once.

Every kernel leaves sums that the next one finishes: `linear_kernel` takes its input as partial sums (splits, n, k),
adds them up in order, then the bias of the layer before and its ReLU. So a layer needs one launch, and no result
depends on which program was faster.

    light   pool_kernel -> linear (first) -> linear (second) -> linear (heads)
    full    split_product_kernel (first)  -> linear (second) -> linear (heads)

Traffic of the full generator: the weights of `first` once for up to 16 images, 537 MB in float16 at 256x256.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl


@triton.jit
def pool_kernel(
    x,  # (n, h, w, c), strided
    sums,  # float32 (splits, n, c)
    n,
    image_stride,  # elements of x from one image, row and pixel to the next
    row_stride,
    pixel_stride,
    pixels,
    w,
    split_pixels,  # a multiple of ROWS
    splits,
    c: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * splits * channel tiles. Sums of each channel over a split of the pixels."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    program = tl.program_id(0)
    channel_tile, split = program % channel_tiles, program // channel_tiles % splits
    image = (program // (channel_tiles * splits)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * image_stride
    total = tl.zeros((ROWS, CHANNELS), tl.float32)
    first = split * split_pixels
    end = tl.minimum(first + split_pixels, pixels)
    for start in range(first, end, ROWS):
        pixel = start + tl.arange(0, ROWS)
        place = ((pixel // w) * row_stride + (pixel % w) * pixel_stride)[:, None] + channels[None, :]
        real = (pixel < end)[:, None] & (channels < c)[None, :]
        total += tl.load(x + place, mask=real, other=0.0).to(tl.float32)
    row = sums + (split * n + image) * c + channels
    tl.store(row, tl.sum(total, axis=0), mask=channels < c)


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


@triton.jit
def linear_kernel(
    partials,  # float32 (splits, n, k): the input, as sums still to be added
    input_bias,  # float32 (k,) or None
    weight,  # (m, k), any float dtype
    bias,  # float32 (m,) or None
    y,  # float32 (m / output_rows, n, output_rows)
    n,
    m,
    output_rows,  # m, or the rows of each of several stacked results
    splits,
    divisor,  # of the input's sums
    k: tl.constexpr,
    RELU: tl.constexpr,  # of the input
    SPLITS: tl.constexpr,  # sums added at once, a power of two
    ROWS: tl.constexpr,  # outputs of a program
    INPUTS: tl.constexpr,  # inputs read at once
):
    """Grid: n * row tiles. y = weight @ relu(sum(partials) / divisor + input_bias) + bias."""
    row_tiles = tl.cdiv(m, ROWS)
    program = tl.program_id(0)
    image = program // row_tiles
    row = program % row_tiles * ROWS + tl.arange(0, ROWS)
    total = tl.zeros((ROWS, INPUTS), tl.float32)
    for start in range(0, k, INPUTS):
        lane = start + tl.arange(0, INPUTS)
        value = tl.zeros((INPUTS,), tl.float32)
        for first in range(0, splits, SPLITS):
            split = first + tl.arange(0, SPLITS)
            real = (split < splits)[:, None] & (lane < k)[None, :]
            rows = partials + ((split * n + image) * k)[:, None] + lane[None, :]
            value += tl.sum(tl.load(rows, mask=real, other=0.0), axis=0)
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
    place = (row // output_rows * n + image) * output_rows + row % output_rows
    tl.store(y + place, result, mask=row < m)
