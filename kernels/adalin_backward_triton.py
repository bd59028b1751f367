"""The Triton kernels of `ugatit::adalin_backward` (formulas beside its reference in adalin.py).

    statistics_kernel      reads x                           those of the forward pass, made again instead of kept
    gradient_sums_kernel   reads x and grad                  sum(g) and sum(g d) of every channel, per split
    coefficients_kernel    reads and writes (n, c) tables    all of grad_x's channel terms, gradients of gamma and rho
    gradient_kernel        reads x and grad, writes grad_x   grad_x = per_g g + per_d d + constant

g is the incoming gradient where the ReLU let something pass, d = x - mean. The border's gradient is gathered while
reading: a pixel that the border repeats adds up what came back from every place it appeared at. All sums are float32
and combined in a fixed order.
"""

# ruff: noqa: ANN001, ANN201, N803, N806 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.statistics_triton import affine, combined_channels, combined_layer
from ugatit_fast.kernels.tiles_triton import place_in_border


@triton.jit
def load_unpadded(
    grad,  # the padded image: (h + 2 PAD, w + 2 PAD, c)
    pixel,  # (ROWS,) flat indices in the image
    channels,
    real,  # (ROWS, CHANNELS) mask
    h,
    w,
    c: tl.constexpr,
    PAD: tl.constexpr,  # at most 1 where the border replicates
    REFLECT: tl.constexpr,
):
    """float32 (ROWS, CHANNELS): a pixel's gradient, summed over the places where the padded image shows it."""
    SIDES: tl.constexpr = 3 if PAD else 1
    i, j = pixel // w, pixel % w
    total = tl.zeros(real.shape, tl.float32)
    for above in tl.static_range(SIDES):
        row, row_exists = place_in_border(i, h, above, PAD, REFLECT)
        for beside in tl.static_range(SIDES):
            column, column_exists = place_in_border(j, w, beside, PAD, REFLECT)
            place = ((row * (w + 2 * PAD) + column) * c)[:, None] + channels[None, :]
            here = real & (row_exists & column_exists)[:, None]
            total += tl.load(grad + place, mask=here, other=0.0).to(tl.float32)
    return total


@triton.jit
def gradient_sums_kernel(
    grad,  # (n, h + 2 PAD, w + 2 PAD, c)
    x,  # (n, h, w, c)
    gamma,  # float32 (n, c), (1, c) or None
    beta,  # float32 (n, c), (1, c) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    channel_partials,  # as the statistics kernel left them
    layer_partials,
    sums,  # float32 (n, splits, 2, c): sum(g), sum(g d)
    gamma_stride,
    beta_stride,
    h,
    w,
    split_pixels,
    splits,
    c: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,
    SPLITS: tl.constexpr,
    PAIRS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * splits * channel tiles; splits and their size are those of the statistics."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    pixels = h * w
    program = tl.program_id(0)
    channel_tile, split = program % channel_tiles, program // channel_tiles % splits
    image = (program // (channel_tiles * splits)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * pixels * c
    grad += image * (h + 2 * PAD) * (w + 2 * PAD) * c
    channel_partials += image * splits * (2 * c)
    mean, square = combined_channels(channel_partials, channels, pixels, split_pixels, splits, c, SPLITS)
    if RELU:
        if layer_partials is not None:
            layer_partials += image * splits * (2 * ((c + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS))
        if gamma is not None:
            gamma += image * gamma_stride
        if beta is not None:
            beta += image * beta_stride
        a, b = affine(
            channels, mean, square, layer_partials, gamma, beta, rho, bias, pixels, split_pixels, splits,
            c, UNBIASED, EPS, PARTIAL_CHANNELS, PAIRS,
        )  # fmt: skip

    sum_g = tl.zeros((ROWS, CHANNELS), tl.float32)
    sum_gd = tl.zeros((ROWS, CHANNELS), tl.float32)
    first = split * split_pixels
    end = tl.minimum(first + split_pixels, pixels)
    for start in range(first, end, ROWS):
        pixel = start + tl.arange(0, ROWS)
        real = (pixel < end)[:, None] & (channels < c)[None, :]
        g = load_unpadded(grad, pixel, channels, real, h, w, c, PAD, REFLECT)
        place = pixel[:, None] * c + channels[None, :]
        d = tl.load(x + place, mask=real, other=0.0).to(tl.float32) - mean[None, :]
        if RELU:
            g = tl.where(a[None, :] * d + b[None, :] > 0, g, 0.0)
        sum_g += g
        sum_gd += g * d
    row = sums + (image * splits + split) * (2 * c) + channels
    tl.store(row, tl.sum(sum_g, axis=0), mask=channels < c)
    tl.store(row + c, tl.sum(sum_gd, axis=0), mask=channels < c)


@triton.jit
def coefficients_kernel(
    gamma,  # float32 (n, c), (1, c) or None
    beta,  # float32 (n, c), (1, c) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    channel_partials,
    layer_partials,
    sums,  # float32 (n, splits, 2, c), as gradient_sums_kernel left them
    coefficients,  # float32 (n, 6, c): mean, a, b, per_g, per_d, constant
    grad_gamma,  # float32 (n, c)
    grad_beta,  # float32 (n, c)
    grad_rho,  # float32 (n, c), to be summed over images; untouched without a rho
    gamma_stride,
    beta_stride,
    pixels,
    split_pixels,
    splits,
    c: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,
    SPLITS: tl.constexpr,
    PAIRS: tl.constexpr,
    CHANNELS: tl.constexpr,  # power of two, at least c
):
    """Grid: n, each with all channels of an image."""
    image = tl.program_id(0).to(tl.int64)
    channels = tl.arange(0, CHANNELS)
    real = channels < c
    channel_partials += image * splits * (2 * c)
    if layer_partials is not None:
        layer_partials += image * splits * (2 * ((c + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS))
    if gamma is not None:
        gamma += image * gamma_stride
    if beta is not None:
        beta += image * beta_stride
    mean, square = combined_channels(channel_partials, channels, pixels, split_pixels, splits, c, SPLITS)
    a, b = affine(
        channels, mean, square, layer_partials, gamma, beta, rho, bias, pixels, split_pixels, splits,
        c, UNBIASED, EPS, PARTIAL_CHANNELS, PAIRS,
    )  # fmt: skip
    split = tl.arange(0, SPLITS)
    rows = sums + (image * splits + split[:, None]) * (2 * c) + channels[None, :]
    real_rows = (split < splits)[:, None] & real[None, :]
    sum_g = tl.sum(tl.load(rows, mask=real_rows, other=0.0), axis=0)
    sum_gd = tl.sum(tl.load(rows + c, mask=real_rows, other=0.0), axis=0)

    count = pixels * 1.0
    per_square = 1.0 / (count - UNBIASED)
    deviation = tl.rsqrt(square * per_square + EPS)
    scale = tl.full((CHANNELS,), 1.0, tl.float32)
    if gamma is not None:
        scale = tl.load(gamma + channels, mask=real, other=0.0)
    mix = tl.full((CHANNELS,), 1.0, tl.float32)
    layer_deviation, constant, layer_gl, offset = 0.0, 0.0, 0.0, tl.zeros((CHANNELS,), tl.float32)
    sum_gl = sum_gd
    if rho is not None:
        mix = tl.load(rho + channels, mask=real, other=0.0)
        layer_mean, layer_square = combined_layer(
            layer_partials, pixels, split_pixels, splits, c, PARTIAL_CHANNELS, PAIRS
        )
        offset = mean - layer_mean
        if bias is not None:
            offset += tl.load(bias + channels, mask=real, other=0.0)
        sum_gl = sum_gd + offset * sum_g
        per_layer_square = 1.0 / (count * c - UNBIASED)
        layer_deviation = tl.rsqrt(layer_square * per_layer_square + EPS)
        of_layer = tl.where(real, scale * (1 - mix), 0.0)
        cubed = layer_deviation * layer_deviation * layer_deviation
        layer_gl = tl.sum(of_layer * sum_gl) * cubed * per_layer_square
        constant = -layer_deviation * tl.sum(of_layer * sum_g) / (count * c)
    of_instance = scale * mix * deviation
    per_g = of_instance + scale * (1 - mix) * layer_deviation
    per_d = -of_instance * deviation * deviation * per_square * sum_gd - layer_gl
    constant = constant - of_instance * sum_g / count - layer_gl * offset

    row = coefficients + image * (6 * c) + channels
    tl.store(row, mean, mask=real)
    tl.store(row + c, a, mask=real)
    tl.store(row + 2 * c, b, mask=real)
    tl.store(row + 3 * c, per_g, mask=real)
    tl.store(row + 4 * c, per_d, mask=real)
    tl.store(row + 5 * c, constant, mask=real)
    place = image * c + channels
    of_instance, of_layer = deviation * sum_gd, layer_deviation * sum_gl
    tl.store(grad_gamma + place, mix * of_instance + (1 - mix) * of_layer, mask=real)
    tl.store(grad_beta + place, sum_g, mask=real)
    if rho is not None:
        tl.store(grad_rho + place, scale * (of_instance - of_layer), mask=real)


@triton.jit
def gradient_kernel(
    grad,  # (n, h + 2 PAD, w + 2 PAD, c)
    x,  # (n, h, w, c)
    coefficients,  # float32 (n, 6, c): mean, a, b, per_g, per_d, constant
    grad_x,  # (n, h, w, c)
    grad_residual,  # (n, h, w, c) or None
    h,
    w,
    tile_pixels,  # pixels of a program, a multiple of ROWS
    c: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * tiles * channel tiles."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    pixels = h * w
    tiles = tl.cdiv(pixels, tile_pixels)
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * pixels * c
    grad_x += image * pixels * c
    grad += image * (h + 2 * PAD) * (w + 2 * PAD) * c
    if grad_residual is not None:
        grad_residual += image * pixels * c
    row = coefficients + image * (6 * c) + channels
    mean = tl.load(row, mask=channels < c, other=0.0)[None, :]
    a = tl.load(row + c, mask=channels < c, other=0.0)[None, :]
    b = tl.load(row + 2 * c, mask=channels < c, other=0.0)[None, :]
    per_g = tl.load(row + 3 * c, mask=channels < c, other=0.0)[None, :]
    per_d = tl.load(row + 4 * c, mask=channels < c, other=0.0)[None, :]
    constant = tl.load(row + 5 * c, mask=channels < c, other=0.0)[None, :]
    first = tile * tile_pixels
    end = tl.minimum(first + tile_pixels, pixels)
    for start in range(first, end, ROWS):
        pixel = start + tl.arange(0, ROWS)
        real = (pixel < end)[:, None] & (channels < c)[None, :]
        g = load_unpadded(grad, pixel, channels, real, h, w, c, PAD, REFLECT)
        place = pixel[:, None] * c + channels[None, :]
        if grad_residual is not None:
            tl.store(grad_residual + place, g.to(grad_residual.dtype.element_ty), mask=real)
        d = tl.load(x + place, mask=real, other=0.0).to(tl.float32) - mean
        if RELU:
            g = tl.where(a * d + b > 0, g, 0.0)
        tl.store(grad_x + place, (per_g * g + per_d * d + constant).to(grad_x.dtype.element_ty), mask=real)
