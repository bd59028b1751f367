"""Launches the kernels of adalin_backward_triton.py for `ugatit::adalin_backward` on CUDA tensors."""

import torch
from torch import Tensor

from ugatit_fast.kernels.adalin_backward_triton import coefficients_kernel, gradient_kernel, gradient_sums_kernel
from ugatit_fast.kernels.adalin_launch import Normalised, run_statistics
from ugatit_fast.kernels.launch import channels_last, check_size, on_device_of
from ugatit_fast.kernels.padding import unpad_adjoint
from ugatit_fast.kernels.schedule import COEFFICIENT_TILE, BackwardPlan, backward_plan, cdiv, gpu_of, power_of_two


def adalin_backward_on_gpu(
    grad: Tensor,
    inputs: Normalised,
    residual: bool,
    relu: bool,
    pad: int,
    pad_mode: str,
    plan: BackwardPlan | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, gamma (n, c), beta (n, c), rho (c,) and residual (without one: empty), on the current stream.

    Those of x and residual are channels-last. Raises ValueError where a tensor has 2^31 elements or more.
    """
    x = inputs.x
    n, c, h, w = inputs.shape
    check_size("adalin_backward", grad.numel())
    grad_x = torch.empty_like(x)
    grad_residual = torch.empty_like(x) if residual else x.new_empty(0)
    tables = torch.zeros((3, n, c), dtype=torch.float32, device=x.device)
    if n:
        if pad_mode == "replicate" and pad > 1:  # a pixel appears at more than three rows: gathered beforehand
            grad, pad = unpad_adjoint(grad, x, pad, pad_mode), 0
        with on_device_of(x):
            plan = plan or backward_plan(n, c, h, w, x.dtype, gpu_of(x.device))
            outputs = (grad_x, grad_residual if residual else None)
            run_backward(channels_last(grad), inputs, tables, outputs, relu, pad, pad_mode == "reflect", plan)
    grad_gamma, grad_beta, grad_rho = tables.unbind()
    return grad_x, grad_gamma.clone(), grad_beta.clone(), grad_rho.sum(dim=0), grad_residual


def run_backward(
    grad: Tensor,
    inputs: Normalised,
    tables: Tensor,
    outputs: tuple[Tensor, Tensor | None],
    relu: bool,
    pad: int,
    reflect: bool,
    plan: BackwardPlan,
) -> None:
    n, c, h, w = inputs.shape
    x, tile = inputs.x, plan.tile
    channel_tiles = cdiv(c, tile.channels)
    partials = run_statistics(inputs, plan.statistics, plan.splits, plan.split_pixels)
    sums = torch.empty_like(partials.channels)
    coefficients = torch.empty((n, 6, c), dtype=torch.float32, device=x.device)
    parameters = (inputs.gamma, inputs.beta, inputs.rho, inputs.bias, partials.channels, partials.layer, sums)
    affine = {
        "c": c,
        "UNBIASED": int(inputs.unbiased),
        "EPS": inputs.eps,
        "PARTIAL_CHANNELS": plan.statistics.channels,
        "SPLITS": partials.power_of_two_splits,
        "PAIRS": partials.power_of_two_pairs,
    }
    border = {"RELU": relu, "PAD": pad, "REFLECT": reflect}
    rows = {"ROWS": tile.rows, "CHANNELS": tile.channels, **tile.options}
    gradient_sums_kernel[(n * plan.splits * channel_tiles,)](
        grad, x, *parameters, *inputs.strides(), h, w, plan.split_pixels, plan.splits, **affine, **border, **rows
    )
    coefficients_kernel[(n,)](
        *parameters, coefficients, *tables.unbind(), *inputs.strides(), h * w, plan.split_pixels, plan.splits,
        **affine, CHANNELS=power_of_two(c), **COEFFICIENT_TILE.options,
    )  # fmt: skip
    gradient_kernel[(n * cdiv(h * w, plan.tile_pixels) * channel_tiles,)](
        grad, x, coefficients, *outputs, h, w, plan.tile_pixels, c=c, **border, **rows
    )
