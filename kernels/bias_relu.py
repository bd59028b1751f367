"""What follows the attention's 1x1 convolution: y = pad(relu(x + bias)). One read, one write."""

import torch
from torch import Tensor

from ugatit_fast.kernels.checks import check_activation, check_pad, check_parameter
from ugatit_fast.kernels.launch import memory_format_of
from ugatit_fast.kernels.padding import pad_reference


def bias_relu_reference(x: Tensor, bias: Tensor, pad: int, pad_mode: str) -> Tensor:
    """The meaning of `bias_relu`, in plain PyTorch."""
    return pad_reference(torch.relu(x + bias[:, None, None]).to(x.dtype), pad, pad_mode)


def check_bias_relu(x: Tensor, bias: Tensor, pad: int, pad_mode: str) -> None:
    """ValueError where an argument of `bias_relu` doesn't fit."""
    check_activation("bias_relu", "x", x)
    check_parameter("bias_relu", "bias", bias, [(x.shape[1],)], x)
    check_pad("bias_relu", pad, pad_mode, x.shape[2], x.shape[3])


@torch.library.custom_op("ugatit::bias_relu", mutates_args=())
def bias_relu(x: Tensor, bias: Tensor, pad: int, pad_mode: str) -> Tensor:
    """x (n, c, h, w) float32, float16 or bfloat16; bias float32 (c,), added in float32.

    Returns (n, c, h + 2 pad, w + 2 pad) in x's dtype and memory format. Raises ValueError where something doesn't fit.
    """
    check_bias_relu(x, bias, pad, pad_mode)
    return bias_relu_reference(x, bias, pad, pad_mode).contiguous(memory_format=memory_format_of(x))


@bias_relu.register_kernel("cuda")
def _(x: Tensor, bias: Tensor, pad: int, pad_mode: str) -> Tensor:
    from ugatit_fast.kernels.pointwise_launch import bias_relu_on_gpu

    check_bias_relu(x, bias, pad, pad_mode)
    run = bias_relu_reference if x.dtype == torch.float64 else bias_relu_on_gpu
    return run(x, bias, pad, pad_mode).contiguous(memory_format=memory_format_of(x))


@bias_relu.register_fake
def _(x: Tensor, bias: Tensor, pad: int, pad_mode: str) -> Tensor:
    n, c, h, w = x.shape
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format_of(x))
