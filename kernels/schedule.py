"""Which schedule and which tiles a normalisation runs with: data, and one pure function of shape and GPU.

Nothing here has been timed yet. The tiles are chosen by occupancy arithmetic and by what the compiler reports
(registers, spills; the table in README.md): 64 elements a thread are eight 16-byte float16 loads in flight before the
first use, and fit 255 registers with their float32 copies, so that two programs of four warps always share a
multiprocessor's 65,536.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

REGISTERS_PER_MULTIPROCESSOR = 65_536  # every GPU from compute capability 7.5 to 12.0
MAX_REGISTERS = 255  # of a thread
MOST_REGISTERS_FOR_FOUR, MOST_REGISTERS_FOR_THREE = 128, 168
"""Of a thread, so that so many programs of four warps run on a multiprocessor at once."""
THREADS_PER_WARP = 32


@dataclass(frozen=True)
class Gpu:
    """What the choice depends on."""

    capability: tuple[int, int]
    multiprocessors: int
    shared_bytes: int
    """Shared memory of a multiprocessor."""


@dataclass(frozen=True)
class Tile:
    """What one program holds at once: rows (pixels) x channels, both powers of two, and the warps that share it.

    `registers` caps those of a thread.
    """

    rows: int
    channels: int
    warps: int
    registers: int | None = None

    @property
    def options(self) -> dict[str, int | None]:
        """What Triton is told about the launch. Fused multiply-adds are named, as its default is about to change."""
        return {"num_warps": self.warps, "maxnreg": self.registers, "enable_fp_fusion": True}

    def fitted(self, pixels: int, c: int) -> "Tile":
        """The tile for an image that doesn't fill it: no wider than the channels, no taller than the pixels."""
        channels = min(self.channels, power_of_two(c))
        return replace(self, rows=min(self.rows, power_of_two(pixels)), channels=channels)


@dataclass(frozen=True)
class NormTiles:
    """The tiles of the normalisation kernels for activations of one dtype, and why."""

    resident: Tile
    statistics: Tile
    apply: Tile
    backward: Tile
    programs: int
    """A multiprocessor's, in the kernels that aren't resident: images are split until about so many have work."""
    reason: str


FLOAT16_TILES = NormTiles(
    resident=Tile(512, 16, 4, registers=MOST_REGISTERS_FOR_FOUR),
    statistics=Tile(64, 64, 4),
    apply=Tile(64, 64, 4),
    backward=Tile(32, 64, 4, registers=168),
    programs=4,
    reason="not timed: 64 elements a thread held, in registers for four programs a multiprocessor, 32 streamed; 16 "
    "channels are one 32-byte sector a pixel and leave few splits to combine, 64 are a whole 128-byte line",
)
NORM_TILES: dict[torch.dtype, NormTiles] = {
    torch.float16: FLOAT16_TILES,
    torch.bfloat16: replace(
        FLOAT16_TILES,
        resident=Tile(512, 16, 4, registers=MOST_REGISTERS_FOR_THREE),
        reason="not timed: as float16; converting takes more registers than 128",
    ),
    torch.float32: NormTiles(
        resident=Tile(512, 16, 4, registers=255),
        statistics=Tile(64, 32, 4),
        apply=Tile(64, 32, 4),
        backward=Tile(32, 32, 4, registers=128),
        programs=4,
        reason="not timed: as float16, with lines of half as many channels; alone, the assembler spills in backward",
    ),
}

COEFFICIENT_TILE = Tile(1, 1, 8, registers=168)
"""Of the backward kernel that sees all channels of an image at once; its width is that of the image."""
FLAT_TILE = Tile(1024, 1, 4)
"""Elements of a program in the kernels at both ends of the network: not timed."""
MAX_SPLITS = 64
"""Of an image in the two-stage schedule: every program of the second stage reads all of them."""
MAX_BACKWARD_SPLITS = 32
"""Likewise: one program reads those of all channels."""
MAX_RESIDENT_PAIRS = 1024
"""Tiles of an image in the resident schedule: every program reads a pair of numbers of each."""
RESIDENT_TILES = (1, 2, 4)
"""Of a program in the resident schedule, the fewest that do: all but one are read twice, the second time from L2."""
MAX_RESIDENT_IMAGES = 1023
"""Images whose barriers fit the counters of a stream."""


@dataclass(frozen=True)
class NormPlan:
    """How one normalisation is launched. `apply` is None for the resident schedule."""

    statistics: Tile
    apply: Tile | None
    splits: int
    split_pixels: int
    apply_pixels: int
    tiles: int = 1
    """Of a program in the resident schedule; divides `splits`."""

    @property
    def resident(self) -> bool:
        return self.apply is None


def norm_plan(n: int, c: int, h: int, w: int, dtype: torch.dtype, pad: int, pad_mode: str, gpu: Gpu) -> NormPlan:
    """The plan for x (n, c, h, w): resident where a good part of an image may stay on the GPU, else two-stage.

    An image gets half of the GPU's places, so that another is read or written while it waits, and so that launches on
    two streams never wait for places that the other holds.
    """
    if n <= MAX_RESIDENT_IMAGES and (pad_mode == "reflect" or pad <= 1):
        tile = resident_tile(dtype, gpu).fitted(h * w, c)
        splits, channel_tiles = cdiv(h * w, tile.rows), cdiv(c, tile.channels)
        places = resident_programs(tile, gpu) // 2
        for tiles in RESIDENT_TILES:
            if splits % tiles == 0 and splits // tiles * channel_tiles <= places:
                if splits * channel_tiles <= MAX_RESIDENT_PAIRS:
                    return NormPlan(tile, None, splits, tile.rows, 0, tiles)
                break
    return two_stage_plan(n, c, h, w, dtype, pad, gpu)


def resident_tile(dtype: torch.dtype, gpu: Gpu) -> Tile:
    """The table's, with registers enough for the assembler of 7.5 and 8.0, which needs more for the same code."""
    tile = NORM_TILES[dtype].resident
    if gpu.capability > (8, 0) or tile.registers is None:
        return tile
    return replace(tile, registers=max(tile.registers, MOST_REGISTERS_FOR_THREE))


def streamed_tile(dtype: torch.dtype, gpu: Gpu) -> Tile:
    """The resident one, which here waits for nobody: with registers enough for the assembler of 10.0, too."""
    tile = resident_tile(dtype, gpu)
    if gpu.capability[0] != 10 or tile.registers is None:
        return tile
    return replace(tile, registers=max(tile.registers, MOST_REGISTERS_FOR_THREE))


def resident_programs(tile: Tile, gpu: Gpu) -> int:
    """Programs that certainly run at once: as many as have the most registers that a program may get."""
    registers = tile.warps * THREADS_PER_WARP * cdiv(tile.registers or MAX_REGISTERS, 8) * 8  # given out by eights
    return gpu.multiprocessors * (REGISTERS_PER_MULTIPROCESSOR // registers)


def two_stage_plan(n: int, c: int, h: int, w: int, dtype: torch.dtype, pad: int, gpu: Gpu) -> NormPlan:
    """Splits and tiles so that both stages have a few programs for every multiprocessor."""
    tiles = NORM_TILES[dtype]
    statistics = tiles.statistics.fitted(h * w, c)
    apply = tiles.apply.fitted((h + 2 * pad) * (w + 2 * pad), c)
    wanted = tiles.programs * gpu.multiprocessors
    splits, split_pixels = even_splits(n, c, h * w, statistics, wanted, MAX_SPLITS)
    apply_pixels = streamed_pixels(n, c, (h + 2 * pad) * (w + 2 * pad), apply, wanted)
    return NormPlan(statistics, apply, splits, split_pixels, apply_pixels)


@dataclass(frozen=True)
class BackwardPlan:
    """How the backward kernels are launched."""

    statistics: Tile
    tile: Tile
    splits: int
    split_pixels: int
    tile_pixels: int


def backward_plan(n: int, c: int, h: int, w: int, dtype: torch.dtype, gpu: Gpu) -> BackwardPlan:
    """The plan for the gradients of x (n, c, h, w)."""
    tiles = NORM_TILES[dtype]
    statistics, tile = tiles.statistics.fitted(h * w, c), tiles.backward.fitted(h * w, c)
    wanted = min(tiles.programs * gpu.multiprocessors, resident_programs(tile, gpu))
    splits, split_pixels = even_splits(n, c, h * w, statistics, wanted, MAX_BACKWARD_SPLITS)
    return BackwardPlan(statistics, tile, splits, split_pixels, streamed_pixels(n, c, h * w, tile, wanted))


def even_splits(n: int, c: int, pixels: int, tile: Tile, wanted: int, most: int) -> tuple[int, int]:
    """(splits of an image, pixels of each but the last) for at most `wanted` programs, or one split an image: whole
    tiles, none empty. A few programs more would wait for a place, and all others for them.
    """
    splits = min(most, cdiv(pixels, tile.rows), max(1, wanted // (n * cdiv(c, tile.channels))))
    split_pixels = cdiv(cdiv(pixels, splits), tile.rows) * tile.rows
    return cdiv(pixels, split_pixels), split_pixels


def streamed_pixels(n: int, c: int, pixels: int, tile: Tile, wanted: int) -> int:
    """Pixels that each of at most `wanted` programs, or one an image, streams through: whole tiles."""
    return even_splits(n, c, pixels, tile, wanted, pixels)[1]


@dataclass(frozen=True)
class ProductTile:
    """What a program of the split-K product multiplies at once: rows x inputs of the weights, for some images."""

    rows: int
    inputs: int
    images: int
    warps: int
    stages: int
    """Tiles of weights on their way into shared memory at once."""

    @property
    def options(self) -> dict[str, int | None]:
        """As of a `Tile`."""
        return {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": True}

    def shared_bytes(self, item_bytes: int) -> int:
        return self.stages * (self.rows + self.images) * self.inputs * item_bytes


PRODUCT_TILE = ProductTile(rows=64, inputs=128, images=16, warps=4, stages=3)
"""Not timed: 16 KiB of weights a tile, two on their way while one is multiplied, so that the three programs of a big
multiprocessor keep 96 KiB in flight (hiding memory's latency at full bandwidth takes about 30). 16 images are the least
that tensor cores take."""
SMALL_PRODUCT_TILE = ProductTile(rows=64, inputs=32, images=16, warps=4, stages=2)
"""Not timed: exact float32 products, and all on capability 7.5, run on the plain cores, out of registers."""
LINEAR_TILE = Tile(8, 256, 4, registers=128)
"""Rows and inputs of a layer's part; not timed. Alone, the assembler spills on 10.0 and 12.0."""
STYLE_PROGRAMS = 32
"""Of an image: with eight rows each they share a 256 x 256 layer out evenly. Not timed."""
MAX_POOL_SPLITS = 16
MAX_PRODUCT_SPLITS = 128
"""Every program of the next layer adds these up."""
MAX_ADDED_SPLITS = 32
"""At once: 64 numbers a thread."""


@dataclass(frozen=True)
class StylePlan:
    """The first layer of `style`: its tile, and its splits, which are runs of pixels (light) or of inputs (full)."""

    tile: Tile | ProductTile
    splits: int
    split_size: int
    programs: int = STYLE_PROGRAMS
    """Of an image, in the kernel that goes through all layers."""


def style_plan(x: Tensor, first: Tensor, gpu: Gpu) -> StylePlan:
    """The plan for features x (n, c, h, w) and a first layer (c, c) or (c, c h w)."""
    n, c, h, w = x.shape
    inputs, weight_bytes = first.shape[1], first.element_size()
    if inputs == c:
        tile = NORM_TILES[x.dtype].apply.fitted(h * w, c)
        return StylePlan(tile, *even_splits(n, c, h * w, tile, gpu.multiprocessors, MAX_POOL_SPLITS))
    product = product_tile(weight_bytes, gpu)
    # All programs run at once, so that none is left over for a second round.
    programs = gpu.multiprocessors * max(1, gpu.shared_bytes // product.shared_bytes(weight_bytes))
    splits = min(MAX_PRODUCT_SPLITS, max(1, programs // cdiv(c, product.rows)), cdiv(inputs, product.inputs))
    split_size = cdiv(cdiv(inputs, splits), product.inputs) * product.inputs
    return StylePlan(product, cdiv(inputs, split_size), split_size)


def product_tile(weight_bytes: int, gpu: Gpu) -> ProductTile:
    """The tile for weights of so many bytes."""
    return SMALL_PRODUCT_TILE if weight_bytes == 4 or gpu.capability < (8, 0) else PRODUCT_TILE


@cache
def gpu_of(device: torch.device) -> Gpu:
    """The GPU that a device names."""
    properties = torch.cuda.get_device_properties(device)
    return Gpu(
        (properties.major, properties.minor),
        properties.multi_processor_count,
        properties.shared_memory_per_multiprocessor,
    )


def cdiv(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def power_of_two(a: int) -> int:
    """The smallest power of two that is at least a."""
    return 1 << (a - 1).bit_length()
