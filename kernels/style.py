"""gamma and beta of every AdaLIN from the attended features (paper, section 3.1.2): two hidden layers, two heads.

    hidden1 = relu(first @ features + bias1)     features: pooled (light) or the whole map, flattened c, h, w (full)
    hidden2 = relu(second @ hidden1 + bias2)
    gamma, beta = heads @ hidden2 + bias3

The full generator's `first` is 96 % of its weights (268 M of 279 M at 256x256). It may be float16; products accumulate
in float32. A call reads every weight once for up to 16 images: 537 MB.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ugatit_fast.kernels.checks import check_activation, check_parameter


@dataclass(frozen=True)
class StyleCall:
    """The arguments of `style`, where they are described, with its defaults: PyTorch leaves out what equals them."""

    x: Tensor
    first: Tensor
    second: Tensor
    heads: Tensor
    bias1: Tensor | None = None
    bias2: Tensor | None = None
    bias3: Tensor | None = None


def style_reference(call: StyleCall) -> Tensor:
    """The meaning of `style`, in plain PyTorch."""
    x, first, second = call.x, call.first, call.second
    n, c, _, _ = x.shape
    work = second.dtype
    with torch.autocast(x.device.type, enabled=False):  # its sums are too long for half precision
        features = x.to(work).mean(dim=(2, 3)) if first.shape[1] == c else x.to(work).flatten(1)
        hidden = torch.relu(F.linear(features, first.to(work), call.bias1))
        hidden = torch.relu(F.linear(hidden, second, call.bias2))
        both = F.linear(hidden, call.heads, call.bias3)
    return both.view(n, 2, c).transpose(0, 1).contiguous()


def check_style(call: StyleCall) -> None:
    """ValueError where an argument of `style` doesn't fit."""
    x, first = call.x, call.first
    check_activation("style", "x", x)
    _, c, h, w = x.shape
    if tuple(first.shape) not in ((c, c), (c, c * h * w)):
        raise ValueError(
            f"style: first must be ({c}, {c}) for a light generator or ({c}, {c * h * w}) for a full one at this size, "
            f"got {tuple(first.shape)}"
        )
    if first.dtype not in (x.dtype, torch.float32) or first.device != x.device:
        raise ValueError(
            f"style: first must be float32 or like x, {x.dtype} on {x.device}, got {first.dtype} on {first.device}"
        )
    check_parameter("style", "second", call.second, [(c, c)], x)
    check_parameter("style", "heads", call.heads, [(2 * c, c)], x)
    check_parameter("style", "bias1", call.bias1, [(c,)], x)
    check_parameter("style", "bias2", call.bias2, [(c,)], x)
    check_parameter("style", "bias3", call.bias3, [(2 * c,)], x)


@torch.library.custom_op("ugatit::style", mutates_args=())
def style(
    x: Tensor,
    first: Tensor,
    second: Tensor,
    heads: Tensor,
    bias1: Tensor | None = None,
    bias2: Tensor | None = None,
    bias3: Tensor | None = None,
) -> Tensor:
    """x (n, c, h, w), any strides; first (c, c) light or (c, c h w) full, x's dtype or float32; the rest float32.

    second (c, c); heads (2 c, c), gamma's rows first; bias1, bias2 (c,); bias3 (2 c,). Returns gamma and beta stacked,
    float32 (2, n, c). Raises ValueError where a shape, dtype or device doesn't fit.
    """
    call = StyleCall(x, first, second, heads, bias1, bias2, bias3)
    check_style(call)
    return style_reference(call)


@style.register_kernel("cuda")
def _(*arguments: Any, **options: Any) -> Tensor:
    from ugatit_fast.kernels.style_launch import style_on_gpu

    call = StyleCall(*arguments, **options)
    check_style(call)
    if call.x.dtype == torch.float64:
        return style_reference(call)
    return style_on_gpu(call.x, call.first, call.second, call.heads, call.bias1, call.bias2, call.bias3)


@style.register_fake
def _(*arguments: Any, **options: Any) -> Tensor:
    call = StyleCall(*arguments, **options)
    return call.second.new_empty(2, call.x.shape[0], call.x.shape[1])
