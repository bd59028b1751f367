"""Both ends of the network: pictures in, pictures out.

    normalise_image   x[c, i, j] = image[i, j, c] / 127.5 - 1, with a border               uint8 NHWC -> float NCHW
    rows_to_image     image[i, j, c] = round(127.5 * (tanh(sum_r rows[3 r + c, i + r, j] + bias[c]) + 1))

The second finishes the last 7x7 convolution in its row form (rewrite 7 in docs/design.md): `rows` are the results of a
1x7 convolution that computes the contribution of each of the seven kernel rows apart. Rounding is half to even.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.kernels.checks import check_activation, check_pad, check_parameter
from ugatit_fast.kernels.padding import pad_reference

COLOURS = 3


def unit_range(image: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 (n, h, w, 3) -> `dtype` (n, 3, h, w) in [-1, 1], in the order of memory that it came in."""
    return (image.permute(0, 3, 1, 2).to(torch.promote_types(dtype, torch.float32)) / 127.5 - 1).to(dtype)


def normalise_image_reference(
    image: Tensor, pad: int, dtype: torch.dtype, channels: int, pad_mode: str = "reflect"
) -> Tensor:
    """The meaning of `normalise_image`, in plain PyTorch."""
    x = pad_reference(unit_range(image, torch.promote_types(dtype, torch.float32)), pad, pad_mode).to(dtype)
    return F.pad(x, (0, 0, 0, 0, 0, channels - COLOURS)).contiguous(memory_format=torch.channels_last)


def check_image(image: Tensor, pad: int, channels: int, pad_mode: str) -> None:
    """ValueError where an argument of `normalise_image` doesn't fit."""
    if image.dtype != torch.uint8 or image.dim() != 4 or image.shape[3] != COLOURS:
        raise ValueError(f"normalise_image: image must be uint8 (n, h, w, 3), got {image.dtype} {tuple(image.shape)}")
    check_pad("normalise_image", pad, pad_mode, image.shape[1], image.shape[2])
    if channels < COLOURS:
        raise ValueError(f"normalise_image: channels must be at least {COLOURS}, got {channels}")


@torch.library.custom_op("ugatit::normalise_image", mutates_args=())
def normalise_image(
    image: Tensor, pad: int, dtype: torch.dtype, channels: int = COLOURS, pad_mode: str = "reflect"
) -> Tensor:
    """uint8 (n, h, w, 3) RGB -> `dtype` (n, channels, h + 2 pad, w + 2 pad) in [-1, 1], channels-last, with a border.

    channels: those after the colours are zero. Raises ValueError for another dtype or rank, fewer channels than
    colours, or a border that doesn't fit.
    """
    check_image(image, pad, channels, pad_mode)
    return normalise_image_reference(image, pad, dtype, channels, pad_mode)


@normalise_image.register_kernel("cuda")
def _(image: Tensor, pad: int, dtype: torch.dtype, channels: int = COLOURS, pad_mode: str = "reflect") -> Tensor:
    from ugatit_fast.kernels.pointwise_launch import normalise_image_on_gpu

    check_image(image, pad, channels, pad_mode)
    run = normalise_image_reference if dtype == torch.float64 else normalise_image_on_gpu
    return run(image, pad, dtype, channels, pad_mode)


@normalise_image.register_fake
def _(image: Tensor, pad: int, dtype: torch.dtype, channels: int = COLOURS, pad_mode: str = "reflect") -> Tensor:
    n, h, w, _ = image.shape
    shape = (n, channels, h + 2 * pad, w + 2 * pad)
    return torch.empty(shape, dtype=dtype, device=image.device, memory_format=torch.channels_last)


def sum_of_rows(rows: Tensor, bias: Tensor | None, kernel_rows: int) -> Tensor:
    """rows (n, channels, h + k - 1, w) -> float32 (n, 3, h, w): triples of k rows, shifted by those, and summed."""
    h = rows.shape[2] - kernel_rows + 1
    rows = rows if rows.dtype == torch.float64 else rows.float()
    total = rows[:, :COLOURS, :h]
    for r in range(1, kernel_rows):
        total = total + rows[:, COLOURS * r : COLOURS * (r + 1), r : r + h]
    return total if bias is None else total + bias[:, None, None]


def image_of(x: Tensor) -> Tensor:
    """float (n, 3, h, w) in [-1, 1] -> uint8 (n, h, w, 3), rounded half to even."""
    x = x if x.dtype == torch.float64 else x.float()
    return (x + 1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def check_rows(rows: Tensor, bias: Tensor | None, kernel_rows: int) -> None:
    """ValueError where an argument of `rows_to_image` doesn't fit."""
    check_activation("rows_to_image", "rows", rows)
    check_parameter("rows_to_image", "bias", bias, [(COLOURS,)], rows)
    if kernel_rows < 1 or rows.shape[1] < COLOURS * kernel_rows or rows.shape[2] < kernel_rows:
        raise ValueError(
            f"rows_to_image: rows must be (n, at least 3 k, h + k - 1, w) with k = {kernel_rows}, "
            f"got {tuple(rows.shape)}"
        )


@torch.library.custom_op("ugatit::rows_to_image", mutates_args=())
def rows_to_image(rows: Tensor, bias: Tensor | None = None, kernel_rows: int = 7) -> Tensor:
    """Finish the last convolution: sum the kernel rows, tanh, uint8.

    rows: float (n, channels, h + kernel_rows - 1, w), channel 3 r + c the contribution of kernel row r to colour c;
        what comes after those is not looked at.
    bias: float32 (3,) or None.
    Returns uint8 (n, h, w, 3) RGB. Raises ValueError where a shape or dtype doesn't fit.
    """
    check_rows(rows, bias, kernel_rows)
    return image_of(torch.tanh(sum_of_rows(rows, bias, kernel_rows)))


@rows_to_image.register_kernel("cuda")
def _(rows: Tensor, bias: Tensor | None = None, kernel_rows: int = 7) -> Tensor:
    from ugatit_fast.kernels.pointwise_launch import rows_to_image_on_gpu

    check_rows(rows, bias, kernel_rows)
    if rows.dtype == torch.float64:
        return image_of(torch.tanh(sum_of_rows(rows, bias, kernel_rows)))
    return rows_to_image_on_gpu(rows, bias, kernel_rows)


@rows_to_image.register_fake
def _(rows: Tensor, bias: Tensor | None = None, kernel_rows: int = 7) -> Tensor:
    n, _, h, w = rows.shape
    return rows.new_empty(n, h - kernel_rows + 1, w, COLOURS, dtype=torch.uint8)
