"""Launches the kernels of style_triton.py for `ugatit::style` on CUDA tensors."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ugatit_fast.kernels.counters import PATIENCE, current_counters
from ugatit_fast.kernels.launch import channels_last, check_size, contiguous, on_device_of, span
from ugatit_fast.kernels.schedule import (
    LINEAR_TILE,
    MAX_ADDED_SPLITS,
    MAX_RESIDENT_IMAGES,
    ProductTile,
    StylePlan,
    Tile,
    cdiv,
    gpu_of,
    power_of_two,
    style_plan,
)
from ugatit_fast.kernels.style_triton import split_product_kernel, style_kernel

NO_TILE = Tile(1, 1, LINEAR_TILE.warps)
"""Of pixels, where nothing is pooled."""


def style_on_gpu(
    x: Tensor,
    first: Tensor,
    second: Tensor,
    heads: Tensor,
    bias1: Tensor | None,
    bias2: Tensor | None,
    bias3: Tensor | None,
    plan: StylePlan | None = None,
    patience: int = PATIENCE,
) -> Tensor:
    """`style` for checked arguments, on the current stream. Raises ValueError at 2^31 elements."""
    n, c, _, _ = x.shape
    check_size("style", span(x), first.numel())
    if n > MAX_RESIDENT_IMAGES:
        weights = (first, second, heads, bias1, bias2, bias3)
        return torch.cat(
            [style_on_gpu(some, *weights, plan, patience) for some in torch.split(x, MAX_RESIDENT_IMAGES)], dim=1
        )
    both = torch.empty((2, n, c), dtype=torch.float32, device=x.device)
    if n == 0:
        return both
    with on_device_of(x):
        plan = plan or style_plan(x, first, gpu_of(x.device))
        sums = torch.empty((plan.splits, n, c), dtype=torch.float32, device=x.device)
        layers = Layers(first, second, heads, bias1, bias2, bias3)
        if isinstance(plan.tile, Tile):
            run_style(x if x.stride(1) == 1 else channels_last(x), layers, sums, both, plan.tile, plan, patience)
        else:
            run_split_product(x, first, sums, plan.tile, plan.split_size)
            run_style(None, layers, sums, both, NO_TILE, plan, patience)
    return both


@dataclass(frozen=True)
class Layers:
    """Weights and biases as the kernel reads them."""

    first: Tensor
    second: Tensor
    heads: Tensor
    bias1: Tensor | None
    bias2: Tensor | None
    bias3: Tensor | None

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, contiguous(getattr(self, field.name)))


def run_style(
    x: Tensor | None, layers: Layers, sums: Tensor, y: Tensor, pool: Tile, plan: StylePlan, patience: int
) -> None:
    """Pool x and go through all layers; without x, from the products of the first one in `sums` on."""
    splits, n, c = sums.shape
    image_stride, row_stride, pixel_stride = (0, 0, 0) if x is None else (x.stride(0), x.stride(2), x.stride(3))
    pixels, w = (1, 1) if x is None else (x.shape[2] * x.shape[3], x.shape[3])
    style_kernel[(n * plan.programs,)](
        x, None if x is None else layers.first, layers.second, layers.heads, layers.bias1, layers.bias2, layers.bias3,
        sums, torch.empty_like(y), y, current_counters(y.device),
        n, image_stride, row_stride, pixel_stride, pixels, w, plan.split_size, splits, patience,
        c=c, PROGRAMS=plan.programs, SPLITS=min(MAX_ADDED_SPLITS, power_of_two(splits)),
        POOL_ROWS=pool.rows, POOL_CHANNELS=pool.channels, ROWS=LINEAR_TILE.rows, INPUTS=LINEAR_TILE.channels,
        **LINEAR_TILE.options,
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
