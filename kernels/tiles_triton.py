"""Where pixels lie: index arithmetic that the Triton kernels share.

Every activation is channels-last: pixel (i, j) of an h x w image with c channels is the c elements from (i w + j) c on.
A pixel is named by its flat index i w + j. Offsets inside an image fit int32, since launchers refuse tensors of 2^31
elements; whole images are stepped over in int64.
"""

# ruff: noqa: ANN001, ANN201, N803 (a kernel's arguments have no Python types; compile-time ones are capitals)

import triton
import triton.language as tl


@triton.jit
def below(
    index,  # a vector
    size,
    RAGGED: tl.constexpr,  # whether an index may be too large
):
    """index < size. Where nothing is ragged it is plainly true, and the compiler leaves the mask out."""
    return index < size if RAGGED else tl.full(index.shape, True, tl.int1)


@triton.jit
def real_channels(
    channels,  # (CHANNELS,) indices from a multiple of CHANNELS on
    c: tl.constexpr,
):
    """channels < c, as `below`."""
    size: tl.constexpr = channels.shape[0]
    left_over: tl.constexpr = (size * 0 + c) % size  # the interpreter's c is an int, and has no % with a constexpr
    return below(channels, c, left_over != 0)


@triton.jit
def pixel_offset(
    pixel,  # flat index in the image
    w,  # width of the image
    c: tl.constexpr,  # channels of the image
    PHASES: tl.constexpr,  # the image lies as four phases, see ugatit_fast/kernels/phases.py
):
    """Elements from the image's first to the pixel's first channel."""
    if PHASES:
        i, j = pixel // w, pixel % w
        a, b = i & 1, j & 1
        row, column = (i >> 1) + a, (j >> 1) + b
        offset = ((row * (w // 2 + 1) + column) * 4 + 2 * a + b) * c
    else:
        offset = pixel * c
    return offset


@triton.jit
def source_of_border(
    i,  # coordinate that may lie outside [0, size)
    size,  # height or width of the image
    REFLECT: tl.constexpr,  # reflect without repeating the edge, else replicate the edge
):
    """The coordinate inside the image whose pixel the border shows at i. A border of zeros is a replicated one whose
    values are not stored.
    """
    last = size - 1
    return last - tl.abs(last - tl.abs(i)) if REFLECT else tl.minimum(tl.maximum(i, 0), last)


@triton.jit
def place_in_border(
    i,  # coordinate inside the image
    size,  # height or width of the image
    SIDE: tl.constexpr,  # 0: the image itself, 1: the border before it, 2: the border after it
    PAD: tl.constexpr,  # width of the border; 1 where it replicates
    REFLECT: tl.constexpr,
):
    """(where in the padded image i appears on that side, whether it does): `source_of_border` undone."""
    if SIDE == 0:
        place, exists = i + PAD, i >= 0
    elif SIDE == 1:
        if REFLECT:
            place, exists = PAD - i, (i >= 1) & (i <= PAD)
        else:
            place, exists = i, i == 0
    elif REFLECT:
        place, exists = 2 * (size - 1) - i + PAD, (i >= size - 1 - PAD) & (i <= size - 2)
    else:
        place, exists = i + 2, i == size - 1
    return place, exists


@triton.jit
def source_of_padded(
    padded_pixel,  # flat index in the padded image
    h,
    w,  # height and width of the image without its border
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
):
    """(i, j) of the pixel inside the image that the padded image shows there."""
    padded_w = w + 2 * PAD
    i = source_of_border(padded_pixel // padded_w - PAD, h, REFLECT)
    j = source_of_border(padded_pixel % padded_w - PAD, w, REFLECT)
    return i, j


@triton.jit
def is_border(
    padded_pixel,  # flat index in the padded image
    h,
    w,  # height and width of the image without its border
    PAD: tl.constexpr,
):
    """Whether it lies outside the image."""
    padded_w = w + 2 * PAD
    i, j = padded_pixel // padded_w - PAD, padded_pixel % padded_w - PAD
    return (i < 0) | (i >= h) | (j < 0) | (j >= w)


@triton.jit
def rectified(
    value,
    SLOPE: tl.constexpr,  # below zero: 0 for a ReLU
):
    """LeakyReLU."""
    return tl.where(value > 0, value, SLOPE * value) if SLOPE != 0.0 else tl.maximum(value, 0.0)


@triton.jit
def store_row(
    y,  # the padded image: (h + 2 PAD, w + 2 PAD, c)
    value,  # (ROWS, CHANNELS)
    i,  # (ROWS,) coordinates in the image
    j,
    channels,
    real,  # mask of value
    h: tl.constexpr,
    w: tl.constexpr,
    c: tl.constexpr,
    SIDE: tl.constexpr,  # where vertically, as in `place_in_border`
    PAD: tl.constexpr,
    REFLECT: tl.constexpr,
    ZERO: tl.constexpr,
):
    """Store a tile wherever it appears in one vertical part of the padded image: within, and on both sides."""
    row, row_exists = place_in_border(i, h, SIDE, PAD, REFLECT)
    for side in tl.static_range(3 if PAD else 1):
        column, column_exists = place_in_border(j, w, side, PAD, REFLECT)
        place = ((row * (w + 2 * PAD) + column) * c)[:, None] + channels[None, :]
        shown = tl.zeros_like(value) if ZERO and (SIDE or side) else value
        tl.store(y + place, shown, mask=real & (row_exists & column_exists)[:, None])
