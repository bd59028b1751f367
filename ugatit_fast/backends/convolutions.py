"""The folded network with a choice for every convolution of stride 1 that a normalisation, or the attention's bias and
ReLU, follows: cuDNN's, or ours with one of its tiles.

Ours stores the statistics of what it writes, so that the normalisation after it is one pass without a barrier, and adds
bias, ReLU and border itself where the attention asks for them. Which is faster depends on the layer, the batch and the
GPU: `tuning.py` measures it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ugatit_fast.folded_weights import AttentionWeights, StageWeights
from ugatit_fast.graph import StageOptions, TorchOperations, own_style
from ugatit_fast.kernels.adalin_streamed import adalin_from_partials
from ugatit_fast.kernels.convolution import HALF, convolution, convolution_bias_relu
from ugatit_fast.kernels.convolution_layout import RowSplits, result_shape
from ugatit_fast.kernels.convolution_schedule import (
    LEAST,
    ConvolutionTile,
    convolution_tiles,
    tiles_of_split,
    usual_tile,
)
from ugatit_fast.kernels.padding import interior
from ugatit_fast.kernels.schedule import Gpu

Way = ConvolutionTile | None
"""How a layer runs: by ours with a tile, or by cuDNN."""
CUDNN = "cudnn"
Follows = Literal["instance norm", "AdaLIN", "bias and ReLU"]
"""What follows a convolution; AdaLIN stands for whatever needs the statistics of whole layers too."""


def name_of(way: Way) -> str:
    return way.name if way else CUDNN


@dataclass(frozen=True)
class Layer:
    """A convolution and what follows it, as far as that decides how fast it is. Equal layers share a choice."""

    follows: Follows
    x: tuple[int, int, int, int]
    """Shape of the input, border included."""
    weight: tuple[int, int, int, int]
    phases: bool
    """Whether it makes the four phases of an image of twice the size."""
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """For the file of choices."""
        x, weight = ("x".join(map(str, shape)) for shape in (self.x, self.weight))
        phases = " to phases" if self.phases else ""
        return f"{x} by {weight}{phases}, {self.follows}, {str(self.dtype).removeprefix('torch.')}"

    @property
    def splits(self) -> RowSplits:
        """Of single rows, which no tile has."""
        return RowSplits.of(result_shape(self.x, self.weight, self.phases), self.x[3], 1, self.phases)

    @property
    def outputs(self) -> int:
        """Channels of the result."""
        return self.weight[0] // 4 if self.phases else self.weight[0]

    def tiles(self, gpu: Gpu) -> tuple[ConvolutionTile, ...]:
        """Those that ours may have, the smallest first; none where only cuDNN will do."""
        if self.dtype not in HALF or self.x[1] < LEAST:
            return ()
        return convolution_tiles(self.x[1], self.outputs, gpu)

    def usual(self, gpu: Gpu) -> Way:
        """Ours where it will do, unmeasured."""
        tiles = self.tiles(gpu)
        return usual_tile(tiles, self.x[0], self.outputs, self.splits, gpu) if tiles else None


def layer_of(follows: Follows, shape: Sequence[int], weight: Tensor, phases: bool = False) -> Layer:
    """shape: of the padded input."""
    n, c, h, w = shape
    k, _, kernel_h, kernel_w = weight.shape
    return Layer(follows, (n, c, h, w), (k, c, kernel_h, kernel_w), phases, weight.dtype)


def norm_of(weights: StageWeights) -> Follows:
    return "instance norm" if weights.rho is None else "AdaLIN"


@dataclass(frozen=True)
class Choices:
    """How every layer runs on a GPU. What isn't among them is cuDNN's."""

    gpu: Gpu
    ways: Mapping[Layer, Way]


class ChosenOperations(TorchOperations):
    """The folded network in PyTorch, by `choices`."""

    def __init__(self, dtype: torch.dtype, channels: int, choices: Choices | None) -> None:
        """As `TorchOperations`; without choices, everything is cuDNN's."""
        super().__init__(dtype, channels)
        self.choices = choices

    def by_choice(self, layer: Layer, run: Callable[[Way], Tensor]) -> Tensor:
        """The layer's result; `run` computes it either way."""
        return run(self.choices.ways.get(layer) if self.choices else None)

    def stage(
        self,
        x: Tensor,
        weights: StageWeights,
        options: StageOptions,
        *,
        style: Tensor | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        plain = super().stage

        def run(way: Way) -> Tensor:
            if way is None:
                return plain(x, weights, options, style=style, residual=residual)
            added = None if residual is None else interior(residual, options.residual_border)
            return self.ours(x, weights, way, options, style, added)

        if options.stride != 1 or not options.norm or options.slope or options.depthwise:
            return run(None)
        return self.by_choice(layer_of(norm_of(weights), x.shape, weights.weight), run)

    def up_stage(self, x: Tensor, weights: StageWeights, options: StageOptions) -> Tensor:
        plain = super().up_stage

        def run(way: Way) -> Tensor:
            if way is None:
                return plain(x, weights, options)
            return self.ours(x, weights, way, options, phases=True)

        if not options.norm:
            return run(None)
        return self.by_choice(layer_of(norm_of(weights), x.shape, weights.weight, phases=True), run)

    def attend(self, x: Tensor, weights: AttentionWeights, pad_mode: str) -> Tensor:
        plain = super().attend

        def run(way: Way) -> Tensor:
            if way is None:
                return plain(x, weights, pad_mode)
            return convolution_bias_relu(x, weights.weight, weights.bias, 1, pad_mode, way.rows, way.channels)

        return self.by_choice(layer_of("bias and ReLU", x.shape, weights.weight), run)

    def ours(
        self,
        x: Tensor,
        weights: StageWeights,
        tile: ConvolutionTile,
        options: StageOptions,
        style: Tensor | None = None,
        residual: Tensor | None = None,
        *,
        phases: bool = False,
    ) -> Tensor:
        """A stage by our convolution, and the normalisation that combines its statistics."""
        assert self.choices is not None, "who chose a tile knows the GPU"
        n, c, _, _ = shape = result_shape(x.shape, weights.weight.shape, phases)
        one = RowSplits.of(shape, x.shape[3], tile.rows, phases)
        tiles = tiles_of_split(tile, n, c, one, self.choices.gpu)
        has_layer = weights.rho is not None
        convolved = convolution(x, weights.weight, weights.bias, has_layer, phases, tile.rows, tile.channels, tiles)
        gamma, beta = own_style(weights) if style is None else self.ready(style)
        return adalin_from_partials(
            *convolved, x.shape[3], tile.rows * tiles, tile.channels, phases, gamma, beta, weights.rho, weights.bias,
            residual, options.relu, options.pad, options.pad_mode, options.unbiased, options.eps,
        )  # fmt: skip
