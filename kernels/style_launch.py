"""Launches the kernels of style_triton.py for `ugatit::style` on CUDA tensors."""

import torch
from torch import Tensor

from ugatit_fast.kernels.launch import check_size, contiguous, on_device_of, span
from ugatit_fast.kernels.schedule import (
    LINEAR_TILE,
    MAX_ADDED_SPLITS,
    ProductTile,
    StylePlan,
    Tile,
    cdiv,
    gpu_of,
    power_of_two,
    style_plan,
)
from ugatit_fast.kernels.style_triton import linear_kernel, pool_kernel, split_product_kernel


def style_on_gpu(
    x: Tensor,
    first: Tensor,
    second: Tensor,
    heads: Tensor,
    bias1: Tensor | None,
    bias2: Tensor | None,
    bias3: Tensor | None,
    plan: StylePlan | None = None,
) -> Tensor:
    """`style` for checked arguments, on the current stream. Raises ValueError at 2^31 elements."""
    n, c, h, w = x.shape
    check_size("style", span(x), first.numel())
    both = torch.empty((2, n, c), dtype=torch.float32, device=x.device)
    if n == 0:
        return both
    with on_device_of(x):
        plan = plan or style_plan(x, first, gpu_of(x.device))
        if isinstance(plan.tile, Tile):
            pooled = torch.empty((plan.splits, n, c), dtype=torch.float32, device=x.device)
            run_pool(x, pooled, plan.tile, plan.splits, plan.split_size)
            hidden = torch.empty((1, n, c), dtype=torch.float32, device=x.device)
            run_linear(pooled, None, first, None, hidden, divisor=h * w, relu=False)
        else:
            hidden = torch.empty((plan.splits, n, c), dtype=torch.float32, device=x.device)
            run_split_product(x, first, hidden, plan.tile, plan.split_size)
        after = torch.empty((1, n, c), dtype=torch.float32, device=x.device)
        run_linear(hidden, bias1, second, None, after, divisor=1, relu=True)
        run_linear(after, bias2, heads, bias3, both, divisor=1, relu=True)
    return both


def run_pool(x: Tensor, sums: Tensor, tile: Tile, splits: int, split_pixels: int) -> None:
    n, c, h, w = x.shape
    if x.stride(1) != 1:
        x = x.contiguous(memory_format=torch.channels_last)
    pool_kernel[(n * splits * cdiv(c, tile.channels),)](
        x, sums, n, x.stride(0), x.stride(2), x.stride(3), h * w, w, split_pixels, splits,
        c=c, ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
    )  # fmt: skip


def run_split_product(x: Tensor, weight: Tensor, sums: Tensor, tile: ProductTile, split_inputs: int) -> None:
    """The first layer of a full generator. Its inputs come in the order c, h, w: x is copied, which is little."""
    m, k = weight.shape
    n = x.shape[0]
    features = x.to(weight.dtype).reshape(n, k)
    split_product_kernel[(sums.shape[0], cdiv(m, tile.rows), cdiv(n, tile.images))](
        weight.contiguous(), features.contiguous(), sums, n, m, k, split_inputs,
        ROWS=tile.rows, INPUTS=tile.inputs, IMAGES=tile.images, **tile.options,
    )  # fmt: skip


def run_linear(
    partials: Tensor,
    input_bias: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor,
    divisor: int,
    relu: bool,
) -> None:
    splits, n, k = partials.shape
    m = weight.shape[0]
    tile = LINEAR_TILE
    parameters = (partials, contiguous(input_bias), weight.contiguous(), contiguous(bias))
    linear_kernel[(n * cdiv(m, tile.rows),)](
        *parameters, y, n, m, y.shape[2], splits, divisor,
        k=k, RELU=relu, SPLITS=min(MAX_ADDED_SPLITS, power_of_two(splits)),
        ROWS=tile.rows, INPUTS=tile.channels, **tile.options,
    )  # fmt: skip
