"""Which kernel, with which constants and grid, a TensorRT plugin runs, and its PTX as TensorRT takes it.

Pure functions of shapes: neither TensorRT nor a GPU is needed. tensorrt_plugin.py hands the results over.
"""

import re
from dataclasses import dataclass
from functools import cache

import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas, ptx_get_version
from triton.compiler import ASTSource

from ugatit_fast.errors import ExportError
from ugatit_fast.export import plugin_triton
from ugatit_fast.export.onnx_activations import ONNX_MODES
from ugatit_fast.kernels.schedule import THREADS_PER_WARP, Tile, cdiv, power_of_two

LINEAR_TILES = ((Tile(256, 8, 4), 1), (Tile(256, 8, 4), 4), (Tile(256, 8, 8), 1))
CHANNELS_LAST_TILES = ((Tile(64, 64, 4), 1), (Tile(64, 64, 4), 4), (Tile(64, 64, 8), 1))
"""What TensorRT chooses from by timing: rows (pixels) x channels at once, warps, and tiles of a program one after the
other. A program reads the statistics of all splits, so the more tiles share them the better, while the GPU is full.
"""
STATS_TILES = ((64, 4), (32, 4), (64, 8))
"""Likewise rows and warps of the statistics; the channels of a tile are fixed by the shape of their result."""
SHARED_LIMIT_BYTES = 48 * 1024
"""Beyond it a launch needs an attribute that TensorRT isn't known to set."""
HIDDEN_PARAMETERS = 2
"""Pointers to global and profiling scratch, which Triton appends and TensorRT doesn't pass."""
LOWEST_PTX = {75: 63, 80: 70, 86: 71, 89: 78, 90: 80, 100: 86, 103: 88, 110: 90, 120: 87, 121: 88}
"""The version in which each architecture appeared; asked for an earlier one, LLVM ends the process."""


@dataclass(frozen=True)
class KernelSpec:
    """A kernel with everything that is known when an engine is built."""

    kernel: str
    """Its name in plugin_triton.py."""
    pointers: tuple[tuple[str, str], ...]
    """(name, Triton type) of its inputs and outputs, in order. There are no int32 extras between them."""
    constants: tuple[tuple[str, int | float | None], ...]
    warps: int
    programs: int
    """Of one image; the grid is this times the batch."""


@dataclass(frozen=True)
class CompiledKernel:
    """What TensorRT stores in the plan, and launches."""

    name: str
    ptx: str
    warps: int
    shared_bytes: int

    @property
    def threads(self) -> int:
        return self.warps * THREADS_PER_WARP


@dataclass(frozen=True)
class NormShape:
    """Shapes of a normalisation. n isn't among them: kernels serve any batch."""

    c: int
    h: int
    w: int
    splits: int
    tiles: int
    """Channel tiles of the statistics."""

    @property
    def tile_channels(self) -> int:
        """Channels of a tile of the statistics, up to a power of two."""
        return power_of_two(self.c // self.tiles)

    def __post_init__(self) -> None:
        equal = self.tiles == 1 or self.tiles * self.tile_channels == self.c
        if self.h * self.w % self.splits or not equal:
            raise ExportError(f"splits and channel tiles must be of equal size, got {self}; please report this")


def stats_spec(shape: NormShape, dtype: str, channels_last: bool, tactic: int) -> KernelSpec:
    """`channel_stats`: tactics count from 1."""
    rows, warps = STATS_TILES[tactic - 1]
    pixels = shape.h * shape.w
    constants = {
        "PIXELS": pixels,
        "WIDTH": shape.w,
        "C": shape.c,
        "SPLITS": shape.splits,
        "ROWS": min(rows, power_of_two(pixels // shape.splits)),
        "CHANNELS": shape.tile_channels,
    }
    pointers = (("x", dtype), ("bias", "*fp32"), ("channels", "*fp32"), ("layer", "*fp32"))
    kernel = "stats_channels_last" if channels_last else "stats_linear"
    return KernelSpec(kernel, pointers, tuple(constants.items()), warps, shape.splits * shape.tiles)


def apply_spec(
    shape: NormShape,
    dtype: str,
    channels_last: bool,
    tactic: int,
    *,
    residual: bool,
    style_of_each_image: bool,
    relu: bool,
    pad: int,
    mode: str,
    unbiased: bool,
    eps: float,
) -> KernelSpec:
    """`norm_apply` and `norm_apply_add`: tactics count from 1. mode: of the border, as ONNX calls it."""
    padded = (shape.h + 2 * pad) * (shape.w + 2 * pad)
    tile, repeated = (CHANNELS_LAST_TILES if channels_last else LINEAR_TILES)[tactic - 1]
    tile = tile.fitted(padded, shape.c)
    tile_pixels = repeated * tile.rows
    constants = {
        "HEIGHT": shape.h,
        "WIDTH": shape.w,
        "C": shape.c,
        "STYLE_STRIDE": shape.c if style_of_each_image else 0,
        "SPLITS": shape.splits,
        "PARTIAL_CHANNELS": shape.tile_channels,
        "POWER_OF_TWO_SPLITS": power_of_two(shape.splits),
        "POWER_OF_TWO_PAIRS": power_of_two(shape.splits * shape.tiles),
        "RELU": relu,
        "PAD": pad,
        "REFLECT": mode == ONNX_MODES["reflect"],
        "ZERO": mode == ONNX_MODES["zero"],
        "UNBIASED": int(unbiased),
        "EPS": eps,
        "TILE_PIXELS": tile_pixels,
        "ROWS": tile.rows,
        "CHANNELS": tile.channels,
    } | ({} if residual else {"residual": None})
    small = ("channels", "layer", "gamma", "beta", "rho", "bias")
    pointers = (
        ("x", dtype),
        *((name, "*fp32") for name in small),
        *([("residual", dtype)] if residual else []),
        ("y", dtype),
    )
    kernel = "apply_channels_last" if channels_last else "apply_linear"
    programs = cdiv(padded, tile_pixels) * cdiv(shape.c, tile.channels)
    return KernelSpec(kernel, pointers, tuple(constants.items()), tile.warps, programs)


@cache
def compile_kernel(spec: KernelSpec, capability: int, ptx_version: int) -> CompiledKernel:
    """PTX of a kernel for a GPU of this compute capability (90 for 9.0), whose parameters are those of `spec`.

    Raises ExportError where it needs scratch memory or more shared memory than TensorRT gives.
    """
    kernel = getattr(plugin_triton, spec.kernel)
    pointers, constants = dict(spec.pointers), dict(spec.constants)
    aligned = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in pointers}
    signature = {name: pointers.get(name, "constexpr") for name in kernel.arg_names}
    compiled = triton.compile(
        ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned),
        target=GPUTarget("cuda", capability, THREADS_PER_WARP),
        options={"num_warps": spec.warps, "ptx_version": ptx_version, "enable_fp_fusion": True},
    )
    metadata = compiled.metadata
    check_launchable(spec, metadata.shared, metadata.global_scratch_size + metadata.profile_scratch_size)
    return CompiledKernel(
        metadata.name, without_hidden_parameters(compiled.asm["ptx"], len(pointers)), spec.warps, metadata.shared
    )


def check_launchable(spec: KernelSpec, shared_bytes: int, scratch_bytes: int) -> None:
    if scratch_bytes:
        raise ExportError(
            f"{spec.kernel} needs {scratch_bytes} bytes of scratch memory, which TensorRT can't give a kernel; "
            "build with --kernels native and report this"
        )
    if shared_bytes > SHARED_LIMIT_BYTES:
        raise ExportError(
            f"{spec.kernel} needs {shared_bytes} bytes of shared memory, {SHARED_LIMIT_BYTES} is the most without "
            "asking the driver; build with --kernels native and report this"
        )


ENTRY = re.compile(r"(\.visible \.entry \w+\()(.*?)(\n?\))", re.DOTALL)


def without_hidden_parameters(ptx: str, count: int) -> str:
    """`ptx` with the first `count` parameters of its entry, the others being hidden ones that its code never reads."""
    entry = ENTRY.search(ptx)
    parameters = entry[2].split(",") if entry else []
    unused = [text.split()[-1] for text in parameters[count:]]
    if (
        entry is None
        or len(unused) != HIDDEN_PARAMETERS
        or any(len(re.findall(rf"\b{name}\b", ptx)) > 1 for name in unused)
    ):
        raise ExportError(
            f"this Triton ({triton.__version__}) gives kernels other parameters than expected; "
            "build with --kernels native and report this"
        )
    return ptx[: entry.start(2)] + ",".join(parameters[:count]) + ptx[entry.end(2) :]


def ptx_version(capability: int, driver_cuda: tuple[int, int]) -> int:
    """The newest PTX (90 for 9.0) that Triton writes for this architecture and a driver of this CUDA version reads.

    Raises ExportError where they have none in common.
    """
    writes = ptx_get_version(get_ptxas(capability).version)
    reads = ptx_get_version(".".join(map(str, driver_cuda)))
    needs = LOWEST_PTX.get(capability, 0)
    if min(writes, reads) < needs:
        raise ExportError(
            f"kernels for sm_{capability} need PTX {needs / 10}, this driver (CUDA {driver_cuda[0]}.{driver_cuda[1]}) "
            f"reads up to {reads / 10} and this Triton writes up to {writes / 10}; update the older of them, or build "
            "with --kernels native"
        )
    return int(min(writes, reads))
