"""What the operations ask of their tensors, in words a caller can act on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ugatit_fast.kernels.padding import PAD_MODES

ACTIVATION_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_activation(
    op: str, name: str, x: Tensor, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> None:
    """x must be (n, c, h, w) with at least one channel and pixel, a float; of `dtype` and on `device` where given."""
    if x.dim() != 4:
        raise ValueError(f"{op}: {name} must be (n, c, h, w), got shape {tuple(x.shape)}")
    if min(x.shape[1:]) < 1:
        raise ValueError(f"{op}: {name} needs at least one channel and one pixel, got shape {tuple(x.shape)}")
    if x.dtype not in ACTIVATION_DTYPES or (dtype is not None and x.dtype != dtype):
        wanted = dtype or "float32, float16 or bfloat16"
        raise ValueError(f"{op}: {name} must be {wanted}, got {x.dtype}")
    if device is not None and x.device != device:
        raise ValueError(f"{op}: {name} is on {x.device}, x on {device}; move one of them")


def check_parameter(op: str, name: str, parameter: Tensor | None, shapes: Sequence[tuple[int, ...]], x: Tensor) -> None:
    """A float32 parameter (float64 beside a float64 x) of one of `shapes`, on x's device."""
    if parameter is None:
        return
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    if tuple(parameter.shape) not in shapes:
        wanted = " or ".join(str(shape) for shape in shapes)
        raise ValueError(f"{op}: {name} must have shape {wanted}, got {tuple(parameter.shape)}")
    if parameter.dtype != dtype:
        raise ValueError(f"{op}: {name} must be {dtype}, got {parameter.dtype}")
    if parameter.device != x.device:
        raise ValueError(f"{op}: {name} is on {parameter.device}, x on {x.device}; move one of them")


def check_pad(op: str, pad: int, pad_mode: str, h: int, w: int) -> None:
    """A border that exists: a known mode, not negative, and for reflection smaller than the image."""
    if pad_mode not in PAD_MODES:
        raise ValueError(f"{op}: pad_mode must be one of {', '.join(PAD_MODES)}, got {pad_mode!r}")
    if pad < 0 or (pad_mode == "reflect" and pad >= min(h, w)):
        raise ValueError(f"{op}: a {pad_mode} border of {pad} pixels does not fit an image of {h}x{w}")
