"""What the folded graph has to do, counted from the graph itself, and the time that the hardware's limits set for it.

Multiply-adds are those of convolutions (direct form, only outputs that somebody needs) and linear layers; the rest is
counted in bytes: every operation reads each input once and writes its output once. A convolution and the
normalisation after it are two operations, since a statistic needs the whole image before its first use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ugatit_fast.architectures import architecture_of, fold
from ugatit_fast.backends.convolutions import layer_of
from ugatit_fast.choices import Precision, Upsampling
from ugatit_fast.folded_weights import (
    AttentionWeights,
    ConvolutionWeights,
    MlpWeights,
    SoftStyleWeights,
    StageWeights,
    StyleWeights,
    WideUpWeights,
)
from ugatit_fast.graph import StageOptions
from ugatit_fast.kernels.convolution_schedule import tiles_of_split
from ugatit_fast.kernels.image import COLOURS
from ugatit_fast.kernels.schedule import Gpu, cdiv
from ugatit_fast.model import Config

FLOAT32_BYTES = 4


class Activation(NamedTuple):
    """Shape of a batch of activations, border included."""

    n: int
    c: int
    h: int
    w: int

    @property
    def elements(self) -> int:
        return self.n * self.c * self.h * self.w

    def inside(self, border: int) -> "Activation":
        return self._replace(h=self.h - 2 * border, w=self.w - 2 * border)


@dataclass(frozen=True)
class Work:
    """What one operation of the graph costs at least."""

    name: str
    macs: int
    bytes: int


class CountingOperations:
    """Walks the folded network and writes down the cost of each operation; see `ugatit_fast.graph.Operations`."""

    def __init__(self, item_bytes: int, ours_on: Gpu | None = None) -> None:
        """item_bytes: of an activation. ours_on: a GPU that runs our convolutions wherever they may be; cuDNN's
        everywhere unless given.
        """
        self.item_bytes, self.gpu = item_bytes, ours_on
        self.work: list[Work] = []

    def is_ours(self, x: Activation, weight: Tensor, stride: int = 1) -> bool:
        return self.gpu is not None and stride == 1 and bool(layer_of("AdaLIN", x, weight).tiles(self.gpu))

    def partials(self, x: Activation, weight: Tensor, *, phases: bool = False) -> int:
        """Bytes of the statistics that a convolution of ours leaves for its normalisation."""
        assert self.gpu is not None, "only ours leaves any"
        layer = layer_of("AdaLIN", x, weight, phases)
        tile = layer.usual(self.gpu)
        assert tile is not None, "who is ours has a tile"
        tiles = tiles_of_split(tile, x.n, layer.outputs, layer.splits, self.gpu)
        splits = replace(layer.splits, rows=tile.rows * tiles).count
        return x.n * splits * 2 * FLOAT32_BYTES * (layer.outputs + cdiv(layer.outputs, tile.channels))

    def add(self, name: str, macs: int, read: Sequence[int], written: int) -> None:
        self.work.append(Work(name, macs, sum(read) + written))

    def size(self, x: Activation) -> int:
        return x.elements * self.item_bytes

    def convolution(
        self, name: str, x: Activation, weight: Tensor, y: Activation, needed: int, partials: int = 0
    ) -> None:
        """y = weight * x, of which `needed` values are ever looked at."""
        taps = weight[0].numel()
        self.add(name, needed * taps, [self.size(x), weight.nbytes], self.size(y) + partials)

    def normalisation(self, x: Activation, residual: Activation | None, y: Activation, partials: int = 0) -> None:
        """residual: what of it is added."""
        added = 0 if residual is None else self.size(residual)
        style = 2 * x.n * y.c * FLOAT32_BYTES
        self.add("normalise", 0, [self.size(x), added, style, partials], self.size(y))

    def normalise(self, image: Activation, pad: int, pad_mode: str = "reflect") -> Activation:
        """image: uint8 (n, 3, h, w), whatever its layout."""
        x = padded(image, pad)
        self.add("picture to floats", 0, [image.elements], self.size(x))
        return x

    def stage(
        self,
        x: Activation,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: None = None,
        residual: Activation | None = None,
    ) -> Activation:
        k, _, rows, columns = weights.weight.shape
        y = Activation(x.n, k, (x.h - rows) // options.stride + 1, (x.w - columns) // options.stride + 1)
        followed = options.norm and not (options.slope or options.depthwise)
        ours = followed and self.is_ours(x, weights.weight, options.stride)
        partials = self.partials(x, weights.weight) if ours else 0
        self.convolution(f"convolution {rows}x{columns}", x, weights.weight, y, y.elements, partials)
        added = None if residual is None else residual.inside(options.residual_border)
        self.normalisation(y, added, padded(y, options.pad), partials)
        return padded(y, options.pad)

    def joined(self, skipped: Activation, x: Activation) -> Activation:
        both = x._replace(c=skipped.c + x.c)
        self.add("concatenate", 0, [self.size(skipped), self.size(x)], self.size(both))
        return both

    def with_constants(self, x: Activation, more: int, shift: None = None, *, pad_mode: str) -> Activation:
        wide = x._replace(c=x.c + more)
        self.add("constant channels", 0, [self.size(x)], self.size(wide))
        return wide

    def preactivated(self, x: Activation, weights: StageWeights) -> Activation:
        y, bordered = x._replace(c=len(weights.weight)), padded(x, 1)
        self.add("normalise", 0, [self.size(x)], self.size(bordered))
        self.convolution("convolution 3x3", bordered, weights.weight, y, y.elements)
        return y

    def joined_onto(self, x: Activation, parts: Sequence[Activation]) -> Activation:
        self.add("concatenate and add", 0, [self.size(one) for one in (x, *parts)], self.size(x))
        return x

    def pooled(self, x: Activation) -> Activation:
        return self.resampled("means of 2x2", x, x.h // 2, x.w // 2, 0)

    def doubled_onto(self, x: Activation, skipped: Activation) -> Activation:
        self.add("nearest x2 and add", 0, [self.size(x), self.size(skipped)], self.size(skipped))
        return skipped

    def up_stage(self, x: Activation, weights: StageWeights, options: StageOptions) -> Activation:
        """cuDNN's: each of the four phases has one row and column that no pixel of the image comes from."""
        phases = Activation(x.n, len(weights.weight), x.h - 1, x.w - 1)
        y = Activation(x.n, phases.c // 4, 2 * (x.h - 2), 2 * (x.w - 2))
        ours = self.is_ours(x, weights.weight)
        partials = self.partials(x, weights.weight, phases=True) if ours else 0
        stored = y if ours else phases
        self.convolution("up-convolution", x, weights.weight, stored, y.elements, partials)
        self.normalisation(stored, None, padded(y, options.pad), partials)
        return padded(y, options.pad)

    def wide_up_stage(self, x: Activation, weights: WideUpWeights, *, pad: int, pad_mode: str) -> Activation:
        """What the outermost lines lack is two lines and two columns of a convolution of one dimension."""
        phases = Activation(x.n, len(weights.weight), x.h - 2, x.w - 2)
        y = Activation(x.n, phases.c // 4, 2 * phases.h, 2 * phases.w)
        self.convolution("up-convolution", x, weights.weight, phases, y.elements)
        for kernel, length in ((weights.top, y.w), (weights.left, y.h)):
            macs, read = 2 * y.n * length * kernel.numel(), 2 * y.n * length * kernel.shape[1] * self.item_bytes
            written = 2 * y.n * length * y.c * self.item_bytes
            self.add("edges", macs, [read, 2 * kernel.nbytes, written], written)
        self.normalisation(y, None, padded(y, pad))
        return padded(y, pad)

    def halve(self, x: Activation, *, pad: int, pad_mode: str) -> Activation:
        return self.resampled("blur, every second pixel", x, x.h // 2 - 1, x.w // 2 - 1, pad)

    def double(
        self,
        x: Activation,
        *,
        pad: int,
        pad_mode: str,
        grid: Upsampling = "half-pixel",
        residual: Activation | None = None,
    ) -> Activation:
        return self.resampled("bilinear x2", x, 2 * x.h, 2 * x.w, pad, residual)

    def resampled(
        self, name: str, x: Activation, height: int, width: int, pad: int, residual: Activation | None = None
    ) -> Activation:
        """A few additions a pixel, and no more reading than once."""
        image = x._replace(h=height, w=width)
        added = [] if residual is None else [self.size(image)]
        y = padded(image, pad)
        self.add(name, 0, [self.size(x), *added], self.size(y))
        return y

    def attend(self, x: Activation, weights: AttentionWeights, pad_mode: str) -> Activation:
        y = x._replace(c=len(weights.weight))
        if self.is_ours(x, weights.weight):
            self.convolution("attention 1x1, bias, ReLU", x, weights.weight, padded(y, 1), y.elements)
            return padded(y, 1)
        self.convolution("attention 1x1", x, weights.weight, y, y.elements)
        self.add("bias, ReLU", 0, [self.size(y)], self.size(padded(y, 1)))
        return padded(y, 1)

    def style(self, attended: Activation, weights: StyleWeights) -> None:
        matrices = (weights.first, weights.second, weights.heads)
        macs = attended.n * sum(matrix.numel() for matrix in matrices)
        read = [self.size(attended.inside(1)), *[matrix.nbytes for matrix in matrices]]
        self.add("style", macs, read, attended.n * len(weights.heads) * FLOAT32_BYTES)

    def soft_styles(self, attended: Activation, content: Activation, weights: SoftStyleWeights) -> list[None]:
        self.style(attended, weights)
        matrices = (weights.content_first, weights.content_second)
        macs = content.n * sum(matrix.numel() for matrix in matrices)
        read = [self.size(content.inside(1)), *[matrix.nbytes for matrix in matrices]]
        self.add("style of content", macs, read, content.n * len(weights.content_first) * FLOAT32_BYTES)
        return [None] * (len(weights.content_second) // 2)

    def given_styles(self, weights: MlpWeights, count: int) -> list[None]:
        """Once for all pictures of a batch."""
        matrices = [matrix for matrix, _ in weights.layers]
        macs, read = sum(matrix.numel() for matrix in matrices), [matrix.nbytes for matrix in matrices]
        self.add("style", macs, read, len(matrices[-1]) * FLOAT32_BYTES)
        return [None] * count

    def given_shifts(self, weights: MlpWeights, count: int) -> list[None]:
        return self.given_styles(weights, count)

    def heatmap(self, attended: Activation, weights: AttentionWeights) -> Activation:
        """Nothing: an engine for pictures leaves it out."""
        return attended._replace(c=1)

    def to_image(self, x: Activation, weights: ConvolutionWeights, shift: None = None) -> Activation:
        channels, _, _, columns = weights.weight.shape
        kernel_rows = channels // COLOURS
        rows = Activation(x.n, channels, x.h, x.w - columns + 1)
        image = Activation(x.n, COLOURS, x.h - kernel_rows + 1, rows.w)
        self.convolution("last convolution, rows", x, weights.weight, rows, image.elements * kernel_rows)
        self.add("rows to picture", 0, [self.size(rows)], image.elements)
        return image

    def to_guided_image(self, x: Activation, weights: ConvolutionWeights, image: Activation) -> Activation:
        """The filter, if it were one operation."""
        made = self.to_image(x, weights)
        self.add("guided filter", 0, [image.elements, made.elements * FLOAT32_BYTES], made.elements)
        return made


def padded(x: Activation, pad: int) -> Activation:
    return x._replace(h=x.h + 2 * pad, w=x.w + 2 * pad)


def count(
    config: Config, batch: int, height: int, width: int, precision: Precision, ours_on: Gpu | None = None
) -> list[Work]:
    """The cost of every operation of the folded graph for a batch, in order. No weights are made.

    ours_on: as for `CountingOperations`.
    """
    with torch.device("meta"):
        folded = fold(architecture_of(config).reference(config))
    if precision == "fp16":
        folded = folded.half_precision()
    operations = CountingOperations(2 if precision == "fp16" else 4, ours_on)
    folded.graph(operations, Activation(batch, COLOURS, height, width))
    return operations.work


def roofline_seconds(work: Sequence[Work], bytes_per_second: float, operations_per_second: float) -> float:
    """Least time for the operations one after the other: each is bound by its bytes or by its arithmetic."""
    return sum(max(one.bytes / bytes_per_second, 2 * one.macs / operations_per_second) for one in work)
