"""What stays out of half precision, and what autocast would needlessly widen."""

import torch
import torch.nn.functional as F
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """Half precision -> float32; wider dtypes as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def bordered(x: Tensor, pad: int, pad_mode: str = "reflect") -> Tensor:
    """x with a border, in x's dtype: on the CPU autocast would pad, and so keep, a float32 copy."""
    with torch.autocast(x.device.type, enabled=False):
        return F.pad(x, (pad, pad, pad, pad), mode=pad_mode)
