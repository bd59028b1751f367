"""The affine map that a normalisation comes down to, per image and channel; formula at the top of adalin.py."""

import torch
from torch import Tensor


def channel_affine(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    rho: Tensor | None,
    bias: Tensor | None,
    unbiased: bool,
    eps: float,
    eps_outside: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Channel means of x (without bias), a and b, each float32 (n, c) (float64 where x is). Arguments as in
    `ugatit::adalin`."""
    x = x if x.dtype == torch.float64 else x.float()
    mean_x = x.mean(dim=(2, 3))
    var_c = (x - mean_x[:, :, None, None]).square().mean(dim=(2, 3))
    a, b = affine_of(mean_x, var_c, x.shape[2] * x.shape[3], gamma, beta, rho, bias, unbiased, eps, eps_outside)
    return mean_x, a, b


def affine_of(
    mean_x: Tensor,
    var_c: Tensor,
    pixels: int,
    gamma: Tensor | None,
    beta: Tensor | None,
    rho: Tensor | None,
    bias: Tensor | None,
    unbiased: bool,
    eps: float,
    eps_outside: bool = False,
) -> tuple[Tensor, Tensor]:
    """a and b from the means and (biased) variances of the channels of x over so many pixels, each (n, c)."""
    c = mean_x.shape[1]
    mean_c = mean_x if bias is None else mean_x + bias
    mean = mean_c.mean(dim=1, keepdim=True)
    var = (var_c + (mean_c - mean).square()).mean(dim=1, keepdim=True)
    if unbiased:
        var_c = var_c * (pixels / (pixels - 1))
        var = var * (c * pixels / (c * pixels - 1))
    a, b = inverse_deviation(var_c, eps, eps_outside), torch.zeros_like(mean_c)
    if rho is not None:
        layer_part = (1 - rho) * inverse_deviation(var, eps, eps_outside)
        a, b = rho * a + layer_part, layer_part * (mean_c - mean)
    if gamma is not None:
        a, b = gamma * a, gamma * b
    return a, b if beta is None else b + beta


def inverse_deviation(variance: Tensor, eps: float, eps_outside: bool) -> Tensor:
    """s of adalin.py."""
    return 1 / (torch.sqrt(variance) + eps) if eps_outside else torch.rsqrt(variance + eps)
