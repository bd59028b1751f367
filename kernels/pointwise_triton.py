"""The Triton kernels that only move pixels: both ends of the network, the attention's epilogue, and interleaving.

Each reads its input once and writes its result once. All are grids of flat tiles of the result, which gather.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.tiles_triton import is_border, pixel_offset, rectified, source_of_padded


@triton.jit
def bias_relu_kernel(
    x,  # (n, h, w, c)
    bias,  # float32 (c,)
    residual,  # (n, h, w, c), strided, or None
    y,  # (n, h + 2 PAD, w + 2 PAD, c)
    residual_image,  # elements of residual from one image, row and pixel to the next
    residual_row,
    residual_pixel,
    h,
    w,
    c: tl.constexpr,
    SLOPE: tl.constexpr,  # of the ReLU below zero: 1 for none
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    ZERO: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * tiles of ROWS padded pixels * channel tiles."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    padded_pixels = (h + 2 * PAD) * (w + 2 * PAD)
    tiles = tl.cdiv(padded_pixels, ROWS)
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    padded_pixel = tile * ROWS + tl.arange(0, ROWS)
    real = (padded_pixel < padded_pixels)[:, None] & (channels < c)[None, :]
    i, j = source_of_padded(padded_pixel, h, w, PAD, REFLECT)
    place = ((i * w + j) * c)[:, None] + channels[None, :]
    value = tl.load(x + image * h * w * c + place, mask=real, other=0.0).to(tl.float32)
    value = rectified(value + tl.load(bias + channels, mask=channels < c, other=0.0)[None, :], SLOPE)
    if residual is not None:
        place = (i * residual_row + j * residual_pixel)[:, None] + channels[None, :]
        value += tl.load(residual + image * residual_image + place, mask=real, other=0.0).to(tl.float32)
    if ZERO:
        value = tl.where(is_border(padded_pixel, h, w, PAD)[:, None], 0.0, value)
    place = padded_pixel[:, None] * c + channels[None, :]
    tl.store(y + image * padded_pixels * c + place, value.to(y.dtype.element_ty), mask=real)


@triton.jit
def interleave_kernel(
    phases,  # (n, h / 2 + 1, w / 2 + 1, 4 c)
    y,  # (n, h, w, c)
    image_elements,  # elements of phases from one image to the next
    h,
    w,
    c: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Grid: n * tiles of ROWS pixels * channel tiles."""
    channel_tiles: tl.constexpr = (c + CHANNELS - 1) // CHANNELS
    pixels = h * w
    tiles = tl.cdiv(pixels, ROWS)
    program = tl.program_id(0)
    channel_tile, tile = program % channel_tiles, program // channel_tiles % tiles
    image = (program // (channel_tiles * tiles)).to(tl.int64)
    channels = channel_tile * CHANNELS + tl.arange(0, CHANNELS)
    pixel = tile * ROWS + tl.arange(0, ROWS)
    real = (pixel < pixels)[:, None] & (channels < c)[None, :]
    place = pixel_offset(pixel, w, c, True)[:, None] + channels[None, :]
    value = tl.load(phases + image * image_elements + place, mask=real, other=0.0)
    tl.store(y + image * pixels * c + pixel[:, None] * c + channels[None, :], value, mask=real)


@triton.jit
def normalise_image_kernel(
    image,  # uint8 (n, h, w, 3)
    x,  # (n, h + 2 PAD, w + 2 PAD, CHANNELS)
    h,
    w,
    CHANNELS: tl.constexpr,  # 3 colours, and zeros
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    ZERO: tl.constexpr,
    BLOCK: tl.constexpr,  # elements of a program
):
    """Grid: n * tiles of BLOCK elements. Reads byte by byte, but only 192 KiB of a 256x256 image."""
    elements = (h + 2 * PAD) * (w + 2 * PAD) * CHANNELS
    tiles = tl.cdiv(elements, BLOCK)
    program = tl.program_id(0)
    n = (program // tiles).to(tl.int64)
    element = program % tiles * BLOCK + tl.arange(0, BLOCK)
    padded_pixel, colour = element // CHANNELS, element % CHANNELS
    i, j = source_of_padded(padded_pixel, h, w, PAD, REFLECT)
    seen = (element < elements) & (colour < 3)
    value = tl.load(image + n * h * w * 3 + (i * w + j) * 3 + colour, mask=seen, other=0)
    value = tl.where(colour < 3, value.to(tl.float32) / 127.5 - 1.0, 0.0)
    if ZERO:
        value = tl.where(is_border(padded_pixel, h, w, PAD), 0.0, value)
    tl.store(x + n * elements + element, value.to(x.dtype.element_ty), mask=element < elements)


@triton.jit
def rows_to_image_kernel(
    rows,  # (n, h + KERNEL_ROWS - 1, w, CHANNELS)
    bias,  # float32 (3,) or None
    image,  # uint8 (n, h, w, 3)
    image_elements,  # h * w * 3
    h,
    w,
    CHANNELS: tl.constexpr,  # at least 3 KERNEL_ROWS
    KERNEL_ROWS: tl.constexpr,
    BLOCK: tl.constexpr,  # elements of a program
):
    """Grid: n * tiles of BLOCK elements. Every triple of `rows` goes into one pixel, so is read once."""
    tiles = tl.cdiv(image_elements, BLOCK)
    program = tl.program_id(0)
    n = (program // tiles).to(tl.int64)
    rows += n * (h + KERNEL_ROWS - 1) * w * CHANNELS
    element = program % tiles * BLOCK + tl.arange(0, BLOCK)
    real = element < image_elements
    pixel, colour = element // 3, element % 3
    total = tl.zeros((BLOCK,), tl.float32)
    for r in tl.static_range(KERNEL_ROWS):
        place = (pixel + r * w) * CHANNELS + 3 * r + colour
        total += tl.load(rows + place, mask=real, other=0.0).to(tl.float32)
    if bias is not None:
        total += tl.load(bias + colour)
    tanh = 2.0 * tl.sigmoid(2.0 * total) - 1.0
    # Adding and taking away 1.5 * 2^23 leaves a float32 no bits for a fraction: it rounds half to even.
    level = ((tanh + 1.0) * 127.5 + 12582912.0) - 12582912.0
    tl.store(image + n * image_elements + element, level.to(tl.uint8), mask=real)
