"""Where each pixel of an up-sampled image lies among its four phases: shapes, checks and the plain meaning."""

import torch
from torch import Tensor

from ugatit_fast.kernels.launch import memory_format_of


def check_phases(op: str, phases: Tensor) -> None:
    """ValueError where the channels aren't a multiple of four or the image is smaller than 2x2."""
    _, channels, h, w = phases.shape
    if channels % 4 or h < 2 or w < 2:
        raise ValueError(f"{op}: phases must be (n, 4 k, h + 1, w + 1), got {tuple(phases.shape)}")


def image_shape(x: Tensor, phases: bool) -> tuple[int, int, int, int]:
    """n, c, h, w of x, or of the image that its phases make."""
    n, c, h, w = x.shape
    return (n, c // 4, 2 * (h - 1), 2 * (w - 1)) if phases else (n, c, h, w)


def interleaved(phases: Tensor) -> Tensor:
    """The meaning of `interleave_phases`, in plain PyTorch."""
    n, k, h, w = image_shape(phases, True)
    y = torch.empty((n, k, h, w), dtype=phases.dtype, device=phases.device, memory_format=memory_format_of(phases))
    for a in (0, 1):
        for b in (0, 1):
            phase = phases[:, (2 * a + b) * k :][:, :k]
            y[:, :, a::2, b::2] = phase[:, :, a : a + h // 2, b : b + w // 2]
    return y
