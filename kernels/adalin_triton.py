"""The Triton kernels of `ugatit::adalin`: two schedules for one formula (at the top of adalin.py).

    two-stage  `statistics_kernel`, then `apply_kernel`: combine, normalise, ReLU, add, store with the border.
               Traffic: x read twice, residual once, y written once.
    resident   `resident_kernel`: the image stays in registers between its statistics and its store.
               Traffic: x read once, residual once, y written once. For 256x64x64 float16: 2 + 2.1 MiB.

Arguments are pointers, int32 and compile-time constants, and no kernel uses hidden scratch memory, so that the
two-stage kernels can be compiled ahead of time into other engines. adalin_launch.py launches them.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.statistics_triton import affine, combined_channels, publish_statistics
from ugatit_fast.kernels.tiles_triton import pixel_offset, place_in_border, source_of_padded


@triton.jit
def apply_kernel(
    x,  # (n, h, w, c), or its phases
    gamma,  # float32 (n, c), (1, c) or None
    beta,  # float32 (n, c), (1, c) or None
    rho,  # float32 (c,) or None
    bias,  # float32 (c,) or None
    residual,  # (n, h, w, c), strided, or None
    channel_partials,  # float32 (n, splits, 2, c)
    layer_partials,  # float32 (n, splits, channel tiles, 2), or None where there is no rho
    y,  # (n, h + 2 PAD, w + 2 PAD, c)
    image_elements,  # elements of x from one image to the next
    gamma_stride,  # elements from one image's gamma to the next: c or 0
    beta_stride,
    residual_image,  # elements of residual from one image, row and pixel to the next
    residual_row,
    residual_pixel,
    h,
    w,
    split_pixels,
    splits,
    tile_pixels,  # padded pixels of a program, a multiple of ROWS
    c: tl.constexpr,
    PHASES: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    PARTIAL_CHANNELS: tl.constexpr,  # CHANNELS of the statistics kernel
    SPLITS: tl.constexpr,  # power of two, at least splits
    PAIRS: tl.constexpr,  # power of two, at least splits * the statistics kernel's channel tiles
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * padded tiles * channel tiles. A program gathers: every padded pixel knows which pixel it shows."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    pixels = h * w
    padded_pixels = (h + 2 * PAD) * (w + 2 * PAD)
    tiles = tl.cdiv(padded_pixels, tile_pixels)
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    x += image * image_elements
    y += image * padded_pixels * c
    channel_partials += image * splits * (2 * c)
    if layer_partials is not None:
        layer_partials += image * splits * (2 * ((c + PARTIAL_CHANNELS - 1) // PARTIAL_CHANNELS))
    if gamma is not None:
        gamma += image * gamma_stride
    if beta is not None:
        beta += image * beta_stride
    if residual is not None:
        residual += image * residual_image

    mean, square = combined_channels(channel_partials, channels, pixels, split_pixels, splits, c, SPLITS)
    a, b = affine(
        channels, mean, square, layer_partials, gamma, beta, rho, bias, pixels, split_pixels, splits,
        c, UNBIASED, EPS, PARTIAL_CHANNELS, PAIRS,
    )  # fmt: skip
    first = tile * tile_pixels
    end = tl.minimum(first + tile_pixels, padded_pixels)
    for start in range(first, end, ROWS):
        padded_pixel = start + tl.arange(0, ROWS)
        real = (padded_pixel < end)[:, None] & (channels < c)[None, :]
        i, j = source_of_padded(padded_pixel, h, w, PAD, REFLECT)
        place = pixel_offset(i * w + j, w, c, PHASES)[:, None] + channels[None, :]
        value = tl.load(x + place, mask=real, other=0.0).to(tl.float32)
        value = a[None, :] * (value - mean[None, :]) + b[None, :]
        if RELU:
            value = tl.maximum(value, 0.0)
        if residual is not None:
            place = (i * residual_row + j * residual_pixel)[:, None] + channels[None, :]
            value += tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
        place = padded_pixel[:, None] * c + channels[None, :]
        tl.store(y + place, value.to(y.dtype.element_ty), mask=real)


@triton.jit
def load_tile(
    x,  # the image: (h, w, c), or its phases
    split,
    channel_tile,
    pixels,
    w,
    c: tl.constexpr,
    PHASES: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """(ROWS, CHANNELS) of x in its dtype, 0 outside."""
    pixel = split * ROWS + tl.arange(0, ROWS)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    place = pixel_offset(pixel, w, c, PHASES)[:, None] + channels[None, :]
    return tl.load(x + place, mask=(pixel < pixels)[:, None] & (channels < c)[None, :], other=0.0)


@triton.jit
def publish_tile(
    tile,  # (ROWS, CHANNELS) as from `load_tile`
    bias,
    channel_partials,
    layer_partials,
    split,
    channel_tile,
    pixels,
    c: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Statistics of a tile in registers: the mean first, then deviations from it."""
    inside = split * ROWS + tl.arange(0, ROWS) < pixels
    count = tl.minimum(pixels - split * ROWS, ROWS).to(tl.float32)
    mean = tl.sum(tile.to(tl.float32), axis=0) / count
    apart = tl.where(inside[:, None], tile.to(tl.float32) - mean[None, :], 0.0)
    square = tl.sum(apart * apart, axis=0)
    mean += tl.sum(apart, axis=0) / count  # what rounding left
    publish_statistics(mean, square, count, bias, channel_partials, layer_partials, split, channel_tile, c, CHANNELS)


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
    counters,  # int32 (2 + n,), zero before and after: tickets, departures, arrivals of each image
    y,  # (n, h + 2 PAD, w + 2 PAD, c)
    n,
    image_elements,  # elements of x from one image to the next
    gamma_stride,  # elements from one image's gamma to the next: c or 0
    beta_stride,
    residual_image,  # elements of residual from one image, row and pixel to the next
    residual_row,
    residual_pixel,
    h,
    w,
    splits,  # cdiv(h * w, ROWS)
    patience,  # polls of the barrier before a program computes what is missing itself
    c: tl.constexpr,
    PHASES: tl.constexpr,
    RELU: tl.constexpr,
    PAD: tl.constexpr,  # at most 1 where the border replicates
    REFLECT: tl.constexpr,
    UNBIASED: tl.constexpr,
    EPS: tl.constexpr,
    SPLITS: tl.constexpr,  # power of two, at least splits
    PAIRS: tl.constexpr,  # power of two, at least splits * channel tiles
    ROWS: tl.constexpr,  # pixels of a split
    CHANNELS: tl.constexpr,
):
    """Grid: n * splits * channel tiles, each with one tile of one image, kept in registers across the image's barrier.

    A program takes its tile by the ticket it draws, so the tiles of an image go to programs that started together, and
    an image waits for none that starts later than its own. Should something else hold the processors that its last
    tiles need (kernels on other streams, waiting likewise), nobody waits for ever: who has lost patience publishes
    every tile itself. The values are the same to the last bit, so it doesn't matter who wrote them.
    """
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    pixels = h * w
    image_tiles = splits * channel_tiles
    ticket = tl.atomic_add(counters, 1, sem="relaxed")
    tile = ticket % image_tiles
    split, channel_tile = tile // channel_tiles, tile % channel_tiles
    image = (ticket // image_tiles).to(tl.int64)
    x += image * image_elements
    y += image * (h + 2 * PAD) * (w + 2 * PAD) * c
    channel_partials += image * splits * (2 * c)
    if layer_partials is not None:
        layer_partials += image * splits * (2 * channel_tiles)
    if gamma is not None:
        gamma += image * gamma_stride
    if beta is not None:
        beta += image * beta_stride
    if residual is not None:
        residual += image * residual_image

    held = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
    publish_tile(held, bias, channel_partials, layer_partials, split, channel_tile, pixels, c, ROWS, CHANNELS)

    # The barrier. All threads have published before one of them announces it.
    tl.debug_barrier()
    arrivals = counters + 2 + image
    arrived = tl.atomic_add(arrivals, 1, sem="acq_rel") + 1
    polls = 0
    while (arrived < image_tiles) & (polls < patience):
        arrived = tl.atomic_add(arrivals, 0, sem="acquire")
        polls += 1
    if arrived < image_tiles:
        for other in range(image_tiles):
            other_split, other_tile = other // channel_tiles, other % channel_tiles
            missing = load_tile(x, other_split, other_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
            publish_tile(
                missing, bias, channel_partials, layer_partials, other_split, other_tile, pixels, c, ROWS, CHANNELS
            )
        tl.debug_barrier()
        # Read again, so that the two tiles never need registers at once.
        held = load_tile(x, split, channel_tile, pixels, w, c, PHASES, ROWS, CHANNELS)
    departed = tl.atomic_add(counters + 1, 1, sem="acq_rel") + 1

    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    mean, square = combined_channels(channel_partials, channels, pixels, ROWS, splits, c, SPLITS)
    a, b = affine(
        channels, mean, square, layer_partials, gamma, beta, rho, bias, pixels, ROWS, splits,
        c, UNBIASED, EPS, CHANNELS, PAIRS,
    )  # fmt: skip
    pixel = split * ROWS + tl.arange(0, ROWS)
    i, j = pixel // w, pixel % w
    real = (pixel < pixels)[:, None] & (channels < c)[None, :]
    value = a[None, :] * (held.to(tl.float32) - mean[None, :]) + b[None, :]
    if RELU:
        value = tl.maximum(value, 0.0)
    if residual is not None:
        place = (i * residual_row + j * residual_pixel)[:, None] + channels[None, :]
        value += tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
    last_pixel = tl.minimum(split * ROWS + ROWS, pixels) - 1
    touches_top, touches_bottom = (split * ROWS) // w <= PAD, last_pixel // w >= h - 1 - PAD
    value = value.to(y.dtype.element_ty)
    store_with_border(y, value, i, j, channels, real, touches_top, touches_bottom, h, w, c, PAD, REFLECT)

    if departed == n * image_tiles:  # the last of the launch: everyone has passed every barrier
        for start in range(0, n + 2, 128):
            counter = start + tl.arange(0, 128)
            tl.store(counters + counter, tl.zeros((128,), tl.int32), mask=counter < n + 2)


@triton.jit
def store_row(
    y,  # the padded image: (h + 2 PAD, w + 2 PAD, c)
    value,  # (ROWS, CHANNELS)
    i,  # (ROWS,) coordinates in the image
    j,
    channels,
    real,  # mask of value
    h,
    w,
    c: tl.constexpr,
    SIDE: tl.constexpr,  # where vertically, as in `place_in_border`
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
):
    """Store a tile wherever it appears in one vertical part of the padded image: within, and on both sides."""
    row, row_exists = place_in_border(i, h, SIDE, PAD, REFLECT)
    for beside in tl.static_range(3 if PAD else 1):
        column, column_exists = place_in_border(j, w, beside, PAD, REFLECT)
        place = ((row * (w + 2 * PAD) + column) * c)[:, None] + channels[None, :]
        tl.store(y + place, value, mask=real & (row_exists & column_exists)[:, None])


@triton.jit
def store_with_border(
    y,
    value,
    i,
    j,
    channels,
    real,
    touches_top,  # whether a pixel of the tile can appear above the image
    touches_bottom,  # or below it
    h,
    w,
    c: tl.constexpr,
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
):
    """Scatter: store a tile to its place and to wherever the border repeats it."""
    store_row(y, value, i, j, channels, real, h, w, c, 0, PAD, REFLECT)
    if PAD:
        if touches_top:
            store_row(y, value, i, j, channels, real, h, w, c, 1, PAD, REFLECT)
        if touches_bottom:
            store_row(y, value, i, j, channels, real, h, w, c, 2, PAD, REFLECT)
