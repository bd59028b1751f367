"""Convolutions with settings of our own, whatever the program around us has set for PyTorch.

The settings are handed to each convolution. Setting PyTorch's instead, as `torch.backends.cudnn.flags` does, would
change them for every thread of the program; and it raises where the program has chosen a precision by PyTorch's new
names (`torch.backends.fp32_precision`, `torch.backends.cudnn.conv.fp32_precision`), since it reads the old ones.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class OurConvolutions(TorchFunctionMode):
    """Inside, on this thread, cuDNN searches for its fastest algorithms once a shape, and float32 is float32 (no TF32).

    Only `torch.use_deterministic_algorithms` is still the program's to say.
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        ours: Callable[..., object] = convolution if func is F.conv2d else func
        return ours(*args, **(kwargs or {}))


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1) -> Tensor:
    """`F.conv2d` of x (n, c, h, w), which has its border, as the folded network calls it."""
    convolved: Tensor = torch.ops.aten._convolution(
        x,
        weight,
        bias,
        [stride, stride],
        [0, 0],
        [1, 1],
        transposed=False,
        output_padding=[0, 0],
        groups=groups,
        benchmark=True,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        cudnn_enabled=True,
        allow_tf32=False,
    )
    return convolved
