"""The normalisations of the ONNX file as TensorRT plugins, compiled ahead of time: plans need neither Python nor this.

Importing registers them, under the names that the ONNX nodes carry. TensorRT reads the signatures: parameters are named
and ordered as the nodes' inputs and attributes, annotations are objects (no `from __future__ import annotations` here),
and single numbers are arrays of one. What is compiled, and launched how, is decided in plugin_kernels.py.
"""

import numpy as np
import numpy.typing as npt
import tensorrt as trt
import tensorrt.plugin as trtp

from ugatit_fast.backends.gpu import open_gpu
from ugatit_fast.export.onnx_builder import DOMAIN
from ugatit_fast.export.plugin_contract import APPLY, APPLY_ADD, STATS
from ugatit_fast.export.plugin_kernels import (
    CHANNELS_LAST_TILES,
    STATS_TILES,
    KernelSpec,
    NormShape,
    apply_spec,
    compile_kernel,
    ptx_version,
    stats_spec,
)

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Kernel = tuple[str, str, trtp.KernelLaunchParams, trtp.SymExprs]
"""Name, PTX, grid, and the int32 arguments between inputs and outputs: none."""

POINTERS = {trt.DataType.HALF: "*fp16", trt.DataType.FLOAT: "*fp32"}
CHANNELS_LAST = (trt.TensorFormat.HWC8, trt.TensorFormat.HWC)


@trtp.register(f"{DOMAIN}::{STATS}")
def describe_stats(
    x: trtp.TensorDesc, bias: trtp.TensorDesc, splits: Ints, tiles: Ints
) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    """Shapes of channel_stats: see CHANNEL_STATS in onnx_convolutions.py."""
    n, c = x.shape_expr[0], x.shape_expr[1]
    channels = trtp.from_shape_expr((n, int(splits[0]), 2, c), dtype=trt.float32)
    layer = trtp.from_shape_expr((n, int(splits[0]), int(tiles[0]), 2), dtype=trt.float32)
    return channels, layer


@trtp.autotune(f"{DOMAIN}::{STATS}")
def choices_of_stats(
    x: trtp.TensorDesc, bias: trtp.TensorDesc, outputs: tuple[trtp.TensorDesc, trtp.TensorDesc]
) -> list[trtp.AutoTuneCombination]:
    """Types, formats and tactics of channel_stats."""
    return combinations("x, 32, 32, 32", len(STATS_TILES))


@trtp.aot_impl(f"{DOMAIN}::{STATS}")
def kernel_of_stats(
    x: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    splits: Ints,
    tiles: Ints,
    outputs: tuple[trtp.TensorDesc, trtp.TensorDesc],
    tactic: int,
) -> Kernel:
    """The kernel of channel_stats for one of its choices."""
    shape = norm_shape(x, int(splits[0]), int(tiles[0]))
    return launched(x, stats_spec(shape, POINTERS[x.dtype], x.format in CHANNELS_LAST, tactic))


@trtp.register(f"{DOMAIN}::{APPLY}")
def describe_apply(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    eps: Floats,
    correction: Ints,
    floor: Floats,
    pads: Ints,
    mode: str,
) -> trtp.TensorDesc:
    """Shape of norm_apply: x and its border."""
    return padded(x, pads)


@trtp.autotune(f"{DOMAIN}::{APPLY}")
def choices_of_apply(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    outputs: tuple[trtp.TensorDesc],
) -> list[trtp.AutoTuneCombination]:
    """Types, formats and tactics of norm_apply."""
    return combinations("x, 32, 32, 32, 32, 32, 32, x", len(CHANNELS_LAST_TILES))


@trtp.aot_impl(f"{DOMAIN}::{APPLY}")
def kernel_of_apply(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    eps: Floats,
    correction: Ints,
    floor: Floats,
    pads: Ints,
    mode: str,
    outputs: tuple[trtp.TensorDesc],
    tactic: int,
) -> Kernel:
    """The kernel of norm_apply for one of its choices."""
    return apply_kernel(x, channels, layer, gamma, False, eps, correction, floor, pads, mode, tactic)


@trtp.register(f"{DOMAIN}::{APPLY_ADD}")
def describe_apply_add(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    residual: trtp.TensorDesc,
    eps: Floats,
    correction: Ints,
    floor: Floats,
    pads: Ints,
    mode: str,
) -> trtp.TensorDesc:
    """Shape of norm_apply_add: x and its border."""
    return padded(x, pads)


@trtp.autotune(f"{DOMAIN}::{APPLY_ADD}")
def choices_of_apply_add(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    residual: trtp.TensorDesc,
    outputs: tuple[trtp.TensorDesc],
) -> list[trtp.AutoTuneCombination]:
    """Types, formats and tactics of norm_apply_add."""
    return combinations("x, 32, 32, 32, 32, 32, 32, x, x", len(CHANNELS_LAST_TILES))


@trtp.aot_impl(f"{DOMAIN}::{APPLY_ADD}")
def kernel_of_apply_add(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    beta: trtp.TensorDesc,
    rho: trtp.TensorDesc,
    bias: trtp.TensorDesc,
    residual: trtp.TensorDesc,
    eps: Floats,
    correction: Ints,
    floor: Floats,
    pads: Ints,
    mode: str,
    outputs: tuple[trtp.TensorDesc],
    tactic: int,
) -> Kernel:
    """The kernel of norm_apply_add for one of its choices."""
    return apply_kernel(x, channels, layer, gamma, True, eps, correction, floor, pads, mode, tactic)


# What they share --------------------------------------------------------------------------------------------------


def padded(x: trtp.TensorDesc, pads: Ints) -> trtp.TensorDesc:
    """x with a border; `pads` as ONNX writes it."""
    n, c, h, w = (x.shape_expr[i] for i in range(4))
    return trtp.from_shape_expr((n, c, h + 2 * int(pads[2]), w + 2 * int(pads[3])), dtype=x.dtype)


def combinations(tensors: str, tactics: int) -> list[trtp.AutoTuneCombination]:
    """Both types in each of their two formats. tensors: `x` for activations, `32` for statistics and parameters.

    HWC8 is float16 with the channels last, in eights; HWC is float32 with the channels last.
    """
    return [
        trtp.AutoTuneCombination(
            tensors.replace("32", "FP32").replace("x", dtype),
            tensors.replace("32", "LINEAR").replace("x", layout),
            list(range(1, tactics + 1)),
        )
        for dtype, layout in (("FP16", "HWC8"), ("FP16", "LINEAR"), ("FP32", "HWC"), ("FP32", "LINEAR"))
    ]


def apply_kernel(
    x: trtp.TensorDesc,
    channels: trtp.TensorDesc,
    layer: trtp.TensorDesc,
    gamma: trtp.TensorDesc,
    residual: bool,
    eps: Floats,
    correction: Ints,
    floor: Floats,
    pads: Ints,
    mode: str,
    tactic: int,
) -> Kernel:
    spec = apply_spec(
        norm_shape(x, int(channels.shape[1]), int(layer.shape[2])),
        POINTERS[x.dtype],
        x.format in CHANNELS_LAST,
        tactic,
        residual=residual,
        style_of_each_image=gamma.shape[0] != 1,
        relu=bool(floor[0] == 0),
        pad=int(pads[2]),
        mode=mode,
        unbiased=bool(correction[0]),
        eps=float(eps[0]),
    )
    return launched(x, spec)


def norm_shape(x: trtp.TensorDesc, splits: int, tiles: int) -> NormShape:
    """The sizes that are fixed in an engine: all but the batch."""
    return NormShape(c=int(x.shape[1]), h=int(x.shape[2]), w=int(x.shape[3]), splits=splits, tiles=tiles)


def launched(x: trtp.TensorDesc, spec: KernelSpec) -> Kernel:
    """Compiled for this machine's GPU and driver, with a grid that grows with the batch."""
    gpu = open_gpu()
    compiled = compile_kernel(spec, gpu.capability, ptx_version(gpu.capability, gpu.driver_cuda))
    launch = trtp.KernelLaunchParams(
        grid_x=x.shape_expr[0] * spec.programs, block_x=compiled.threads, shared_mem=compiled.shared_bytes
    )
    return compiled.name, compiled.ptx, launch, trtp.SymExprs.from_tuple(())
