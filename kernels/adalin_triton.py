"""The two-stage schedule of `ugatit::adalin` (formula at the top of adalin.py): `statistics_kernel`, then
`apply_kernel`, which combines, normalises, activates, adds and stores with the border.

Traffic: x read twice, residual once, y written once. Arguments are pointers, int32 and compile-time constants, and no
kernel uses hidden scratch memory, so that these can be compiled ahead of time into other engines. adalin_launch.py
launches them.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl

from ugatit_fast.kernels.statistics_triton import affine, combined_channels
from ugatit_fast.kernels.tiles_triton import is_border, pixel_offset, rectified, source_of_padded


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
    ZERO: tl.constexpr = False,  # whether the border is zeros
    SLOPE: tl.constexpr = 0.0,  # of the ReLU below zero
    EPS_OUTSIDE: tl.constexpr = False,
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
        c, UNBIASED, EPS, PARTIAL_CHANNELS, PAIRS, EPS_OUTSIDE,
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
            value = rectified(value, SLOPE)
        if residual is not None:
            place = (i * residual_row + j * residual_pixel)[:, None] + channels[None, :]
            value += tl.load(residual + place, mask=real, other=0.0).to(tl.float32)
        if ZERO:
            value = tl.where(is_border(padded_pixel, h, w, PAD)[:, None], 0.0, value)
        place = padded_pixel[:, None] * c + channels[None, :]
        tl.store(y + place, value.to(y.dtype.element_ty), mask=real)
