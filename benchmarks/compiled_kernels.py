"""Every kernel with every tile of schedule.py, compiled for GPUs that needn't be here, and what came of it.

Triton and the assembler it carries need no GPU and no driver. So what a kernel costs on each architecture (registers,
spills, shared memory, the width of its loads and stores) is known, and tested, on any machine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.machine_code import MachineCode
from ugatit_fast.kernels import (
    adalin_backward_triton,
    adalin_resident_triton,
    adalin_streamed_triton,
    adalin_triton,
    convolution_triton,
    pointwise_triton,
    statistics_triton,
    style_triton,
)
from ugatit_fast.kernels.convolution import HALF
from ugatit_fast.kernels.convolution_layout import RowSplits
from ugatit_fast.kernels.convolution_schedule import (
    SPLITS_AT_ONCE,
    ConvolutionTile,
    convolution_tiles,
    tiles_of_split,
    uses_descriptors,
)
from ugatit_fast.kernels.schedule import (
    COEFFICIENT_TILE,
    FLAT_TILE,
    LINEAR_TILE,
    MAX_ADDED_SPLITS,
    MAX_BACKWARD_SPLITS,
    MAX_SPLITS,
    NORM_TILES,
    REGISTERS_PER_MULTIPROCESSOR,
    STYLE_PROGRAMS,
    THREADS_PER_WARP,
    Gpu,
    ProductTile,
    Tile,
    cdiv,
    power_of_two,
    product_tile,
    resident_tile,
    streamed_tile,
)

Constant = int | float | str | None
"""What a kernel knows when it is compiled: a number, the type of a pointer, or None for a tensor that isn't there."""
SHARED_KIB = {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""Shared memory that one program may have, by compute capability: the architectures that are compiled for."""
SYSTEM_SHARED_BYTES = {75: 0, 80: 1024, 86: 1024, 89: 1024, 90: 1024, 100: 1024, 120: 1024}
"""That the driver takes of it for every program."""
THREADS = {75: 1024, 80: 2048, 86: 1536, 89: 1536, 90: 2048, 100: 2048, 120: 1536}
"""That a multiprocessor runs at once."""
H100 = Gpu((9, 0), 132, 228 * 1024)
"""Whose batches decide how an image is split, whatever the code is compiled for."""
POINTERS = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32"}

FLOAT32_POINTERS = (
    *("gamma", "beta", "rho", "bias", "input_bias", "channel_partials", "layer_partials", "sums", "partials"),
    *("coefficients", "grad_gamma", "grad_beta", "grad_rho", "second", "heads", "bias1", "bias2", "bias3", "hidden"),
)
ACTIVATION_POINTERS = (
    "x",
    "y",
    "residual",
    "grad",
    "grad_x",
    "grad_residual",
    "phases",
    "rows",
    "weight",
    "features",
    "first",
)
ALIGNED_INTEGERS = (
    *("image_elements", "gamma_stride", "beta_stride", "residual_image", "residual_row", "residual_pixel"),
    *("image_stride", "row_stride", "pixel_stride", "split_pixels", "tile_pixels", "pixels"),
    *("k", "split_k", "output_rows", "m"),
)
"""Runtime integers that are multiples of 16 in the network, as Triton notices by itself at a launch."""


@dataclass(frozen=True)
class Case:
    """A kernel with the arguments and tile it has in the network."""

    name: str
    kernel: Any
    options: Mapping[str, Any]
    activation: str
    """Type of the pointers that aren't float32 parameters: *fp16, *bf16 or *fp32."""
    constants: Mapping[str, Constant]
    """Compile-time arguments, and None for tensors that aren't there."""
    pointers: Mapping[str, str]
    """Types of pointers that are neither."""
    elements: int
    """Of activations or weights that a thread works on at once."""
    streamed_bytes: int
    """Their bytes, where it can read 16 at a time; 0 where it can't (pixels of three bytes)."""
    loops: bool
    """Goes through its share in a loop, `elements` at a time."""

    def source(self) -> ASTSource:
        signature, constants, attributes = {}, {}, {}
        for position, parameter in enumerate(self.kernel.params):
            name = parameter.name
            if name in self.constants or parameter.is_constexpr:  # left out, it has its default, as at a launch
                signature[name], constants[name] = "constexpr", self.constants.get(name, parameter.default)
                continue
            signature[name] = kind = self.type_of(name)
            if kind.startswith("*") or name in ALIGNED_INTEGERS:
                attributes[position,] = [["tt.divisibility", 16]]
        return ASTSource(fn=self.kernel, signature=signature, constexprs=constants, attrs=attributes)

    def type_of(self, name: str) -> str:
        if name in self.pointers:
            return self.pointers[name]
        if name in FLOAT32_POINTERS:
            return "*fp32"
        return self.activation if name in ACTIVATION_POINTERS else "i32"


@dataclass(frozen=True)
class Compiled:
    """What the assembler reports of a case on one architecture."""

    name: str
    capability: int
    warps: int
    streamed_bytes: int
    registers: int
    spilled_bytes: int
    shared_bytes: int
    scratch_bytes: int
    wide_loads: int
    """16-byte loads from global memory in the code, into registers or asynchronously into shared memory."""
    wide_stores: int
    instructions: float
    """That a warp issues for an element of each of its threads: of the loop where there is one, else in all."""
    warp_group_products: int
    """Hopper's: of 64 rows by as many channels as a tile has, out of shared memory."""
    descriptor_loads: int
    """Of boxes of a tensor, by TMA."""

    @property
    def programs(self) -> int:
        """That a multiprocessor runs at once, by registers (given out by eights), shared memory and threads."""
        shared = SHARED_KIB[self.capability] * 1024 // max(1, self.shared_bytes + SYSTEM_SHARED_BYTES[self.capability])
        threads = self.warps * THREADS_PER_WARP
        by_registers = REGISTERS_PER_MULTIPROCESSOR // (threads * cdiv(self.registers, 8) * 8)
        return min(by_registers, shared, THREADS[self.capability] // threads)


def compile_case(case: Case, capability: int) -> Compiled:
    """Compile for one architecture of SHARED_KIB."""
    kernel = triton.compile(
        case.source(), target=GPUTarget("cuda", capability, THREADS_PER_WARP), options=dict(case.options)
    )
    code = MachineCode(kernel.asm["cubin"])
    registers, spilled = code.registers_and_spills()
    ptx = kernel.asm["ptx"]
    return Compiled(
        case.name,
        capability,
        case.options["num_warps"],
        case.streamed_bytes,
        registers,
        spilled,
        kernel.metadata.shared,
        kernel.metadata.global_scratch_size + kernel.metadata.profile_scratch_size,
        len(re.findall(r"\bld\.global\S*\.v4\.[bfu]32|\bcp\.async\.cg", ptx)),
        len(re.findall(r"\bst\.global\S*\.v4\.[bfu]32", ptx)),
        round((code.largest_loop() if case.loops else code.straight()) / case.elements, 1),
        code.count("HGMMA"),
        code.count("UTMALDG"),
    )


def cases(capability: int) -> list[Case]:
    """What is compiled for an architecture: each kernel as the network uses it, with the widest choice of arguments.

    Capability 7.5 has no bfloat16.
    """
    return [
        case
        for dtype in POINTERS
        if capability >= 80 or dtype != torch.bfloat16
        for case in cases_of(dtype, capability)
    ]


def gpu_with(capability: int) -> Gpu:
    return Gpu(divmod(capability, 10), 1, SHARED_KIB[capability] * 1024)


def case_of(
    dtype: torch.dtype,
    name: str,
    kernel: object,
    options: Mapping[str, int | None],
    elements: int,
    *,
    wide: bool = True,
    loops: bool = False,
    **arguments: Constant,
) -> Case:
    """arguments: constants, and the types of pointers that are neither activations nor float32 parameters."""
    pointers = {key: value for key, value in arguments.items() if isinstance(value, str)}
    constants = {key: value for key, value in arguments.items() if key not in pointers}
    threads = (options["num_warps"] or 0) * THREADS_PER_WARP
    return Case(
        f"{name}, {str(dtype).removeprefix('torch.')}",
        kernel,
        options,
        POINTERS[dtype],
        constants,
        pointers,
        max(1, elements // threads),
        elements * dtype.itemsize // threads if wide else 0,
        loops,
    )


def convolution_cases(dtype: torch.dtype, capability: int) -> list[Case]:
    """Convolutions of ours with every tile, and the normalisation that follows them: none before Ampere."""
    gpu, trunk, attention = gpu_with(capability), RowSplits(64, 64, 66, 1), RowSplits(64, 64, 64, 1)
    up, batches = RowSplits(128, 128, 130, 1, 4), (1, 32)
    tiles = convolution_tiles(256, 256, gpu)
    found = [convolution_case("convolution 3x3, statistics", dtype, gpu, tile, trunk) for tile in tiles]
    for tile in tiles[:1]:
        found += [
            convolution_case("convolution 1x1, bias, ReLU, reflect 1", dtype, gpu, tile, attention, pad=1),
            streamed_case("streamed instance norm, reflect 1", dtype, gpu, tile, trunk, 1, plain=True),
            streamed_case("streamed AdaLIN, residual, reflect 1", dtype, gpu, tile, trunk, 1),
        ]
        for n in batches:
            some = tiles_of_split(tile, n, 64, up, H100)
            name = f"phases, batch {n}"
            found += [
                convolution_case(f"convolution to {name}, statistics", dtype, gpu, tile, up, some),
                streamed_case(f"streamed ILN after {name}, reflect 3", dtype, gpu, tile, up, 3, some),
            ]
    return found


def convolution_case(
    name: str,
    dtype: torch.dtype,
    gpu: Gpu,
    tile: ConvolutionTile,
    shape: RowSplits,
    tiles: int = 1,
    pad: int = 0,
) -> Case:
    """The convolution to a result of that shape, so many tiles a split; statistics have the place of a border."""
    inputs, c = channels_of(shape)
    kernel = 2 if shape.phases == 4 else 1 + shape.pitch - shape.w
    descriptors = uses_descriptors(gpu, inputs)
    of_descriptor = f"tensordesc<{POINTERS[dtype].removeprefix('*')}[{{}},{tile.inputs}]>"
    boxes = {"x": of_descriptor.format(tile.rows), "weight": of_descriptor.format(tile.channels)}
    without: dict[str, Constant] = dict.fromkeys(("channel_partials", "layer_partials")) if pad else {}
    return case_of(
        dtype, f"{name}, {tile.name}", convolution_triton.convolution_kernel, tile.options(tiles),
        tile.rows * tile.channels,
        wide=not descriptors, loops=True, **(boxes if descriptors else {}), **without,
        h=shape.h, w=shape.w, padded_h=shape.h + shape.pitch - shape.w, pitch=shape.pitch, inputs=inputs, c=c,
        R=kernel, S=kernel, PHASES=shape.phases, PAD=pad, REFLECT=True, ZERO=False, TILES=tiles,
        DESCRIPTORS=descriptors, ROWS=tile.rows, CHANNELS=tile.channels, INPUTS=tile.inputs,
    )  # fmt: skip


def streamed_case(
    name: str,
    dtype: torch.dtype,
    gpu: Gpu,
    of_convolution: ConvolutionTile,
    shape: RowSplits,
    pad: int,
    tiles: int = 1,
    *,
    plain: bool = False,
) -> Case:
    """The normalisation after such a convolution; plain: instance norm without a residual."""
    tile, side = streamed_tile(dtype, gpu), shape.h * (2 if shape.phases == 4 else 1)
    splits, (_, c) = replace(shape, rows=of_convolution.rows * tiles), channels_of(shape)
    residual = not plain and shape.phases == 1
    absent = ("gamma", "beta", "rho", "bias", "residual") if plain else ("bias",) if residual else ("bias", "residual")
    missing: dict[str, Any] = dict.fromkeys(absent)
    return case_of(
        dtype, name, adalin_streamed_triton.streamed_kernel, tile.options, tile.rows * tile.channels, **missing,
        h=side, w=side, c=c, residual_row=66 * c if residual else 0, residual_pixel=c if residual else 0,
        pitch=splits.pitch, PHASES=splits.phases, SPLIT_ROWS=splits.rows, PARTIAL_CHANNELS=of_convolution.channels,
        RELU=True, SLOPE=0.0, PAD=pad, REFLECT=True, ZERO=False, UNBIASED=1, EPS=1e-5,
        SPLITS=min(SPLITS_AT_ONCE, power_of_two(splits.count)),
        PAIRS=power_of_two(splits.count * cdiv(c, of_convolution.channels)), ROWS=tile.rows, CHANNELS=tile.channels,
    )  # fmt: skip


def channels_of(shape: RowSplits) -> tuple[int, int]:
    """Inputs and outputs of the network's convolution with such a result."""
    return (128, 64) if shape.phases == 4 else (256, 256)


def cases_of(dtype: torch.dtype, capability: int) -> list[Case]:
    gpu = gpu_with(capability)
    tiles = NORM_TILES[dtype]

    def case(name: str, kernel: object, tile: Tile | ProductTile, elements: int, **arguments: Any) -> Case:
        return case_of(dtype, name, kernel, tile.options, elements, **arguments)

    def norm(c: int, pad: int, reflect: bool = True) -> dict[str, Any]:
        ending: dict[str, Any] = {"RELU": True, "SLOPE": 0.0, "PAD": pad, "REFLECT": reflect, "ZERO": False}
        return {"c": c, **ending, "UNBIASED": 1, "EPS": 1e-5, "EPS_OUTSIDE": False}

    def size(
        c: int, side: int, pad: int = 1, phases: bool = False, tiles: int = 1, zero: bool = False
    ) -> dict[str, Any]:
        reflect = not phases or pad > 1
        ending = norm(c, pad, reflect) | ({"ZERO": True, "SLOPE": 0.2} if zero else {})
        return {"h": side, "w": side, "PHASES": phases, "TILES": tiles, **ending}

    def rows(tile: Tile) -> dict[str, Any]:
        return {"ROWS": tile.rows, "CHANNELS": tile.channels}

    def partials(tile: Tile, splits: int, c: int) -> dict[str, Any]:
        return {"SPLITS": splits, "PAIRS": splits * c // tile.channels}

    adalin, backward, statistics = adalin_triton, adalin_backward_triton, statistics_triton.statistics_kernel
    resident_kernel = adalin_resident_triton.resident_kernel
    resident, streamed, sweep = resident_tile(dtype, gpu), tiles.apply, tiles.backward
    of_statistics: dict[str, Any] = {"PARTIAL_CHANNELS": tiles.statistics.channels}
    plain: dict[str, Any] = dict.fromkeys(("gamma", "beta", "rho", "bias", "layer_partials"))
    style: dict[str, Any] = {
        "PROGRAMS": STYLE_PROGRAMS, "SPLITS": MAX_ADDED_SPLITS, "ROWS": LINEAR_TILE.rows,
        "INPUTS": LINEAR_TILE.channels,
    }  # fmt: skip
    found = [
        case(
            "statistics", statistics, tiles.statistics, tiles.statistics.rows * tiles.statistics.channels,
            loops=True, c=256, PHASES=False, bias=None, **rows(tiles.statistics),
        ),
        case(
            "statistics of phases", statistics, tiles.statistics, tiles.statistics.rows * tiles.statistics.channels,
            loops=True, c=64, PHASES=True, **rows(tiles.statistics),
        ),
        case(
            "apply AdaLIN, residual, reflect 1", adalin.apply_kernel, streamed, streamed.rows * streamed.channels,
            loops=True, PHASES=False, **norm(256, 1), **of_statistics, **rows(streamed),
            **partials(tiles.statistics, MAX_SPLITS, 256),
        ),
        case(
            "apply ILN of phases, reflect 3", adalin.apply_kernel, streamed, streamed.rows * streamed.channels,
            loops=True, PHASES=True, residual=None, bias=None, **norm(64, 3), **of_statistics,
            **rows(streamed), **partials(tiles.statistics, MAX_SPLITS, 64),
        ),
        case(
            "resident instance norm, reflect 1", resident_kernel, resident, resident.rows * resident.channels,
            counters="*i32", residual=None, residual_row=0, residual_pixel=0, **plain, **size(256, 64),
            **rows(resident), **partials(resident, 8, 256),
        ),
        case(
            "resident AdaLIN, residual, reflect 1", resident_kernel, resident, resident.rows * resident.channels,
            counters="*i32", bias=None, residual_row=66 * 256, residual_pixel=256, **size(256, 64), **rows(resident),
            **partials(resident, 8, 256),
        ),
        case(
            "resident ILN of phases, replicate 1", resident_kernel, resident, resident.rows * resident.channels,
            counters="*i32", residual=None, residual_row=0, residual_pixel=0, bias=None,
            **size(128, 128, phases=True), **rows(resident), **partials(resident, 32, 128),
        ),
        case(
            "resident instance norm of phases, LeakyReLU, zero 1", resident_kernel, resident,
            resident.rows * resident.channels, counters="*i32", residual=None, residual_row=0, residual_pixel=0,
            **plain, **size(128, 128, phases=True, zero=True), **rows(resident), **partials(resident, 32, 128),
        ),
        case(
            "resident ILN of phases, reflect 3, two tiles", resident_kernel, resident,
            resident.rows * resident.channels, counters="*i32", residual=None, residual_row=0, residual_pixel=0,
            bias=None, **size(64, 256, 3, phases=True, tiles=2), **rows(resident), **partials(resident, 128, 64),
        ),
        case(
            "backward sums", backward.gradient_sums_kernel, sweep, sweep.rows * sweep.channels,
            loops=True, **norm(256, 1), **of_statistics, **rows(sweep),
            **partials(tiles.statistics, MAX_BACKWARD_SPLITS, 256),
        ),
        case(
            "backward apply", backward.gradient_kernel, sweep, sweep.rows * sweep.channels,
            loops=True, c=256, RELU=True, PAD=1, REFLECT=True, **rows(sweep),
        ),
        case(
            "bias_relu, reflect 1", pointwise_triton.bias_relu_kernel, streamed, streamed.rows * streamed.channels,
            c=256, PAD=1, REFLECT=True, residual=None, SLOPE=0.0, ZERO=False, **rows(streamed),
        ),
        case(
            "bias_relu, residual, no ReLU, zero 1", pointwise_triton.bias_relu_kernel, streamed,
            streamed.rows * streamed.channels, c=256, PAD=1, REFLECT=False, ZERO=True, SLOPE=1.0, **rows(streamed),
        ),
        case(
            "interleave_phases", pointwise_triton.interleave_kernel, streamed, streamed.rows * streamed.channels,
            c=128, **rows(streamed),
        ),
        case(
            "normalise_image, reflect 3", pointwise_triton.normalise_image_kernel, FLAT_TILE, FLAT_TILE.rows,
            wide=False, image="*u8", CHANNELS=8, PAD=3, REFLECT=True, ZERO=False, BLOCK=FLAT_TILE.rows,
        ),
        case(
            "rows_to_image", pointwise_triton.rows_to_image_kernel, FLAT_TILE, FLAT_TILE.rows, wide=False,
            image="*u8", CHANNELS=24, KERNEL_ROWS=7, BLOCK=FLAT_TILE.rows,
        ),
        case(
            "style, light", style_triton.style_kernel, LINEAR_TILE, LINEAR_TILE.rows * LINEAR_TILE.channels,
            loops=True, counters="*i32", c=256, **style, POOL_ROWS=streamed.rows, POOL_CHANNELS=streamed.channels,
        ),
    ]  # fmt: skip
    product = product_tile(dtype.itemsize, gpu)
    found.append(
        case(
            "style product",
            style_triton.split_product_kernel,
            product,
            product.rows * product.inputs,
            loops=True,
            ROWS=product.rows,
            INPUTS=product.inputs,
            IMAGES=product.images,
        )
    )
    if dtype in HALF:
        found += convolution_cases(dtype, capability)
    if dtype == torch.float32:  # float32 whatever the activations are
        found += [
            case(
                "backward coefficients", backward.coefficients_kernel, COEFFICIENT_TILE, 256, wide=False,
                c=256, UNBIASED=1, EPS=1e-5, CHANNELS=256, **of_statistics,
                **partials(tiles.statistics, MAX_BACKWARD_SPLITS, 256),
            ),
            case(
                "style after the product", style_triton.style_kernel, LINEAR_TILE,
                LINEAR_TILE.rows * LINEAR_TILE.channels, loops=True,
                counters="*i32", x=None, first=None, c=256, **style, POOL_ROWS=1, POOL_CHANNELS=1,
            ),
        ]  # fmt: skip
    return found
