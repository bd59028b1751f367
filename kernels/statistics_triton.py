"""Statistics of an image, split over programs and put together again: the first half of every normalisation kernel.

A split is a run of pixels. Partial statistics are float32 (n, splits, 2, c), mean and summed squared deviation of a
channel over a split, and (n, splits, channel tiles, 2), the same of all channels of a tile together. They are combined
by Chan's rule, mean first and then deviations around it, in one order whatever program is fastest: results are bitwise
reproducible. No float atomics. Every mean is corrected by the mean of the deviations from it, which is what rounding
left: where the mean is a thousand times the spread, that shows in the third digit.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.tiles_triton import pixel_offset, real_channels


@triton.jit
def load_channels(
    parameter,  # float32 (images or 1, c), or None
    offset,  # of the image's row
    channels,  # (CHANNELS,) indices
    c: tl.constexpr,
):
    """The parameter of some channels, (CHANNELS,), or None where there is none."""
    values = None
    if parameter is not None:
        real = real_channels(channels, c)
        values = tl.load(parameter + offset + channels, mask=real, other=0.0)
    return values


@triton.jit
def publish_statistics(
    mean,  # (CHANNELS,) of x over the pixels of a split
    square,  # (CHANNELS,) sum of squared deviations from it
    count,  # pixels in the split, float32
    bias,  # (CHANNELS,) of the convolution, or None
    channel_partials,  # float32 (splits, 2, c) of the image
    layer_partials,  # float32 (splits, channel tiles, 2) of the image, or None
    split,
    channel_tile,
    c: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Store what a (split, channel tile) adds to the statistics of its image."""
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    real = real_channels(channels, c)
    row = channel_partials + split * 2 * c + channels
    tl.store(row, mean, mask=real)
    tl.store(row + c, square, mask=real)
    if layer_partials is not None:
        if bias is not None:
            mean += bias
        width = CHANNELS * 1.0
        if c % CHANNELS:
            width = tl.minimum(c - channel_tile * CHANNELS, CHANNELS).to(tl.float32)
        layer_mean = tl.sum(tl.where(real, mean, 0.0)) / width
        apart = tl.where(real, mean - layer_mean, 0.0)
        layer_mean += tl.sum(apart) / width
        layer_square = tl.sum(tl.where(real, square + count * apart * apart, 0.0))
        pair = layer_partials + (split * tl.cdiv(c, CHANNELS) + channel_tile) * 2
        tl.store(pair, layer_mean)
        tl.store(pair + 1, layer_square)


@triton.jit
def add_both(a, b, c, d):
    """Two sums in one reduction, which meet at the same barriers."""
    return a + c, b + d


@triton.jit
def load_channel_partials(
    channel_partials,  # float32 (splits, 2, c) of the image
    channels,  # (CHANNELS,) indices
    splits,
    c: tl.constexpr,
    SPLITS: tl.constexpr,  # power of two, at least splits
):
    """Means and summed squares, (SPLITS, CHANNELS) each, 0 outside."""
    split = tl.arange(0, SPLITS)
    real = (split < splits)[:, None] & real_channels(channels, c)[None, :]
    rows = channel_partials + split[:, None] * (2 * c) + channels[None, :]
    # From L2: another multiprocessor may have written them during this launch.
    means = tl.load(rows, mask=real, other=0.0, cache_modifier=".cg")
    return means, tl.load(rows + c, mask=real, other=0.0, cache_modifier=".cg")


@triton.jit
def run_counts(
    split,  # a vector of splits, which are runs of pixels
    pixels,  # of the image
    split_pixels,  # of every split but the last
    splits,
):
    """Pixels of each split, float32, 0 beyond the last."""
    count = tl.minimum(pixels - split * split_pixels, split_pixels).to(tl.float32)
    return tl.where(split < splits, count, 0.0)


@triton.jit
def combine_channels(
    means,  # (SPLITS, CHANNELS) each, as from `load_channel_partials`
    squares,
    count,  # (SPLITS,) pixels of each split, float32
    pixels,  # of all splits
    TOGETHER: tl.constexpr,  # whether both last sums take one reduction: fewer barriers, more registers
):
    """(mean, summed squared deviation) of x over the image, per channel."""
    count = count[:, None]
    mean = tl.sum(count * means, axis=0) / pixels
    apart = means - mean[None, :]
    if TOGETHER:
        rest, square = tl.reduce((count * apart, squares + count * apart * apart), 0, add_both)
    else:
        rest, square = tl.sum(count * apart, axis=0), tl.sum(squares + count * apart * apart, axis=0)
    return mean + rest / pixels, square


@triton.jit
def combined_channels(
    channel_partials,  # as in `load_channel_partials`
    channels,
    pixels,  # as in `run_counts`
    split_pixels,
    splits,
    c: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """(mean, summed squared deviation) of x over the image, per channel."""
    means, squares = load_channel_partials(channel_partials, channels, splits, c, SPLITS)
    count = run_counts(tl.arange(0, SPLITS), pixels, split_pixels, splits)
    return combine_channels(means, squares, count, pixels, False)


@triton.jit
def load_layer_partials(
    layer_partials,  # float32 (splits, channel tiles, 2) of the image
    splits,
    CHANNEL_TILES: tl.constexpr,
    PAIRS: tl.constexpr,  # power of two, at least splits * channel tiles
):
    """Means and summed squares, (PAIRS,) each, 0 outside."""
    pair = tl.arange(0, PAIRS)
    real = pair < splits * CHANNEL_TILES
    means = tl.load(layer_partials + pair * 2, mask=real, other=0.0, cache_modifier=".cg")
    return means, tl.load(layer_partials + pair * 2 + 1, mask=real, other=0.0, cache_modifier=".cg")


@triton.jit
def tile_width(
    channel_tile,  # a vector
    c: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,  # channels of every channel tile but the last
):
    """Channels of each channel tile, float32."""
    return tl.minimum(c - channel_tile * PARTIAL_CHANNELS, PARTIAL_CHANNELS).to(tl.float32)


@triton.jit
def combine_layer(
    means,  # (PAIRS,) each, as from `load_layer_partials`
    squares,
    count,  # (PAIRS,) elements of each, float32
    elements,  # of all together
):
    """(mean, summed squared deviation) of x + bias over the whole image."""
    mean = tl.sum(count * means) / elements
    apart = means - mean
    rest = tl.sum(count * apart)
    return mean + rest / elements, tl.sum(squares + count * apart * apart)


@triton.jit
def combined_layer(
    layer_partials,  # as in `load_layer_partials`
    pixels,  # as in `run_counts`
    split_pixels,
    splits,
    c: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,
    PAIRS: tl.constexpr,
):
    """(mean, summed squared deviation) of x + bias over the whole image."""
    channel_tiles: tl.constexpr = (c + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS
    means, squares = load_layer_partials(layer_partials, splits, channel_tiles, PAIRS)
    pair = tl.arange(0, PAIRS)
    count = run_counts(pair // channel_tiles, pixels, split_pixels, splits)
    count *= tile_width(pair % channel_tiles, c, PARTIAL_CHANNELS)
    return combine_layer(means, squares, count, pixels * 1.0 * c)


@triton.jit
def inverse_deviation(
    variance,
    EPS: tl.constexpr,
    EPS_OUTSIDE: tl.constexpr,
):
    """s of adalin.py."""
    return 1.0 / (tl.sqrt(variance) + EPS) if EPS_OUTSIDE else tl.rsqrt(variance + EPS)


@triton.jit
def affine(
    channels,  # (CHANNELS,) indices
    mean,  # (CHANNELS,) of x, without bias
    square,  # (CHANNELS,) summed squared deviation
    layer_partials,  # as in `combined_layer`; used where there is a rho
    gamma,  # float32, of the image: (c,) or None
    beta,  # float32, of the image: (c,) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    pixels,
    split_pixels,
    splits,
    c: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,
    PAIRS: tl.constexpr,
    EPS_OUTSIDE: tl.constexpr = False,
):
    """a and b of y = a * (x - mean) + b, per channel: `affine_of` for what is still in memory."""
    layer_mean, layer_square = None, None
    if rho is not None:
        layer_mean, layer_square = combined_layer(
            layer_partials, pixels, split_pixels, splits, c, PARTIAL_CHANNELS, PAIRS
        )
    return affine_of(
        mean, square, layer_mean, layer_square, load_channels(gamma, 0, channels, c),
        load_channels(beta, 0, channels, c), load_channels(rho, 0, channels, c), load_channels(bias, 0, channels, c),
        pixels, c, UNBIASED, EPS, EPS_OUTSIDE,
    )  # fmt: skip


@triton.jit
def affine_of(
    mean,  # (CHANNELS,) of x, without bias
    square,  # (CHANNELS,) summed squared deviation
    layer_mean,  # of x + bias over the whole image, and its summed squared deviation; used where there is a rho
    layer_square,
    gamma,  # (CHANNELS,) or None, as the others
    beta,
    rho,
    bias,
    pixels,
    c: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    EPS_OUTSIDE: tl.constexpr = False,  # whether EPS is added to deviations, not to variances
):
    """a and b of y = a * (x - mean) + b, per channel: the formula at the top of adalin.py."""
    count = pixels * 1.0
    a = inverse_deviation(square / (count - UNBIASED), EPS, EPS_OUTSIDE)
    b = tl.zeros_like(a)
    if rho is not None:
        if bias is not None:
            mean += bias
        layer_part = (1 - rho) * inverse_deviation(layer_square / (count * c - UNBIASED), EPS, EPS_OUTSIDE)
        a = rho * a + layer_part
        b = layer_part * (mean - layer_mean)
    if gamma is not None:
        a *= gamma
        b *= gamma
    if beta is not None:
        b += beta
    return a, b


@triton.jit
def statistics_kernel(
    x,  # (n, h, w, c), or its phases
    bias,  # float32 (c,) or None
    channel_partials,  # float32 (n, splits, 2, c)
    layer_partials,  # float32 (n, splits, channel tiles, 2), or None where there is no rho
    image_elements,  # elements of x from one image to the next
    pixels,  # h * w
    w,
    split_pixels,  # pixels of a split, a multiple of ROWS
    splits,
    c: tl.constexpr,
    PHASES: tl.constexpr,
    ROWS: tl.constexpr,  # pixels read at once
    CHANNELS: tl.constexpr,  # channels of a program
):
    """Grid: n * splits * channel tiles. Welford's recurrence in every lane."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    program = tl.program_id(0)
    channel_tile, split = program % channel_tiles, program // channel_tiles % splits
    image = (program // (channel_tiles * splits)).to(tl.int64)
    x += image * image_elements
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    lane = tl.arange(0, ROWS)
    mean = tl.zeros((ROWS, CHANNELS), tl.float32)
    square = tl.zeros((ROWS, CHANNELS), tl.float32)
    seen = tl.zeros((ROWS,), tl.float32)
    first = split * split_pixels
    end = tl.minimum(first + split_pixels, pixels)
    # Counted from the split's first pixel, so that a large mean takes no digits from the recurrence.
    origin = tl.load(x + pixel_offset(first, w, c, PHASES) + channels, mask=channels < c, other=0.0).to(tl.float32)
    for start in range(first, end, ROWS):
        pixel = start + lane
        inside = pixel < end
        real = inside[:, None] & (channels < c)[None, :]
        place = pixel_offset(pixel, w, c, PHASES)[:, None] + channels[None, :]
        value = tl.load(x + place, mask=real, other=0.0).to(tl.float32) - origin[None, :]
        seen += tl.where(inside, 1.0, 0.0)
        delta = tl.where(real, value - mean, 0.0)
        mean += delta / tl.maximum(seen, 1.0)[:, None]
        square += delta * tl.where(real, value - mean, 0.0)
    count = (end - first).to(tl.float32)
    split_mean = tl.sum(mean * seen[:, None], axis=0) / count
    apart = mean - split_mean[None, :]
    split_square = tl.sum(square + seen[:, None] * apart * apart, axis=0)
    channel_partials += image * splits * (2 * c)
    if layer_partials is not None:
        layer_partials += image * splits * (2 * channel_tiles)
    publish_statistics(
        origin + split_mean,
        split_square,
        count,
        load_channels(bias, 0, channels, c),
        channel_partials,
        layer_partials,
        split,
        channel_tile,
        c,
        CHANNELS,
    )
