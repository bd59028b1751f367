"""AdaLIN and its family: instance norm, adaptive layer-instance norm and ILN, with everything that follows them.

    m_c, v_c   mean and variance of a channel of x + bias        s_c = 1 / sqrt(v_c + eps)
    m,   v     mean and variance of the whole layer of x + bias  s   = 1 / sqrt(v + eps), or 1 / (sqrt(v) + eps)

    a = gamma * (rho * s_c + (1 - rho) * s)
    b = beta + gamma * (1 - rho) * s * (m_c - m)
    y = pad(relu(a * (x + bias - m_c) + b) + residual)       relu(t) = max(t, slope * t), slope 0 unless given

which is gamma * (rho * IN(x) + (1 - rho) * LN(x)) + beta (U-GAT-IT, arXiv 1907.10830, equation 1) written as one
multiply-add per element. `bias` is that of the convolution before, where a checkpoint has one. The layer statistics
follow from those of the channels: m = mean(m_c), v = mean(v_c) + mean((m_c - m)^2). Deviations are summed around the
mean, never E[x^2] - E[x]^2, which cancels when the mean is large against the spread.

x, residual and y share a dtype (float32, float16 or bfloat16); statistics, a and b are float32 whatever it is.

Traffic on a GPU: x read once where an image fits on the chip, else twice; residual read once, y written once. For
256x64x64 float16 with a border of 1: 2.00 MiB + 2.13 MiB.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ugatit_fast.kernels.activation import rectified
from ugatit_fast.kernels.adalin_backward import adalin_backward
from ugatit_fast.kernels.affine import channel_affine
from ugatit_fast.kernels.checks import check_activation, check_pad, check_parameter
from ugatit_fast.kernels.launch import memory_format_of
from ugatit_fast.kernels.padding import pad_reference
from ugatit_fast.kernels.phase_layout import check_phases, image_shape, interleaved


@dataclass(frozen=True)
class AdalinCall:
    """The arguments of `adalin`, where they are described, with its defaults: PyTorch leaves out what equals them."""

    x: Tensor
    gamma: Tensor | None = None
    beta: Tensor | None = None
    rho: Tensor | None = None
    bias: Tensor | None = None
    residual: Tensor | None = None
    relu: bool = False
    pad: int = 0
    pad_mode: str = "reflect"
    unbiased: bool = True
    eps: float = 1e-5
    phases: bool = False
    slope: float = 0.0
    eps_outside: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """n, c, h, w of the normalised image, without border."""
        return image_shape(self.x, self.phases)


def adalin_reference(call: AdalinCall) -> Tensor:
    """The meaning of `adalin`, in plain PyTorch."""
    x = interleaved(call.x) if call.phases else call.x
    parameters = call.gamma, call.beta, call.rho, call.bias
    mean_x, a, b = channel_affine(x, *parameters, call.unbiased, call.eps, call.eps_outside)
    y = a[:, :, None, None] * (x - mean_x[:, :, None, None]) + b[:, :, None, None]
    y = rectified(y, call.slope) if call.relu else y
    y = y if call.residual is None else y + call.residual
    return pad_reference(y.to(x.dtype), call.pad, call.pad_mode)


def check_adalin(call: AdalinCall) -> None:
    """ValueError where an argument of `adalin` doesn't fit."""
    x, residual = call.x, call.residual
    check_activation("adalin", "x", x)
    if call.phases:
        check_phases("adalin", x)
    n, c, h, w = call.shape
    for name, parameter in (("gamma", call.gamma), ("beta", call.beta)):
        check_parameter("adalin", name, parameter, [(n, c), (1, c)], x)
    for name, parameter in (("rho", call.rho), ("bias", call.bias)):
        check_parameter("adalin", name, parameter, [(c,)], x)
    if residual is not None:
        check_activation("adalin", "residual", residual, x.dtype, x.device)
        if residual.shape != (n, c, h, w):
            raise ValueError(f"adalin: residual must be like the image {(n, c, h, w)}, got {tuple(residual.shape)}")
    check_pad("adalin", call.pad, call.pad_mode, h, w)
    if call.unbiased and h * w == 1:
        raise ValueError("adalin: the unbiased variance of one pixel doesn't exist; pass unbiased=False")


@torch.library.custom_op("ugatit::adalin", mutates_args=())
def adalin(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    rho: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    relu: bool = False,
    pad: int = 0,
    pad_mode: str = "reflect",
    unbiased: bool = True,
    eps: float = 1e-5,
    phases: bool = False,
    slope: float = 0.0,
    eps_outside: bool = False,
) -> Tensor:
    """Normalise, activate, add and pad in one operation; formula at the top of this file.

    x: (n, c, h, w), float32, float16 or bfloat16; channels-last on a GPU, where any other layout costs a copy each way.
    gamma, beta: float32 (n, c), or (1, c) for all images; None is 1 and 0.
    rho: float32 (c,) in [0, 1], 1 = instance norm, 0 = layer norm; None is 1 throughout, without layer statistics.
    bias: float32 (c,), added to x before normalising; None is 0.
    residual: like x, added after the ReLU; any strides.
    pad, pad_mode: the border that the next convolution wants; "reflect" needs h and w above pad.
    unbiased: variances divided by count - 1 (PyTorch's U-GAT-IT outside its instance norms) or by count.
    phases: x is (n, 4 c, h/2 + 1, w/2 + 1), the argument of `ugatit::interleave_phases`, whose result this normalises
        without storing it. Has no gradient.
    slope: of the ReLU below zero, in [0, 1): a LeakyReLU's. Has no gradient beside 0.
    eps_outside: eps is added to the deviations, not to the variances (MUNIT's layer norm). Has no gradient.
    Returns (n, c, h + 2 pad, w + 2 pad) in x's dtype and memory format. Statistics are float32. Raises ValueError where
    a shape, dtype or device doesn't fit, and on a GPU at 2^31 elements. float64 is for tests: it runs the reference
    everywhere.
    """
    call = AdalinCall(
        x, gamma, beta, rho, bias, residual, relu, pad, pad_mode, unbiased, eps, phases, slope, eps_outside
    )
    check_adalin(call)
    return adalin_reference(call).contiguous(memory_format=memory_format_of(x))


@adalin.register_kernel("cuda")
def _(*arguments: Any, **options: Any) -> Tensor:
    from ugatit_fast.kernels.adalin_launch import Normalised, adalin_on_gpu

    call = AdalinCall(*arguments, **options)
    check_adalin(call)
    if call.x.dtype == torch.float64:
        y = adalin_reference(call)
    else:
        parameters = call.gamma, call.beta, call.rho, call.bias
        inputs = Normalised(call.x, *parameters, call.unbiased, call.eps, call.phases, call.eps_outside)
        y = adalin_on_gpu(inputs, call.residual, call.relu, call.pad, call.pad_mode, slope=call.slope)
    return y.contiguous(memory_format=memory_format_of(call.x))


@adalin.register_fake
def _(*arguments: Any, **options: Any) -> Tensor:
    call = AdalinCall(*arguments, **options)
    n, c, h, w = call.shape
    shape = (n, c, h + 2 * call.pad, w + 2 * call.pad)
    return torch.empty(shape, dtype=call.x.dtype, device=call.x.device, memory_format=memory_format_of(call.x))


def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, gamma, beta, rho, bias, residual, *ctx.settings, ctx.phases, ctx.slope, ctx.eps_outside = inputs
    ctx.save_for_backward(x, gamma, beta, rho, bias)
    ctx.has_residual = residual is not None


def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    if ctx.phases:
        raise NotImplementedError("adalin: phases=True has no gradient; interleave the phases first")
    if ctx.eps_outside:
        raise NotImplementedError("adalin: eps_outside=True has no gradient")
    if ctx.slope or ctx.settings[2] == "zero":
        raise NotImplementedError("adalin: a slope and a border of zeros have no gradient; pad and activate afterwards")
    x, gamma, beta, rho, bias = ctx.saved_tensors
    grad_x, grad_gamma, grad_beta, grad_rho, grad_residual = adalin_backward(
        grad, x, gamma, beta, rho, bias, ctx.has_residual, *ctx.settings
    )
    return (
        grad_x,
        None if gamma is None else grad_gamma.sum_to_size(gamma.shape),
        None if beta is None else grad_beta.sum_to_size(beta.shape),
        None if rho is None else grad_rho,
        None if bias is None else grad_x.to(bias.dtype).sum(dim=(0, 2, 3)),
        grad_residual if ctx.has_residual else None,
        *[None] * len(ctx.settings),
        *[None] * 3,
    )


adalin.register_autograd(backward, setup_context=setup_context)
