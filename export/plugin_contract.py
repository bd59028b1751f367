"""What a graph and TensorRT's plugins agree on: names, version, attributes, and the shapes of their statistics."""

from collections.abc import Mapping
from dataclasses import dataclass

from ugatit_fast.export.onnx_builder import DOMAIN, Attribute
from ugatit_fast.graph import FoldedNetwork

KERNEL_VERSION = 1
"""Of the TensorRT plugins and their kernels; part of their names and of the timing cache's, since TensorRT caches how
long a plugin took under its name and shapes alone. Goes up with every change to them.
"""
STATS = f"channel_stats_v{KERNEL_VERSION}"
APPLY = f"norm_apply_v{KERNEL_VERSION}"
APPLY_ADD = f"norm_apply_add_v{KERNEL_VERSION}"
"""Operators, their functions and their plugins have one name each."""
PLUGIN: Mapping[str, Attribute] = {"plugin_namespace": DOMAIN, "aot": 1}
WANTED_PROGRAMS = 512
"""Of a statistics kernel: about four for every multiprocessor of the largest GPUs. Not timed."""
LARGEST_SPLIT_COUNT = 32
"""Every program of the second kernel reads the statistics of all splits."""
SMALLEST_SPLIT_PIXELS = 64
CHANNEL_TILE = 64
"""Channels of a program: a 128-byte line of float16."""


@dataclass(frozen=True)
class PluginShapes:
    """What the splits of the statistics depend on: images in a batch, and pixels of an image by its channels."""

    batch: int
    pixels: Mapping[int, int]

    @classmethod
    def of(cls, folded: FoldedNetwork, batch: int, height: int, width: int) -> "PluginShapes":
        """For inputs (batch, height, width, 3)."""
        return cls(batch, pixels_by_channels(folded, height, width))

    def splits(self, channels: int) -> int:
        """Runs of pixels of equal length whose statistics are taken apart: enough for a whole GPU, none too short."""
        pixels = self.pixels[channels]
        most = min(LARGEST_SPLIT_COUNT, pixels // SMALLEST_SPLIT_PIXELS)
        wanted = max(1, min(most, -(-WANTED_PROGRAMS // (self.batch * tiles_of(channels)))))
        return max(splits for splits in range(1, wanted + 1) if pixels % splits == 0)


def pixels_by_channels(folded: FoldedNetwork, height: int, width: int) -> dict[int, int]:
    """Pixels of an activation by its channels, which no two resolutions of a network share."""
    return {
        channels: (height >> i) * (width >> i)
        for widths in (folded.widths, folded.decoder_widths)
        for i, channels in enumerate(widths)
    }


def tiles_of(channels: int) -> int:
    """Tiles of equal size that the channels of a layer are taken in."""
    return channels // CHANNEL_TILE if channels % CHANNEL_TILE == 0 else 1
