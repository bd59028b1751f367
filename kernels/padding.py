"""Borders that a convolution expects around its input, and their adjoint.

The normalisations store straight into the padded buffer of the convolution that follows (rewrite 4 in docs/design.md),
so every operation that feeds a convolution takes a `pad` (pixels on each side) and a `pad_mode`.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

PadMode = Literal["reflect", "replicate", "zero"]
PAD_MODES: tuple[str, ...] = get_args(PadMode)
PYTORCH_MODES = {"zero": "constant"}
"""Those that PyTorch calls otherwise."""


def pad_reference(x: Tensor, pad: int, pad_mode: str) -> Tensor:
    """x (n, c, h, w) -> (n, c, h + 2 pad, w + 2 pad), any float dtype; x itself where pad is 0.

    On the CPU autocast pads in float32, and would leave it so.
    """
    return F.pad(x, (pad, pad, pad, pad), mode=PYTORCH_MODES.get(pad_mode, pad_mode)).to(x.dtype) if pad else x


def unpad_adjoint(grad: Tensor, x: Tensor, pad: int, pad_mode: str) -> Tensor:
    """The gradient of `pad_reference`'s input, like x, from that of its result: what the border showed comes back."""
    if not pad:
        return grad
    aten = torch.ops.aten
    backward = aten.reflection_pad2d_backward if pad_mode == "reflect" else aten.replication_pad2d_backward
    result: Tensor = backward(grad, x, [pad] * 4)
    return result


def interior(x: Tensor, pad: int) -> Tensor:
    """The image inside a padded buffer: a view (n, c, h - 2 pad, w - 2 pad)."""
    return x[:, :, pad : x.shape[2] - pad, pad : x.shape[3] - pad] if pad else x
