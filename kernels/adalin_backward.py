"""The gradients of AdaLIN and its family; notation as at the top of adalin.py.

With g the incoming gradient at the affine map (its border folded back, masked by the ReLU), d = x - m_c and
offset = m_c - m:

    grad_beta  = sum(g)
    grad_gamma = rho s_c sum(g d) + (1 - rho) s sum(g (d + offset))
    grad_rho   = gamma (s_c sum(g d) - s sum(g (d + offset)))
    grad_x     = per_g g + per_d d + constant         per_g = gamma (rho s_c + (1 - rho) s)

where everything that the means and variances add is a sum of sum(g) and sum(g d) per channel, weighted; so after the
statistics two passes over x and grad suffice.

Traffic on a GPU: x read three times, grad twice, grad_x (and that of residual) written once.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.kernels.affine import channel_affine
from ugatit_fast.kernels.launch import memory_format_of
from ugatit_fast.kernels.padding import unpad_adjoint

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Of x, gamma, beta, rho and residual; see `adalin_backward`."""


@dataclass(frozen=True)
class BackwardCall:
    """The arguments of `adalin_backward`, where they are described."""

    grad: Tensor
    x: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    residual: bool
    relu: bool
    pad: int
    pad_mode: str
    unbiased: bool
    eps: float


def adalin_backward_reference(call: BackwardCall) -> Gradients:
    """The meaning of `adalin_backward`, in plain PyTorch."""
    x, gamma, rho, bias = call.x, call.gamma, call.rho, call.bias
    grad_y = unpad_adjoint(call.grad, x, call.pad, call.pad_mode)
    work = torch.float64 if x.dtype == torch.float64 else torch.float32
    z, g = x.to(work), grad_y.to(work)
    n, c, pixels = x.shape[0], x.shape[1], x.shape[2] * x.shape[3]
    mean_x, a, b = channel_affine(x, gamma, call.beta, rho, bias, call.unbiased, call.eps)
    d = z - mean_x[:, :, None, None]
    if call.relu:
        g = g * (a[:, :, None, None] * d + b[:, :, None, None] > 0)

    mean_c = mean_x if bias is None else mean_x + bias
    offset = mean_c - mean_c.mean(dim=1, keepdim=True)
    square_d = d.square().sum(dim=(2, 3))
    var = (square_d / pixels + offset.square()).mean(dim=1, keepdim=True)
    k_c = 1 / (pixels - 1 if call.unbiased else pixels)
    k = 1 / (c * pixels - 1 if call.unbiased else c * pixels)
    s_c = torch.rsqrt(square_d * k_c + call.eps)
    s = torch.rsqrt(var * (c * pixels * k) + call.eps)

    mix = torch.ones(c, dtype=work, device=x.device) if rho is None else rho.to(work)
    scale = torch.ones_like(mean_x) if gamma is None else gamma.to(work).expand(n, c)
    sum_g = g.sum(dim=(2, 3))
    sum_gd = (g * d).sum(dim=(2, 3))
    sum_gl = sum_gd + offset * sum_g
    grad_gamma = mix * s_c * sum_gd + (1 - mix) * s * sum_gl
    of_mix = scale * (s_c * sum_gd - s * sum_gl)
    grad_rho = torch.zeros_like(mix) if rho is None else of_mix.sum(dim=0)

    of_instance, of_layer = scale * mix, scale * (1 - mix)
    layer_g = (of_layer * sum_g).sum(dim=1, keepdim=True) / (c * pixels)
    layer_gl = (of_layer * sum_gl).sum(dim=1, keepdim=True) * s.pow(3) * k
    per_g = of_instance * s_c + of_layer * s
    per_d = -of_instance * s_c.pow(3) * k_c * sum_gd - layer_gl
    constant = -of_instance * s_c * sum_g / pixels - s * layer_g - layer_gl * offset
    grad_x = per_g[:, :, None, None] * g + per_d[:, :, None, None] * d + constant[:, :, None, None]
    grad_residual = grad_y.to(x.dtype, copy=True) if call.residual else x.new_empty(0)
    return grad_x.to(x.dtype), grad_gamma, sum_g, grad_rho, grad_residual


@torch.library.custom_op("ugatit::adalin_backward", mutates_args=())
def adalin_backward(
    grad: Tensor,
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    rho: Tensor | None,
    bias: Tensor | None,
    residual: bool,
    relu: bool,
    pad: int,
    pad_mode: str,
    unbiased: bool,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `ugatit::adalin` for the gradient `grad` of its result; the other arguments are those of the forward
    call.

    residual: whether there was one, and its gradient is wanted. Returns those of x (x's dtype and memory format), of
    gamma and beta (float32 (n, c), to be summed over images where they were shared), of rho (float32 (c,); without one
    0) and of residual (like x; without one empty). That of bias is the sum of x's over images and pixels.
    """
    call = BackwardCall(grad, x, gamma, beta, rho, bias, residual, relu, pad, pad_mode, unbiased, eps)
    return in_format_of(x, adalin_backward_reference(call))


@adalin_backward.register_kernel("cuda")
def _(*arguments: Any, **options: Any) -> Gradients:
    from ugatit_fast.kernels.adalin_backward_launch import adalin_backward_on_gpu
    from ugatit_fast.kernels.adalin_launch import Normalised

    call = BackwardCall(*arguments, **options)
    if call.x.dtype == torch.float64:
        return in_format_of(call.x, adalin_backward_reference(call))
    inputs = Normalised(call.x, call.gamma, call.beta, call.rho, call.bias, call.unbiased, call.eps)
    gradients = adalin_backward_on_gpu(call.grad, inputs, call.residual, call.relu, call.pad, call.pad_mode)
    return in_format_of(call.x, gradients)


@adalin_backward.register_fake
def _(*arguments: Any, **options: Any) -> Gradients:
    call = BackwardCall(*arguments, **options)
    x = call.x
    n, c, _, _ = x.shape
    table = x.new_empty(n, c, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
    image = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=memory_format_of(x))
    grad_residual = torch.empty_like(image) if call.residual else x.new_empty(0)
    return image, table, torch.empty_like(table), table.new_empty(c), grad_residual


def in_format_of(x: Tensor, gradients: Gradients) -> Gradients:
    """The gradients, those like x in its memory format; an empty one of residual as it is."""
    grad_x, grad_gamma, grad_beta, grad_rho, grad_residual = gradients
    return like(x, grad_x), grad_gamma, grad_beta, grad_rho, like(x, grad_residual)


def like(x: Tensor, gradient: Tensor) -> Tensor:
    """A gradient of x's shape in x's memory format; an empty one as it is."""
    return gradient.contiguous(memory_format=memory_format_of(x)) if gradient.dim() == 4 else gradient
