"""Launches the kernels of both schedules for `ugatit::adalin` on CUDA tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ugatit_fast.kernels.adalin_resident_triton import resident_kernel
from ugatit_fast.kernels.adalin_triton import apply_kernel
from ugatit_fast.kernels.counters import PATIENCE, current_counters
from ugatit_fast.kernels.launch import channels_last, check_size, contiguous, on_device_of, pixel_strides, span
from ugatit_fast.kernels.phase_layout import image_shape
from ugatit_fast.kernels.schedule import NormPlan, Tile, cdiv, gpu_of, norm_plan, power_of_two
from ugatit_fast.kernels.statistics_triton import statistics_kernel


@dataclass(frozen=True)
class Normalised:
    """What determines the affine map of a normalisation: checked arguments of `adalin`, made dense for the kernels.

    Raises ValueError where x has 2^31 elements or more.
    """

    x: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    rho: Tensor | None
    bias: Tensor | None
    unbiased: bool
    eps: float
    phases: bool = False
    eps_outside: bool = False

    def __post_init__(self) -> None:
        check_size("adalin", self.x.numel())
        object.__setattr__(self, "x", channels_last(self.x))
        for name in ("gamma", "beta", "rho", "bias"):
            object.__setattr__(self, name, contiguous(getattr(self, name)))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """n, c, h, w of the normalised image."""
        return image_shape(self.x, self.phases)

    def strides(self) -> tuple[int, int]:
        """Elements from one image's gamma, and beta, to the next: 0 where all images share it."""
        gamma, beta = self.gamma, self.beta
        return (
            gamma.shape[1] if gamma is not None and gamma.shape[0] > 1 else 0,
            beta.shape[1] if beta is not None and beta.shape[0] > 1 else 0,
        )


@dataclass(frozen=True)
class Partials:
    """Partial statistics (statistics_triton.py) and how the image was split for them."""

    channels: Tensor
    layer: Tensor | None
    tile: Tile
    splits: int
    split_pixels: int

    @property
    def power_of_two_splits(self) -> int:
        return power_of_two(self.splits)

    @property
    def power_of_two_pairs(self) -> int:
        """At least the pairs that describe the layer."""
        return power_of_two(self.splits * cdiv(self.channels.shape[3], self.tile.channels))


def empty_partials(inputs: Normalised, tile: Tile, splits: int, split_pixels: int) -> Partials:
    n, c, _, _ = inputs.shape
    x = inputs.x
    channels = torch.empty((n, splits, 2, c), dtype=torch.float32, device=x.device)
    layer_shape = (n, splits, cdiv(c, tile.channels), 2)
    layer = None if inputs.rho is None else torch.empty(layer_shape, dtype=torch.float32, device=x.device)
    return Partials(channels, layer, tile, splits, split_pixels)


def run_statistics(inputs: Normalised, tile: Tile, splits: int, split_pixels: int) -> Partials:
    """First stage: the partial statistics of every split."""
    n, c, h, w = inputs.shape
    partials = empty_partials(inputs, tile, splits, split_pixels)
    statistics_kernel[(n * splits * cdiv(c, tile.channels),)](
        inputs.x, inputs.bias, partials.channels, partials.layer,
        inputs.x[0].numel(), h * w, w, split_pixels, splits,
        c=c, PHASES=inputs.phases, ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
    )  # fmt: skip
    return partials


def adalin_on_gpu(
    inputs: Normalised,
    residual: Tensor | None,
    relu: bool,
    pad: int,
    pad_mode: str,
    plan: NormPlan | None = None,
    patience: int = PATIENCE,
    slope: float = 0.0,
) -> Tensor:
    """The result of `adalin`, channels-last, by `plan` (default: what schedule.py picks), on the tensors' current
    stream.

    Raises ValueError where a tensor has 2^31 elements or more.
    """
    n, c, h, w = inputs.shape
    x = inputs.x
    shape = (n, c, h + 2 * pad, w + 2 * pad)
    check_size("adalin", prod(shape), 0 if residual is None else span(residual))
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if n == 0:
        return y
    if residual is not None and residual.stride(1) != 1:
        residual = channels_last(residual)
    with on_device_of(x):
        plan = plan or norm_plan(n, c, h, w, x.dtype, pad, pad_mode, gpu_of(x.device))
        ending = ending_options(relu, slope, pad_mode)
        if plan.apply is None:
            run_resident(inputs, residual, y, ending, pad, plan, patience)
        else:
            run_two_stage(inputs, residual, y, ending, pad, plan, plan.apply)
    return y


def ending_options(relu: bool, slope: float, pad_mode: str) -> dict[str, bool | float]:
    """What follows the normalisation, as the kernels' constants."""
    return {"RELU": relu, "SLOPE": slope, "REFLECT": pad_mode == "reflect", "ZERO": pad_mode == "zero"}


def run_two_stage(
    inputs: Normalised,
    residual: Tensor | None,
    y: Tensor,
    ending: Mapping[str, bool | float],
    pad: int,
    plan: NormPlan,
    tile: Tile,
) -> None:
    n, c, h, w = inputs.shape
    partials = run_statistics(inputs, plan.statistics, plan.splits, plan.split_pixels)
    grid = (n * cdiv(y.shape[2] * y.shape[3], plan.apply_pixels) * cdiv(c, tile.channels),)
    apply_kernel[grid](
        inputs.x, inputs.gamma, inputs.beta, inputs.rho, inputs.bias, residual, partials.channels, partials.layer, y,
        inputs.x[0].numel(), *inputs.strides(), *pixel_strides(residual), h, w,
        plan.split_pixels, plan.splits, plan.apply_pixels,
        c=c, PHASES=inputs.phases, PAD=pad, **ending,
        UNBIASED=int(inputs.unbiased), EPS=inputs.eps, EPS_OUTSIDE=inputs.eps_outside,
        PARTIAL_CHANNELS=plan.statistics.channels,
        SPLITS=partials.power_of_two_splits, PAIRS=partials.power_of_two_pairs,
        ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
    )  # fmt: skip


def run_resident(
    inputs: Normalised,
    residual: Tensor | None,
    y: Tensor,
    ending: Mapping[str, bool | float],
    pad: int,
    plan: NormPlan,
    patience: int,
) -> None:
    n, c, h, w = inputs.shape
    tile = plan.statistics
    partials = empty_partials(inputs, tile, plan.splits, plan.split_pixels)
    image_stride, row_stride, pixel_stride = pixel_strides(residual)
    resident_kernel[(n * plan.splits // plan.tiles * cdiv(c, tile.channels),)](
        inputs.x, inputs.gamma, inputs.beta, inputs.rho, inputs.bias, residual, partials.channels, partials.layer,
        current_counters(y.device), y, n, *inputs.strides(), image_stride, patience,
        h=h, w=w, c=c, residual_row=row_stride, residual_pixel=pixel_stride,
        PHASES=inputs.phases, PAD=pad, **ending,
        UNBIASED=int(inputs.unbiased), EPS=inputs.eps, EPS_OUTSIDE=inputs.eps_outside,
        SPLITS=partials.power_of_two_splits, PAIRS=partials.power_of_two_pairs,
        TILES=plan.tiles, ROWS=tile.rows, CHANNELS=tile.channels, **tile.options,
    )  # fmt: skip
