"""What follows a convolution that no normalisation does: y = pad(relu(x + bias) + residual). One read, one write.

The attention's 1x1 convolution is one; and, in architectures beside U-GAT-IT, every one whose norm is folded into it.
"""

import torch
from torch import Tensor

from ugatit_fast.kernels.activation import rectified
from ugatit_fast.kernels.checks import check_activation, check_pad, check_parameter
from ugatit_fast.kernels.launch import memory_format_of
from ugatit_fast.kernels.padding import pad_reference


def bias_relu_reference(
    x: Tensor, bias: Tensor, pad: int, pad_mode: str, slope: float = 0.0, residual: Tensor | None = None
) -> Tensor:
    """The meaning of `bias_relu`, in plain PyTorch."""
    y = rectified(x + bias[:, None, None], slope)
    return pad_reference((y if residual is None else y + residual).to(x.dtype), pad, pad_mode)


def check_bias_relu(x: Tensor, bias: Tensor, pad: int, pad_mode: str, residual: Tensor | None) -> None:
    """ValueError where an argument of `bias_relu` doesn't fit."""
    check_activation("bias_relu", "x", x)
    check_parameter("bias_relu", "bias", bias, [(x.shape[1],)], x)
    if residual is not None:
        check_activation("bias_relu", "residual", residual, x.dtype, x.device)
        if residual.shape != x.shape:
            raise ValueError(f"bias_relu: residual must be like x {tuple(x.shape)}, got {tuple(residual.shape)}")
    check_pad("bias_relu", pad, pad_mode, x.shape[2], x.shape[3])


@torch.library.custom_op("ugatit::bias_relu", mutates_args=())
def bias_relu(
    x: Tensor, bias: Tensor, pad: int, pad_mode: str, slope: float = 0.0, residual: Tensor | None = None
) -> Tensor:
    """x (n, c, h, w) float32, float16 or bfloat16; bias float32 (c,), added in float32.

    slope: of the ReLU below zero: a LeakyReLU's, or 1 for none. residual: like x, added afterwards; any strides.
    Returns (n, c, h + 2 pad, w + 2 pad) in x's dtype and memory format. Raises ValueError where something doesn't fit.
    """
    check_bias_relu(x, bias, pad, pad_mode, residual)
    y = bias_relu_reference(x, bias, pad, pad_mode, slope, residual)
    return y.contiguous(memory_format=memory_format_of(x))


@bias_relu.register_kernel("cuda")
def _(x: Tensor, bias: Tensor, pad: int, pad_mode: str, slope: float = 0.0, residual: Tensor | None = None) -> Tensor:
    from ugatit_fast.kernels.pointwise_launch import bias_relu_on_gpu

    check_bias_relu(x, bias, pad, pad_mode, residual)
    run = bias_relu_reference if x.dtype == torch.float64 else bias_relu_on_gpu
    return run(x, bias, pad, pad_mode, slope, residual).contiguous(memory_format=memory_format_of(x))


@bias_relu.register_fake
def _(x: Tensor, bias: Tensor, pad: int, pad_mode: str, slope: float = 0.0, residual: Tensor | None = None) -> Tensor:
    n, c, h, w = x.shape
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format_of(x))
