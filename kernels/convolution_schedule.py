"""Which tiles a convolution of ours may run with, and how an image is split: data, and pure functions of shape and GPU.

Nothing here has been timed. Tiles are chosen by what the compiler reports (registers, spills, shared memory; the table
in README.md) and by waves: the trunk of one 256x256 picture is 132 programs of 128 x 64, as many as an H100 has
multiprocessors. Which tile a layer runs with, and whether it runs with any, is measured on the GPU that it runs on
(ugatit_fast/backends/convolutions.py).
"""

from dataclasses import dataclass, replace

from ugatit_fast.kernels.convolution_layout import RowSplits
from ugatit_fast.kernels.schedule import MAX_REGISTERS, Gpu, cdiv, power_of_two

LEAST = 16
"""Rows and channels of a product that tensor cores take."""
MAX_CONVOLUTION_SPLITS = 264
"""Of an image. Every program of the normalisation that follows reads those of its channels: 260 (130 lines of an
up-sampled image, two a split, in four phases) are half as many numbers as it has pixels to normalise.
"""
SPLITS_AT_ONCE = 64
"""That such a program combines at once, 8 numbers a thread; no image has more where a batch fills the GPU."""
PROGRAMS = 4
"""A multiprocessor's, with which a convolution fills the GPU."""


@dataclass(frozen=True)
class ConvolutionTile:
    """What one program multiplies: rows (padded pixels) x channels of the result, and inputs of a tap at once.

    All are powers of two. `stages`: tiles of operands on their way into shared memory.
    """

    rows: int
    channels: int
    inputs: int
    warps: int
    stages: int

    @property
    def name(self) -> str:
        """For people and for the file of choices."""
        return f"{self.rows}x{self.channels}"

    def options(self, tiles: int) -> dict[str, int | None]:
        """As of `schedule.Tile`, for so many tiles a split. Keeping statistics from one to the next takes registers, of
        which the assembler by itself gives as few as three programs a multiprocessor leave, and spills on 12.0.
        """
        registers = MAX_REGISTERS if tiles > 1 else None
        return {
            "num_warps": self.warps,
            "num_stages": self.stages,
            "maxnreg": registers,
            "enable_fp_fusion": True,
        }

    def fitted(self, inputs: int, c: int) -> "ConvolutionTile":
        """The tile for a convolution that doesn't fill it: no wider than its channels, on either side."""
        return replace(
            self,
            channels=min(self.channels, max(LEAST, power_of_two(c))),
            inputs=min(self.inputs, max(LEAST, power_of_two(inputs))),
        )


HOPPER_TILES = (
    ConvolutionTile(rows=128, channels=64, inputs=64, warps=4, stages=4),
    ConvolutionTile(rows=128, channels=128, inputs=64, warps=8, stages=3),
    ConvolutionTile(rows=128, channels=256, inputs=64, warps=8, stages=4),
)
"""96 KiB of shared memory for two programs a multiprocessor, whose products hide each other's loads and stores; and
tiles with more arithmetic for each byte read, for batches.
"""
BLACKWELL_TILES = (replace(HOPPER_TILES[0], warps=8), *HOPPER_TILES[1:])
"""As Hopper's. Sums lie in tensor memory, and come from there all at once: that spills with four warps."""
AMPERE_TILES = (
    ConvolutionTile(rows=128, channels=64, inputs=32, warps=4, stages=4),
    ConvolutionTile(rows=128, channels=128, inputs=32, warps=8, stages=3),
)
"""For plain pointers, and for the 99 KiB of shared memory that there are on 8.6, 8.9 and 12.0."""


def uses_descriptors(gpu: Gpu, inputs: int) -> bool:
    """Whether boxes come by descriptors (TMA): on 9.0 and 10.0, where rows begin at multiples of 16 bytes."""
    return (9, 0) <= gpu.capability < (12, 0) and inputs % 8 == 0


def convolution_tiles(inputs: int, c: int, gpu: Gpu) -> tuple[ConvolutionTile, ...]:
    """The tiles worth trying for a convolution to c channels (of a phase), the smallest first; none before Ampere."""
    if gpu.capability < (8, 0):
        return ()
    tiles: tuple[ConvolutionTile, ...] = AMPERE_TILES
    if uses_descriptors(gpu, inputs):
        tiles = BLACKWELL_TILES if gpu.capability >= (10, 0) else HOPPER_TILES
    fitted = (tile.fitted(inputs, c) for tile in reversed(tiles))
    return tuple(reversed({tile.name: tile for tile in fitted}.values()))  # of one size, that with the fewest warps


def convolution_tile(rows: int, channels: int, inputs: int, c: int, gpu: Gpu) -> ConvolutionTile:
    """The tile of that size. ValueError where there is none."""
    tiles = convolution_tiles(inputs, c, gpu)
    for tile in tiles:
        if (tile.rows, tile.channels) == (rows, channels):
            return tile
    known = ", ".join(tile.name for tile in tiles) or "none"
    raise ValueError(f"convolution: this GPU has no tile {rows}x{channels} for {inputs} to {c} channels, only {known}")


def tiles_of_split(tile: ConvolutionTile, n: int, c: int, one: RowSplits, gpu: Gpu) -> int:
    """The fewest tiles a split with which an image of n has no more splits than may be.

    one: the splits of a result with c channels (of a phase), whatever their rows.
    """
    one = replace(one, rows=tile.rows)
    for_all = cdiv(PROGRAMS * gpu.multiprocessors, max(1, n) * cdiv(c, tile.channels))
    most = max(SPLITS_AT_ONCE, min(MAX_CONVOLUTION_SPLITS, for_all))
    tiles = one.of_phase
    return next(some for some in range(1, tiles + 1) if one.phases * cdiv(tiles, some) <= most)


def usual_tile(tiles: tuple[ConvolutionTile, ...], n: int, c: int, one: RowSplits, gpu: Gpu) -> ConvolutionTile:
    """Where nothing is measured: the largest of `tiles` that leaves no multiprocessor idle, or the smallest."""

    def programs(tile: ConvolutionTile) -> int:
        return n * replace(one, rows=tile.rows).count * cdiv(c, tile.channels)

    return next((tile for tile in reversed(tiles) if programs(tile) >= gpu.multiprocessors), tiles[0])
